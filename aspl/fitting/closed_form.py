"""A fit without gradients: what clips are heard as, against the background, in one closed form."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import torch

from aspl.adapter import Adapter
from aspl.background import Background, BackgroundLibrary, hear_background
from aspl.background_features import BackgroundFeatures
from aspl.curves import TaughtCurves
from aspl.features import AudioFeatures
from aspl.fitting.clip_features import ClipFeatures
from aspl.fitting.heard_clip import HeardClip
from aspl.fitting.live_clip import LiveClip
from aspl.fitting.plan import Plan
from aspl.fitting.precision import kept_head
from aspl.fitting.progress import FitProgress
from aspl.fitting.report import closed_form_report
from aspl.fitting.speed_copies import copies_for
from aspl.fitting.suspects import ClipFaults
from aspl.heads.linear import LinearHead
from aspl.heads.ridge_head import Bank, HeadFit, Teaching, fit_ridge_head
from aspl.heads.unknown import fit_known_scale, in_order, known_thresholds, raw_known, raw_threshold
from aspl.held_out import held_out_answers
from aspl.known import SENSITIVITIES, KnownRule
from aspl.model.clap import FrozenClap
from aspl.prompts.audio import AudioPrompts
from aspl.reach import band_of
from aspl.stage_layout import StageLayout
from aspl.templates import fill_template

# n clips, o background clips of the tenant's own, m of the bank, K labels, S numbers of all stages, D joint width

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

    @classmethod
    def of_clips(cls, clips: Sequence[HeardClip], clap: FrozenClap) -> "Heard":
        if not clips:
            return cls(np.empty((0, clap.statistics_width)), np.empty((0, clap.joint_width)))
        width = min(len(clip.stages) for clip in clips)
        stages, joint = ([clip.stages[:width] for clip in clips], [clip.joint for clip in clips])
        return cls(*(np.stack(part).astype(float) for part in (stages, joint)))

    @classmethod
    def of_copies(cls, copies: Sequence[Sequence[np.ndarray]], joint_width: int) -> "list[Heard]":
        """Return the features `[n]` of the first copy of each clip, then of the second, as far as all have them.

        Args:
            copies: of each clip, see `HeardClip`.
        """
        heard = min(copies_for(len(copies)), *map(len, copies))
        rows = (np.stack([of_clip[number] for of_clip in copies]).astype(float) for number in range(heard))
        return [cls(*np.split(each, [-joint_width], axis=1)) for each in rows]

    def features(self, device: torch.device) -> AudioFeatures:
        """Return them as a head reads them."""
        joint, stages = (torch.from_numpy(part).float().to(device) for part in (self.joint, self.stages))
        return AudioFeatures(joint, stages)


@dataclass(frozen=True, eq=False)
class Given:
    """What a fit is given, and what the model hears of it under no audio prompt.

    Attributes:
        clips: `[n]`; background: `[o]`, the tenant's own.
        waveforms: of the background, for those who hear it under prompts; None where features alone are there.
        log_mels: of the clips, where something is learnt by gradients.
        library: what the model hears of the bank.
        level_db: to which clips, background and bank are brought, see `aspl.sound.level`; None for as they are.
    """

    clap: FrozenClap
    clips: Sequence[HeardClip]
    background: Sequence[HeardClip]
    library: BackgroundLibrary
    level_db: float | None = None
    waveforms: Sequence[np.ndarray | LiveClip] | None = None
    log_mels: ClipFeatures | None = None

    @property
    def layout(self) -> StageLayout:
        """Return what all clips were heard for: without peaks where some were heard before there were any."""
        widths = [len(clip.stages) for clip in (*self.clips, *self.background)]
        return self.clap.layout.of_width(min(widths, default=self.clap.layout.width))

    @property
    def order(self) -> np.ndarray:
        """`[n]`, numbers by which clips sort whatever order they came in; equal clips have equal ones."""
        return np.array([clip.order for clip in self.clips], dtype=np.int64)

    @cached_property
    def band(self) -> int | None:
        """Return the mel bin from which on the clips are empty, None where they are not; see `aspl.reach`."""
        return band_of((clip.curve for clip in self.clips), self.clap.mel_centres_hz)

    def taught_curves(self, classes: np.ndarray) -> TaughtCurves | None:
        """Return the curves of the clips by their class `[n]`."""
        return TaughtCurves.of([clip.curve for clip in self.clips], classes)

    def heard(self, prompts: AudioPrompts, tick: Callable[[], None]) -> Heard:
        """Return the features of the clips under `prompts`."""
        if not prompts.stages():
            return Heard.of_clips(self.clips, self.clap)
        assert self.log_mels is not None
        return Heard.of(self.log_mels.hear(range(len(self.log_mels)), prompts, stages=True, tick=tick))

    def heard_copies(self, prompts: AudioPrompts) -> list[Heard]:
        """Return the features of the clips' copies; under prompts none is heard."""
        if prompts.stages():
            return []
        return Heard.of_copies([clip.copies for clip in self.clips], self.clap.joint_width)

    def heard_background(self, prompts: AudioPrompts, tick: Callable[[], None]) -> Heard:
        """Return the features of the tenant's own background under `prompts`."""
        if not prompts.stages() or not self.background:
            return Heard.of_clips(self.background, self.clap)
        assert self.waveforms is not None
        return hear(self.clap, self.waveforms, prompts, level_db=self.level_db, tick=tick)


