"""A fit without gradients: what clips are heard as, against the background, in one closed form."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256

import numpy as np

from aspl.adapter import Adapter
from aspl.background import Background, BackgroundLibrary
from aspl.background_features import BackgroundFeatures
from aspl.features import AudioFeatures
from aspl.fitting.clip_features import ClipFeatures
from aspl.fitting.plan import Plan
from aspl.fitting.progress import FitProgress
from aspl.fitting.report import closed_form_report
from aspl.fitting.suspects import ClipFaults
from aspl.heads.linear import LinearHead
from aspl.heads.ridge_head import Bank, HeadFit, Teaching, fit_ridge_head
from aspl.heads.unknown import fit_known_scale, raw_known, raw_threshold
from aspl.known import SENSITIVITIES, KnownRule
from aspl.model.clap import FrozenClap
from aspl.prompts.audio import AudioPrompts
from aspl.templates import fill_template

# n clips, o background clips of the tenant's own, m of the bank, K labels, D joint width

WORDS = {"auto": (0.0, 0.05, 0.1, 0.2, 0.4, 0.8), "ridge": (0.0,)}  # weights of the words that compete, by method


@dataclass(frozen=True, eq=False)
class Heard:
    """Features of clips as arrays: `stages` `[n, S]` and `joint` `[n, D]`, float64."""

    stages: np.ndarray
    joint: np.ndarray

    @classmethod
    def of(cls, features: AudioFeatures) -> "Heard":
        assert features.stages is not None
        return cls(*(part.double().cpu().numpy() for part in (features.stages, features.joint)))


def fit_closed_form(
    clap: FrozenClap,
    waveforms: Sequence[np.ndarray],
    plan: Plan,
    progress: FitProgress,
    *,
    background: Sequence[np.ndarray],
    library: BackgroundLibrary,
) -> Adapter:
    """Fit a linear head on clips `waveforms`, against the bank and the tenant's own `background`."""
    progress.report("listen", 0, 1)
    clips = hear(clap, waveforms, tick=progress.tick)
    own = hear(clap, background, tick=progress.tick) if len(background) else Heard(clips.stages[:0], clips.joint[:0])
    bank = _bank(clap, library, progress)
    progress.report("listen", 1, 1)
    progress.report("train_closed_form", 0, 1)
    scale = bank.scale
    texts = clap.encode_text(fill_template(plan.template, plan.labels)).double().cpu().numpy()
    order = digest_order(waveforms)
    teaching = Teaching(
        scaled=scale.scaled(clips.stages, clips.joint),
        classes=plan.truth,
        order=order,
        own=scale.scaled(own.stages, own.joint),
        joint=clips.joint,
        texts=texts,
    )
    fit = fit_ridge_head(teaching, bank, text_weights=WORDS[plan.method.name])
    rule, faults = _known_rule(fit, plan), ClipFaults.of(waveforms, plan.truth, order.tolist())
    progress.report("train_closed_form", 1, 1)
    return Adapter(
        head=LinearHead.fitted(fit.head.matrix, fit.head.bias, clap),
        prompts=None,
        method="ridge",
        audio_prompt="none",
        labels=plan.labels,
        template=plan.template,
        base_model=clap.name,
        fingerprint=clap.fingerprint,
        logit_scale=fit.sharpness,
        temperature=1.0,
        threshold=None,
        shots=plan.shots,
        seed=plan.config.seed,
        preset=None,
        num_parameters=fit.head.matrix.size + fit.head.bias.size,
        known=rule,
        report=closed_form_report(fit, rule, plan, faults=faults, num_own=len(background)),
    )


def hear(clap: FrozenClap, waveforms: Sequence[np.ndarray], *, tick: Callable[[], None] = lambda: None) -> Heard:
    """Return the features of clips as a fit hears them; `tick` is called now and then, and may raise."""
    clips = ClipFeatures(clap, waveforms, tick=tick)
    return Heard.of(clips.hear(range(len(clips)), AudioPrompts(), stages=True, tick=tick))


@lru_cache(maxsize=4)  # it is the same for every fit on one model, and its whitening takes as long as a fit
def bank_of(features: BackgroundFeatures, background: Background, widths: tuple[int, ...]) -> Bank:
    """Return the bank as a fit takes it; `widths` are the channels of each Swin stage."""
    return Bank.of_features(features.stages, features.joint, background.families, widths)


def _bank(clap: FrozenClap, library: BackgroundLibrary, progress: FitProgress) -> Bank:
    """What this model hears of the bank; heard once, which on a model that is new here takes its time."""

    def tell(heard: int, num_clips: int) -> None:
        progress.tick()
        progress.report("listen_background", heard, num_clips)

    features = library.features(clap, progress=tell)
    return bank_of(features, library.background, clap.swin_widths)


def digest_order(waveforms: Sequence[np.ndarray]) -> np.ndarray:
    """`[n]`, numbers by which clips sort whatever order they came in; equal clips have equal ones."""
    digests = [int.from_bytes(sha256(np.ascontiguousarray(waveform)).digest()[:7], "big") for waveform in waveforms]
    return np.array(digests, dtype=np.int64)


def _known_rule(fit: HeadFit, plan: Plan) -> KnownRule:
    rows = fit.folds >= 0
    taught, bank = raw_known(fit.held_apart)[rows], raw_known(fit.bank)
    scale = fit_known_scale(taught, bank)
    # One threshold for all labels: those moved by how high a label's own clips score were no better.
    common = {name: float(scale(np.array(raw_threshold(taught, bank, name)))) for name in SENSITIVITIES}
    rows_of = {name: (round(value, 6),) * len(plan.labels) for name, value in common.items()}
    return KnownRule(scale.slope, scale.middle, rows_of["balanced"], rows_of)
