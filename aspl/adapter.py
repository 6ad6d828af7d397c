"""An adapter: prompts, labels and what is known of them, and the one safetensors file that keeps it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Self

import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from aspl.curves import TENSORS as CURVES_TENSORS
from aspl.curves import TaughtCurves
from aspl.errors import AdapterInvalid, AdapterMismatch, AsplError
from aspl.features import AudioFeatures
from aspl.heads.head import Head
from aspl.known import KnownRule
from aspl.methods import METHODS
from aspl.model.clap import FrozenClap
from aspl.prompts.audio import Affine, AudioPrompts
from aspl.prompts.kinds import parse_kind
from aspl.templates import SENTENCE

FORMAT = "earshot-adapter"
FORMAT_VERSION = 3
READABLE_VERSIONS = (1, 2, 3)  # the first knows of no `known`, the first two of no curves and no channel
CHANNEL, CURVES = "channel.beta", frozenset(CURVES_TENSORS)
MAX_HEADER_BYTES = 16 * 2**20
MAX_MAGNITUDE = 1e6  # of any number that is trained; the largest seen are hundreds, and products of more overflow


@dataclass(frozen=True, kw_only=True)
class AdapterInfo:
    """What an adapter's file says of itself in its header, in JSON's terms."""

    method: str
    audio_prompt: str
    labels: tuple[str, ...]
    template: str | None
    base_model: str
    fingerprint: str
    logit_scale: float
    temperature: float
    threshold: float | None
    shots: Mapping[str, int]
    seed: int
    preset: str | None
    num_parameters: int
    report: Mapping[str, Any]
    created_at: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    format_version: int = FORMAT_VERSION
    known: KnownRule | None = None
    """None in files of the first release, where `threshold` is of the best probability."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Adapter(AdapterInfo):
    """A tenant's classifier: its facts, a head, and audio prompts or None where there are none.

    Attributes:
        prompts: as they were learnt; clips are heard under `heard_under`, with the channel folded in.
        channel: `[M]` in dB, what brings live sound back to the channel that was taught (see `aspl.channel`); None for
            nothing.
        taught_curves: what the clips that it was taught with sounded like; None in files before format 3.
    """

    head: Head
    prompts: AudioPrompts | None = None
    channel: Tensor | None = None
    taught_curves: TaughtCurves | None = None

    @classmethod
    def zero_shot(
        cls, clap: FrozenClap, labels: Sequence[str], template: str = SENTENCE, *, embeddings: Tensor | None = None
    ) -> Self:
        """Return the untrained classifier of these labels: the text embedding of each in `template`.

        Args:
            embeddings: those, `[K, D]`, where they are there already.

        Raises:
            LabelsInvalid, TemplateInvalid: labels or template that cannot be used.
        """
        method = METHODS["zero_shot"]
        if embeddings is None:
            head = method.head_type.of(method.untrained(clap, labels, template=template))
        else:
            head = method.head_type.load({"class_features": embeddings}, labels, clap)
        return cls(
            head=head,
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
            report={},
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
        """The bytes that the adapter's tensors hold in memory."""
        return sum(tensor.numel() * tensor.element_size() for tensor in self.tensors().values())

    @property
    def scale(self) -> float:
        """What makes calibrated logits of the head's scores."""
        return self.logit_scale / self.temperature

    def scores(self, features: AudioFeatures) -> tuple[Tensor, Tensor | None]:
        """Return the head's scores `[B, K]`, and `[B]` of the background where it has them, of features heard under
        this adapter's audio prompts."""
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
        header = {"format": FORMAT, "adapter": json.dumps(asdict(self.info), ensure_ascii=False)}
        tensors = {name: tensor.detach().cpu().float().contiguous() for name, tensor in self.tensors().items()}
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
        shapes = head_type.shapes(len(info.labels), clap) | _prompt_shapes(info, clap)
        _check_tensors(tensors, shapes | _channel_shapes(tensors, info, clap))
        curves = TaughtCurves.load(tensors)
        tensors = {name: tensor.to(clap.device) for name, tensor in tensors.items() if name not in CURVES}
        channel = tensors.pop(CHANNEL, None)
        stages = parse_kind(info.audio_prompt)
        prompts = AudioPrompts(**{s: Affine(tensors.pop(f"{s}.gamma"), tensors.pop(f"{s}.beta")) for s in stages})
        head = head_type.load(tensors, info.labels, clap)
        prompts = prompts if stages else None
        return cls(**vars(info), head=head, prompts=prompts, channel=channel, taught_curves=curves)

    @staticmethod
    def read_header(data: bytes) -> dict[str, Any]:
        """Return the facts in an adapter's file without a model; raises AdapterInvalid."""
        return asdict(read_info(data))


def read_info(data: bytes) -> AdapterInfo:
    """Return the checked facts from the header of an adapter's file; raises AdapterInvalid."""
    size = int.from_bytes(data[:8], "little") if len(data) >= 8 else 0
    if not 2 <= size <= min(len(data) - 8, MAX_HEADER_BYTES):
        raise AdapterInvalid("the file is not a safetensors file, or is cut short")
    try:
        header = json.loads(data[8 : 8 + size])
        metadata = header["__metadata__"]
        facts = json.loads(metadata["adapter"])
        is_adapter = metadata["format"] == FORMAT
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise AdapterInvalid("the file is not an earshot adapter: its header holds no adapter") from error
    if not is_adapter or not isinstance(facts, dict) or facts.get("format_version") not in READABLE_VERSIONS:
        raise AdapterInvalid(f"the file is not an earshot adapter of format version {FORMAT_VERSION} or before")
    if facts["format_version"] == 1:
        facts.setdefault("known", None)
    names = set(AdapterInfo.__dataclass_fields__)
    if facts.keys() != names:
        raise AdapterInvalid(f"the adapter's header lacks or doubles {sorted(facts.keys() ^ names)}")
    _check_facts(facts)
    try:
        json.dumps(facts, allow_nan=False, ensure_ascii=False).encode()
        info = AdapterInfo(**{**facts, "labels": tuple(facts["labels"]), "known": _known_rule(facts)})
        asdict(info)
    except (ValueError, RecursionError) as error:  # NaN, half a character, thousands of lists in a list
        raise AdapterInvalid(f"the adapter's header holds what JSON cannot: {str(error)[:80]}") from error
    return info


def _known_rule(facts: dict[str, Any]) -> KnownRule | None:
    if facts["known"] is None:
        return None
    try:
        return KnownRule.from_facts(facts["known"], len(facts["labels"]))
    except ValueError as error:
        raise AdapterInvalid(f"known in the adapter's header cannot be right: {error}") from error


def _check_facts(facts: dict[str, Any]) -> None:
    def number(value: Any, lowest: float, highest: float) -> bool:
        return isinstance(value, int | float) and not isinstance(value, bool) and lowest <= value <= highest

    shots, threshold = facts["shots"], facts["threshold"]
    checks = {
        "method": isinstance(facts["method"], str) and facts["method"] in METHODS,
        "audio_prompt": isinstance(facts["audio_prompt"], str),
        "labels": isinstance(facts["labels"], list) and all(isinstance(label, str) for label in facts["labels"]),
        "template": facts["template"] is None or isinstance(facts["template"], str),
        "base_model": isinstance(facts["base_model"], str),
        "fingerprint": isinstance(facts["fingerprint"], str) and len(facts["fingerprint"]) == 64,
        "logit_scale": number(facts["logit_scale"], 0, 1000) and facts["logit_scale"] > 0,
        "temperature": number(facts["temperature"], 0.001, 1000),
        "threshold": threshold is None or number(threshold, 0, 1),
        "shots": isinstance(shots, dict) and all(isinstance(count, int) and count > 0 for count in shots.values()),
        "seed": isinstance(facts["seed"], int),
        "preset": facts["preset"] is None or isinstance(facts["preset"], str),
        "num_parameters": isinstance(facts["num_parameters"], int) and facts["num_parameters"] >= 0,
        "report": isinstance(facts["report"], dict),
        "created_at": isinstance(facts["created_at"], str),
    }
    if wrong := [name for name, holds in checks.items() if not holds]:
        raise AdapterInvalid(f"{wrong[0]} in the adapter's header cannot be {str(facts[wrong[0]])[:80]!r}")
    try:
        parse_kind(facts["audio_prompt"])
        METHODS[facts["method"]].check_labels(facts["labels"])
    except AsplError as error:
        raise AdapterInvalid(f"the adapter's header is wrong: {error}") from error


def _prompt_shapes(info: AdapterInfo, clap: FrozenClap) -> dict[str, tuple[int, ...]]:
    stages = parse_kind(info.audio_prompt)
    return {f"{stage}.{part}": (clap.stage_widths[stage],) for stage in stages for part in ("gamma", "beta")}


def _channel_shapes(tensors: Mapping[str, Tensor], info: AdapterInfo, clap: FrozenClap) -> dict[str, tuple[int, ...]]:
    """The shapes of what a file of format 3 may hold beside the head and the prompts, as far as this one does."""
    if info.format_version < 3:
        return {}
    shapes: dict[str, tuple[int, ...]] = {CHANNEL: (clap.mel_bins,)} if CHANNEL in tensors else {}
    return shapes | (TaughtCurves.shapes(len(info.labels), clap.mel_bins) if CURVES & tensors.keys() else {})


def _check_tensors(tensors: Mapping[str, Tensor], shapes: Mapping[str, tuple[int, ...]]) -> None:
    if tensors.keys() != shapes.keys():
        odd = sorted(tensors.keys() ^ shapes.keys())
        raise AdapterInvalid(f"the adapter's tensors should be {sorted(shapes)}; {odd} are missing or unknown")
    for name, tensor in tensors.items():
        if tensor.dtype != torch.float32 or tuple(tensor.shape) != shapes[name]:
            found = f"{tensor.dtype} {tuple(tensor.shape)}"
            raise AdapterInvalid(f"{name} should be float32 {shapes[name]} on this model, not {found}")
        if not (tensor.abs() <= MAX_MAGNITUDE).all():  # nor NaN
            raise AdapterInvalid(f"{name} holds numbers beyond {MAX_MAGNITUDE:g}, or none")
