"""A fit without gradients: what clips are heard as, against the background, in one closed form."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Any

import numpy as np

from aspl.adapter import Adapter
from aspl.background import Background, BackgroundLibrary
from aspl.background_features import BackgroundFeatures
from aspl.features import AudioFeatures
from aspl.fitting.clip_features import ClipFeatures
from aspl.fitting.evaluation import summarise
from aspl.fitting.plan import Plan
from aspl.fitting.progress import FitProgress
from aspl.fitting.suspects import find_suspects
from aspl.heads.linear import LinearHead
from aspl.heads.ridge_head import Bank, HeadFit, Teaching, fit_ridge_head
from aspl.heads.unknown import fit_known_scale, raw_known, raw_threshold
from aspl.known import SENSITIVITIES, KnownRule
from aspl.model.clap import FrozenClap
from aspl.prompts.audio import AudioPrompts
from aspl.templates import fill_template

# n clips, o background clips of the tenant's own, m of the bank, K labels, D joint width

WORDS = {"auto": (0.0, 0.05, 0.1, 0.2, 0.4, 0.8), "ridge": (0.0,)}  # weights of the words that compete, by method
MAX_SUSPECTS = 100


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
    log_mels = ClipFeatures(clap, waveforms, tick=progress.tick)
    clips = _heard(log_mels, progress.tick)
    own = hear(clap, background, tick=progress.tick) if len(background) else Heard(clips.stages[:0], clips.joint[:0])
    bank = _bank(clap, library, progress)
    progress.report("listen", 1, 1)
    progress.report("train_closed_form", 0, 1)
    scale = bank.scale
    texts = clap.encode_text(fill_template(plan.template, plan.labels)).double().cpu().numpy()
    teaching = Teaching(
        scaled=scale.scaled(clips.stages, clips.joint),
        classes=plan.truth,
        order=digest_order(waveforms),
        own=scale.scaled(own.stages, own.joint),
        joint=clips.joint,
        texts=texts,
    )
    fit = fit_ridge_head(teaching, bank, text_weights=WORDS[plan.method.name])
    rule = _known_rule(fit, plan)
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
        taught_curves=log_mels.taught_curves(plan.truth),
        report=_report(fit, rule, plan, num_own=len(background)),
    )


def hear(clap: FrozenClap, waveforms: Sequence[np.ndarray], *, tick: Callable[[], None] = lambda: None) -> Heard:
    """Return the features of clips as a fit hears them; `tick` is called now and then, and may raise."""
    return _heard(ClipFeatures(clap, waveforms, tick=tick), tick)


def _heard(clips: ClipFeatures, tick: Callable[[], None]) -> Heard:
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


def _report(fit: HeadFit, rule: KnownRule, plan: Plan, *, num_own: int) -> dict[str, Any]:
    rows = np.flatnonzero(fit.folds >= 0)
    truth, scores = plan.truth[rows], fit.held_out[rows, :-1]
    known, bank = rule.on_scale(raw_known(fit.held_apart)[rows]), rule.on_scale(raw_known(fit.bank))
    report: dict[str, Any] = {
        "num_folds": int(fit.folds.max()) + 1,
        "unvalidated_labels": [label for label in plan.labels if plan.shots[label] < 2],
        "text_weight": round(fit.head.text_weight, 4),
        "num_background": num_own,
        "temperature": None,
        "threshold": None,
    }
    if len(rows):
        report |= summarise(truth, scores, plan.labels)
        report |= {"suspects": _suspects(fit, plan)}
    else:
        report |= {"accuracy": None, "reason": "every label has one clip: nothing could be held out"}
    bar = float(np.mean(rule.thresholds))
    report["unknown"] = {
        "threshold": round(bar, 4),
        "taught_rejected": round(float((known < bar).mean()), 4) if len(rows) else None,
        "background_accepted": round(float((bank >= bar).mean()), 4),
        "auroc": round(_auroc(known, bank), 4) if len(rows) else None,
    }
    return report


def _suspects(fit: HeadFit, plan: Plan) -> list[dict[str, Any]]:
    """Clips by their number whose held-out answer is another label by far, worst first."""
    found = find_suspects(fit.held_out, plan.truth, fit.folds, fit.sharpness)
    listed = [int(clip) for clip in found.ranked if found.is_listed[clip]][:MAX_SUSPECTS]
    return [
        {
            "clip": clip,
            "label": plan.labels[plan.truth[clip]],
            "sounds_like": plan.labels[int(found.sounds_like[clip])],
            "margin": round(float(found.margin[clip]), 2),
        }
        for clip in listed
    ]


def _auroc(known: np.ndarray, background: np.ndarray) -> float:
    """The chance that a taught clip scores above one of the background (Mann and Whitney 1947)."""
    return float((known[:, None] > background).mean() + 0.5 * (known[:, None] == background).mean())
