"""An adapter: prompts, labels and what is known of them, and the one safetensors file that keeps it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from sys import getsizeof
from typing import Any, Self

import numpy as np
import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from aspl.adapter_info import CHANNEL, FORMAT, AdapterInfo, read_info
from aspl.curves import TENSORS as CURVES_TENSORS
from aspl.curves import TaughtCurves
from aspl.errors import AdapterInvalid, AdapterMismatch
from aspl.features import AudioFeatures
from aspl.heads.guarded import GuardedHead
from aspl.heads.head import Head
from aspl.heads.linear import LinearHead
from aspl.heads.words_unknown import words_rule
from aspl.held_out import HeldOutAnswer
from aspl.methods import METHODS
from aspl.model.clap import FrozenClap
from aspl.prompts.audio import Affine, AudioPrompts
from aspl.prompts.kinds import parse_kind
from aspl.report import Report
from aspl.templates import SENTENCE

MATRIX = "linear.matrix"
LINEAR = {MATRIX, "linear.bias"}
HALVED = {MATRIX, "class_features"}  # may be in half precision
CURVES = frozenset(CURVES_TENSORS)
NUMBER_BYTES = 32  # of a float and its place in a tuple
MAX_MAGNITUDE = 1e6  # of any number that is trained; the largest seen are hundreds, and products of more overflow


@dataclass(frozen=True, kw_only=True, eq=False)
class Adapter(AdapterInfo):
    """A tenant's classifier: its facts, a head, and audio prompts or None where there are none.

    Attributes:
        prompts: as they were learnt; clips are heard under `heard_under`, with the channel folded in.
        channel: `[M]` in dB, what brings live sound back to the channel that was taught (see `aspl.channel`); None for
            nothing.
        taught_curves: what the clips that it was taught with sounded like; None in files before format 3.
        held_out: of an adapter fresh from its fit, what it answered to each clip without it; not part of the file.
    """

    head: Head
    prompts: AudioPrompts | None = None
    channel: Tensor | None = None
    taught_curves: TaughtCurves | None = None
    held_out: tuple[HeldOutAnswer | None, ...] = ()

    @classmethod
    def zero_shot(
        cls,
        clap: FrozenClap,
        labels: Sequence[str],
        template: str = SENTENCE,
        *,
        bank: np.ndarray | None = None,
        embeddings: Tensor | None = None,
    ) -> Self:
        """Return the untrained classifier of these labels: the text embedding of each in `template`.

        Args:
            bank: `[m, D]`, joint embeddings of the background's clips; without them nothing is known of the unknown.
            embeddings: those of the labels, `[K, D]`, where they are there already.

        Raises:
            LabelsInvalid, TemplateInvalid: labels or template that cannot be used.
        """
        method = METHODS["zero_shot"]
        if embeddings is None:
            method.check_labels(labels)
            embeddings = method.untrained(clap, labels, template=template).class_features()
        return cls(
            head=method.head_type.load({"class_features": embeddings}, labels, clap),
            known=None if bank is None else words_rule(bank, embeddings.cpu().numpy()),
            method=method.name,
            audio_prompt="none",
            labels=tuple(labels),
            template=template,
            base_model=clap.name,
            fingerprint=clap.fingerprint,
            logit_scale=clap.logit_scale,
            temperature=1.0,
            threshold=None,
            shots={},
            seed=0,
            preset=None,
            num_parameters=0,
            report=Report(),
        )

    @property
    def info(self) -> AdapterInfo:
        return AdapterInfo(**{name: getattr(self, name) for name in AdapterInfo.__dataclass_fields__})

    @cached_property
    def heard_under(self) -> AudioPrompts | None:
        """The audio prompts that its clips are heard under: the channel first, then what was learnt."""
        return self.prompts if self.channel is None else (self.prompts or AudioPrompts()).behind(self.channel)

    @property
    def size_bytes(self) -> int:
        """The bytes that the adapter holds in memory: its tensors, its texts and its numbers, the report left out."""
        tensors = sum(tensor.numel() * tensor.element_size() for tensor in self.tensors().values())
        texts = sum(map(getsizeof, self.labels)) + sum(map(getsizeof, self.shots))
        rows = 0 if self.known is None else 1 + len(self.known.sensitivities) + 2 * (self.known.mean is not None)
        return tensors + texts + NUMBER_BYTES * len(self.labels) * (rows + 1)

    def for_inference(self) -> Self:
        """Return the adapter without what inference does not read: the report."""
        return replace(self, report=Report())

    @property
    def scale(self) -> float:
        """What makes calibrated logits of the head's scores."""
        return self.logit_scale / self.temperature

    def scores(self, features: AudioFeatures) -> tuple[Tensor, Tensor | None]:
        """Return the head's scores `[B, K]`, and `[B]`, its lead over the background where it hears one, of features
        heard under this adapter's audio prompts."""
        return self.head.scores(features)

    def logits(self, features: AudioFeatures) -> Tensor:
        """Return calibrated logits `[B, K]` of features heard under this adapter's audio prompts."""
        return self.scores(features)[0] * self.scale

    def tensors(self) -> dict[str, Tensor]:
        """Return what inference needs and what a channel is told by, by the names in the file."""
        tensors = dict(self.head.tensors())
        if self.channel is not None:
            tensors[CHANNEL] = self.channel
        if self.taught_curves is not None:
            tensors |= self.taught_curves.tensors()
        for stage, affine in (self.prompts or AudioPrompts()).stages().items():
            tensors |= {f"{stage}.gamma": affine.gamma, f"{stage}.beta": affine.beta}
        return tensors

    def to_bytes(self) -> bytes:
        """Return the adapter's file: safetensors with the facts as JSON in its header."""
        facts = asdict(self.info)
        if self.format_version < 5:  # else a release that reads it could not, once its thresholds were set here
            del facts["level_db"]
        header = {"format": FORMAT, "adapter": json.dumps(facts, ensure_ascii=False)}
        kept = {n: tensor if tensor.dtype == torch.float16 else tensor.float() for n, tensor in self.tensors().items()}
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in kept.items()}
        return save_tensors(tensors, metadata=header)

    @classmethod
    def from_bytes(cls, data: bytes, clap: FrozenClap) -> Self:
        """Load and fully check an adapter's file.

        Raises:
            AdapterInvalid: not such a file, or any name, shape, type or number in it that cannot be right.
            AdapterMismatch: trained on another base model.
        """
        info = read_info(data)
        if info.fingerprint != clap.fingerprint:
            raise AdapterMismatch(
                f"the adapter was trained on {info.base_model} ({info.fingerprint[:12]}); "
                f"this is {clap.name} ({clap.fingerprint[:12]})"
            )
        try:
            tensors = load_tensors(data)
        except Exception as error:  # the safetensors reader raises its own kind for each fault
            raise AdapterInvalid(f"the adapter's tensors cannot be read: {error}") from error
        head_type = METHODS[info.method].head_type
        shapes = _head_shapes(tensors, info, clap) | _prompt_shapes(info, clap) | _channel_shapes(tensors, info, clap)
        _check_tensors(tensors, shapes, may_be_halved=info.format_version > 2)
        curves = TaughtCurves.load(tensors)
        tensors = {name: tensor.to(clap.device) for name, tensor in tensors.items() if name not in CURVES}
        channel = tensors.pop(CHANNEL, None)
        stages = parse_kind(info.audio_prompt)
        prompts = AudioPrompts(**{s: Affine(tensors.pop(f"{s}.gamma"), tensors.pop(f"{s}.beta")) for s in stages})
        if info.is_guarded:
            head: Head = GuardedHead.load(head_type, tensors, info.labels, clap)
        else:
            head = head_type.load(tensors, info.labels, clap)
        prompts = prompts if stages else None
        return cls(**vars(info), head=head, prompts=prompts, channel=channel, taught_curves=curves)

    @staticmethod
    def read_header(data: bytes) -> dict[str, Any]:
        """Return the facts in an adapter's file without a model; raises AdapterInvalid."""
        info = read_info(data)
        return {**asdict(info), "report": info.report.to_json()}


