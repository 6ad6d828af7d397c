"""What stands beside a head of words, so that it knows what it was never taught: see `aspl.heads.guarded`."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aspl.background import BackgroundLibrary
from aspl.fitting.clip_features import ClipFeatures
from aspl.fitting.closed_form import Heard, bank_for, digest_order, hear, known_rule
from aspl.fitting.plan import Plan
from aspl.fitting.progress import FitProgress
from aspl.heads.linear import LinearHead
from aspl.heads.ridge_head import HeadFit, Teaching, fit_ridge_head
from aspl.known import KnownRule
from aspl.prompts.audio import AudioPrompts

# n clips, o background clips of the tenant's own


@dataclass(frozen=True, eq=False)
class Guard:
    """A linear head in half precision, which moves no known score by what counts, its rule, and the fit behind them."""

    head: LinearHead
    rule: KnownRule
    fit: HeadFit


@dataclass(frozen=True, eq=False)
class GuardClips:
    """What a guard is fitted to: the clips `[n]` of `waveforms`, and the tenant's own background `[o]`."""

    clips: ClipFeatures
    waveforms: Sequence[np.ndarray]
    background: Sequence[np.ndarray]
    library: BackgroundLibrary


def fit_guard(given: GuardClips, prompts: AudioPrompts, plan: Plan, progress: FitProgress) -> Guard:
    """Fit a linear head to clips and background, all of them heard under the adapter's `prompts`, without any words."""
    clips, clap = given.clips, given.clips.clap
    is_heard = not prompts.stages() and clips.bare is not None
    features = clips.bare if is_heard else clips.hear(range(len(clips)), prompts, stages=True, tick=progress.tick)
    heard = Heard.of(features)
    own = hear(clap, given.background, prompts, tick=progress.tick)
    bank = bank_for(clap, given.library, progress, prompts)
    teaching = Teaching(
        scaled=bank.scale.scaled(heard.stages, heard.joint),
        classes=plan.truth,
        order=digest_order(given.waveforms),
        own=bank.scale.scaled(own.stages, own.joint),
        joint=heard.joint,
    )
    fit = fit_ridge_head(teaching, bank)
    head = LinearHead.fitted(fit.head.matrix, fit.head.bias, clap).halved()
    return Guard(head, known_rule(fit, plan), fit)