def fit_closed_form(given: Given, prompts: AudioPrompts, plan: Plan, progress: FitProgress) -> Adapter:
    """Fit a linear head to clips and background, all of them heard under `prompts`."""
    clap = given.clap
    clips, own, bank = hear_all(given, prompts, progress)
    progress.report("train_closed_form", 0, 1)
    scale, weights = bank.scale, words_of(plan)
    texts = texts_of(clap, plan) if any(weights) else None
    teaching = Teaching(
        scaled=scale.scaled(clips.stages, clips.joint),
        classes=plan.truth,
        order=given.order,
        own=scale.scaled(own.stages, own.joint),
        joint=clips.joint,
        texts=texts,
        copies=[scale.scaled(copy.stages, copy.joint) for copy in given.heard_copies(prompts)],
    )
    fit = fit_ridge_head(teaching, bank, text_weights=weights)
    head = LinearHead.fitted(fit.head.matrix, fit.head.bias, clap)
    rule = known_rule(fit, plan, num_own=len(given.background))
    faults = ClipFaults.of(given.clips, plan.truth)
    progress.report("train_closed_form", 1, 1)
    return Adapter(
        head=kept_head(head, len(plan.labels), clips.features(clap.device), rule),
        prompts=prompts if prompts.stages() else None,
        method="ridge",
        audio_prompt=prompts.kind,
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
        num_parameters=fit.head.matrix.size + fit.head.bias.size + prompts.num_parameters,
        known=rule,
        level_db=given.level_db,
        taught_curves=given.taught_curves(plan.truth),
        held_out=held_out_answers(plan.labels, fit.held_out_logits),
        report=closed_form_report(fit, rule, plan, faults=faults, num_own=len(given.background)),
    )


def hear(
    clap: FrozenClap,
    waveforms: Sequence[np.ndarray | LiveClip],
    prompts: AudioPrompts | None = None,
    *,
    level_db: float | None = None,
    tick: Callable[[], None] = lambda: None,
) -> Heard:
    """Return the features of clips as a fit hears them; `tick` is called now and then, and may raise."""
    clips = ClipFeatures(clap, waveforms, level_db=level_db, tick=tick)
    return Heard.of(clips.hear(range(len(clips)), prompts or AudioPrompts(), stages=True, tick=tick))


def hear_all(given: Given, prompts: AudioPrompts, progress: FitProgress) -> tuple[Heard, Heard, Bank]:
    """Return clips, the tenant's background and the bank as they are heard under `prompts`.

    Under any it is all heard anew, which is then what is left of the fit.
    """
    is_anew = bool(prompts.stages())
    progress.expect(num_clips_of(given) if is_anew else 0)
    clips = given.heard(prompts, progress.tick)
    own = given.heard_background(prompts, progress.tick)
    progress.spend(len(given.clips) + len(given.background) if is_anew else 0)
    return clips, own, bank_for(given, progress, prompts)