def _head_shapes(tensors: Mapping[str, Tensor], info: AdapterInfo, clap: FrozenClap) -> dict[str, tuple[int, ...]]:
    """The shapes of the head; a linear one of format 4 may read peaks, those before it know of none."""
    head_type, num_labels = METHODS[info.method].head_type, len(info.labels)
    shapes = GuardedHead.shapes(head_type, num_labels, clap) if info.is_guarded else head_type.shapes(num_labels, clap)
    if shapes.keys() >= LINEAR:
        before = LinearHead.shapes(num_labels, clap, clap.layout.without_peaks())
        if info.format_version < 4 or (MATRIX in tensors and tuple(tensors[MATRIX].shape) == before[MATRIX]):
            shapes |= before
    return shapes


def _prompt_shapes(info: AdapterInfo, clap: FrozenClap) -> dict[str, tuple[int, ...]]:
    stages = parse_kind(info.audio_prompt)
    return {f"{stage}.{part}": (clap.stage_widths[stage],) for stage in stages for part in ("gamma", "beta")}


def _channel_shapes(tensors: Mapping[str, Tensor], info: AdapterInfo, clap: FrozenClap) -> dict[str, tuple[int, ...]]:
    """The shapes of what a file of format 3 may hold beside the head and the prompts, as far as this one does."""
    if info.format_version < 3:
        return {}
    shapes: dict[str, tuple[int, ...]] = {CHANNEL: (clap.mel_bins,)} if CHANNEL in tensors else {}
    return shapes | (TaughtCurves.shapes(len(info.labels), clap.mel_bins) if CURVES & tensors.keys() else {})


def _check_tensors(
    tensors: Mapping[str, Tensor], shapes: Mapping[str, tuple[int, ...]], *, may_be_halved: bool
) -> None:
    if tensors.keys() != shapes.keys():
        odd = sorted(tensors.keys() ^ shapes.keys())
        raise AdapterInvalid(f"the adapter's tensors should be {sorted(shapes)}; {odd} are missing or unknown")
    for name, tensor in tensors.items():
        types = {torch.float32, torch.float16} if may_be_halved and name in HALVED else {torch.float32}
        if tensor.dtype not in types or tuple(tensor.shape) != shapes[name]:
            found = f"{tensor.dtype} {tuple(tensor.shape)}"
            raise AdapterInvalid(f"{name} should be float32 {shapes[name]} on this model, not {found}")
        if not (tensor.abs() <= MAX_MAGNITUDE).all():  # nor NaN
            raise AdapterInvalid(f"{name} holds numbers beyond {MAX_MAGNITUDE:g}, or none")
