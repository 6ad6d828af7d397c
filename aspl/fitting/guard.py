"""What stands beside a head of words, so that it knows what it was never taught: see `aspl.heads.guarded`."""

from dataclasses import dataclass

from aspl.features import AudioFeatures
from aspl.fitting.closed_form import Given, hear_all, known_rule
from aspl.fitting.plan import Plan
from aspl.fitting.progress import FitProgress
from aspl.heads.linear import LinearHead
from aspl.heads.ridge_head import HeadFit, Teaching, fit_ridge_head
from aspl.known import KnownRule
from aspl.prompts.audio import AudioPrompts


@dataclass(frozen=True, eq=False)
class Guard:
    """A linear head in half precision, which moves no known score by what counts, its rule, and the fit behind them.

    Attributes:
        features: `[n]`, of the clips that it was fitted to.
    """

    head: LinearHead
    rule: KnownRule
    fit: HeadFit
    features: AudioFeatures


def fit_guard(given: Given, prompts: AudioPrompts, plan: Plan, progress: FitProgress) -> Guard:
    """Fit a linear head to clips and background, all of them heard under the adapter's `prompts`, without any words."""
    clap = given.clap
    heard, own, bank = hear_all(given, prompts, progress)
    teaching = Teaching(
        scaled=bank.scale.scaled(heard.stages, heard.joint),
        classes=plan.truth,
        order=given.order,
        own=bank.scale.scaled(own.stages, own.joint),
        joint=heard.joint,
    )
    fit = fit_ridge_head(teaching, bank)
    head = LinearHead.fitted(fit.head.matrix, fit.head.bias, clap).halved()
    return Guard(head, known_rule(fit, plan, num_own=len(given.background)), fit, heard.features(clap.device))