def num_clips_of(given: Given) -> int:
    """Return how many hearings of clips there are in all, the bank's among them."""
    hearings_of_bank = 1 if given.band is None else 2
    return len(given.clips) + len(given.background) + hearings_of_bank * len(given.library.background)


def words_of(plan: Plan) -> tuple[float, ...]:
    """Return the weights of the labels' words that compete."""
    return WORDS[plan.method.name]


def texts_of(clap: FrozenClap, plan: Plan) -> np.ndarray:
    """Return the labels' text embeddings `[K, D]`."""
    return clap.encode_text(fill_template(plan.template, plan.labels)).double().cpu().numpy()


@lru_cache(maxsize=8)  # it is the same for every fit on one model, and its whitening takes as long as a fit
def bank_of(
    features: BackgroundFeatures, background: Background, layout: StageLayout, narrow: BackgroundFeatures | None = None
) -> Bank:
    """Return the bank as a fit takes it that reads of the stages what `layout` has.

    Args:
        narrow: what is heard of the bank in the band that taught recordings reach up to.
    """
    if narrow is not None:
        return bank_of(features, background, layout).and_heard(narrow.stages, narrow.joint)
    return Bank.of_features(features.stages, features.joint, background.families, layout)


def kept_bank(
    clap: FrozenClap,
    library: BackgroundLibrary,
    layout: StageLayout,
    band: int | None,
    level_db: float | None,
    progress: Callable[[int, int], None] | None = None,
) -> Bank:
    """Return the bank as a model hears it, up to a band too where there is one; see `BackgroundLibrary.features`."""
    narrow = None if band is None else library.features(clap, band=band, level_db=level_db, progress=progress)
    whole = library.features(clap, level_db=level_db, progress=progress)
    return bank_of(whole, library.background, layout, narrow)


def bank_for(given: Given, progress: FitProgress, prompts: AudioPrompts | None = None) -> Bank:
    """Return the bank as this model hears it, which is heard once: on a model that is new here that takes its time.

    Args:
        prompts: of the adapter; what is heard under them is heard for it alone.
    """
    clap, library, told = given.clap, given.library, 0
    is_under_prompts = prompts is not None and bool(prompts.stages())

    def tell(heard: int, num_clips: int) -> None:
        nonlocal told
        progress.tick()
        if is_under_prompts:  # which was foreseen
            progress.spend(heard - told)
        told = heard
        progress.report("listen_background", heard, num_clips)

    def hear(band: int | None) -> BackgroundFeatures:
        nonlocal told
        told = 0
        assert given.log_mels is not None
        batch = given.log_mels.micro_batch  # which is what the device has room for
        options = {"band": band, "level_db": given.level_db, "progress": tell, "batch_clips": batch}
        return hear_background(clap, library.background, prompts, **options)

    if not is_under_prompts:
        return kept_bank(clap, library, given.layout, given.band, given.level_db, tell)
    features = hear(None)
    bank = Bank.of_features(features.stages, features.joint, library.background.families, given.layout)
    if given.band is None:
        return bank
    narrow = hear(given.band)
    return bank.and_heard(narrow.stages, narrow.joint)


def known_rule(fit: HeadFit, plan: Plan, *, num_own: int) -> KnownRule:
    """Return the rule that held-out clips and the background set; `num_own` clips of that are the tenant's."""
    rows = fit.folds >= 0
    taught, bank = raw_known(fit.held_apart)[rows], raw_known(fit.bank)
    # One threshold for all labels: those moved by how high a label's own clips score were no better.
    raw = in_order({name: raw_threshold(taught, bank, name, num_own=num_own) for name in SENSITIVITIES})
    scale = fit_known_scale(taught, bank).telling(raw.values())
    common = known_thresholds(scale, raw)
    rows_of = {name: (common[name],) * len(plan.labels) for name in SENSITIVITIES}
    rule, before = KnownRule(scale.slope, scale.middle, rows_of["balanced"], rows_of), plan.before
    return rule if before is None or before.known is None else rule.set_as(plan.labels, before.known, before.labels)[0]
