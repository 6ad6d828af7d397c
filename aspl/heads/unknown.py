"""Is it a known sound at all: a score from 0 to 1, and the threshold under which an answer is unknown.

The raw score is the highest score of a label less the background's. Held-out clips say where what was taught lies, the
bank where everything else does. A threshold has to answer to both: clips of one label are often takes of a few sources,
which makes held-out scores too high, so those of a take are given without its other takes; and the bank, which no
recording of the tenant's resembles, is the same for all.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

# n held-out clips, m background clips, K labels

REJECTED = {"high": 0.02, "normal": 0.05}  # at most, of what was taught
ACCEPTED = {"low": 0.01}  # at most, of the background
BALANCED_REJECTED, BALANCED_ACCEPTED = 0.1, 0.0115
# The tenant's own background lowers every score, so that with the bank's share unmoved more of what was taught is lost.
BALANCED_ACCEPTED_WITH_OWN, OWN_CLIPS = 0.018, 10
ALONE_ACCEPTED = 0.05  # of the background, where no taught clip could be held out

MIDDLE, SLOPE = 0.6, 0.5  # where between background and taught, and of the slope that normal distributions have
STEEPEST = 8.0  # log-odds of a threshold, at the most: beyond it a known score is 0 or 1, and tells nothing any more
STEPS = 10**6  # known scores are kept in so many
ALONE_MIDDLE, ALONE_SLOPE = 1.4, 1.7  # in deviations of the background, and in their inverse


@dataclass(frozen=True)
class KnownScale:
    """`known_score` = 1 / (1 + exp(-slope (raw - middle)))."""

    slope: float
    middle: float

    def __call__(self, raw: np.ndarray) -> np.ndarray:
        """Return known scores, 0 to 1, of raw ones."""
        return 1 / (1 + np.exp(-np.clip(self.slope * (raw - self.middle), -60, 60)))

    def telling(self, raw: Iterable[float]) -> Self:
        """Return the scale, as much less steep as it takes to tell these raw scores from 0 and 1."""
        farthest = max(abs(score - self.middle) for score in raw)
        return replace(self, slope=min(self.slope, STEEPEST / farthest)) if farthest else self


def raw_known(scores: np.ndarray) -> np.ndarray:
    """Return `[B]`, the highest score of a label less the background's, of scores `[B, K + 1]`."""
    return scores[:, :-1].max(1) - scores[:, -1]


def fit_known_scale(taught: np.ndarray, background: np.ndarray) -> KnownScale:
    """Return the scale on which a score is the chance of being known, both kinds being equally likely beforehand.

    Two normal distributions of one spread have linear log-odds, with the middle half way between them. Real sounds that
    were not taught come nearer than the bank's, and both kinds have longer tails: so the middle lies nearer to what was
    taught, and the slope is half of what normal distributions would give.

    Args:
        taught: `[n]`, raw scores of held-out clips; empty where none could be.
        background: `[m]`, raw scores of held-out background clips.
    """
    if not len(taught):
        spread = float(background.std())
        middle = background.mean() + ALONE_MIDDLE * spread
        return KnownScale(slope=_slope(spread, ALONE_SLOPE * spread), middle=float(middle))
    spread = np.sqrt((taught.var() + background.var()) / 2)
    gap = max(taught.mean() - background.mean(), spread)
    return KnownScale(slope=SLOPE * _slope(spread, gap), middle=float(background.mean() + MIDDLE * gap))


def raw_threshold(
    taught: np.ndarray, background: np.ndarray, sensitivity: str = "balanced", *, num_own: int = 0
) -> float:
    """Return the raw score under which a clip is unknown.

    high rejects at most 2 % of the taught clips, normal 5 %, low accepts at most 1 % of the background. balanced, what
    a fit sets, lies half way between the score that a tenth of the taught clips fall short of and the one that 1.15 %
    of the background reaches, up to 1.8 % with ten clips of the tenant's own. Where no clip could be held out, 5 % of
    the background is accepted.

    Args:
        taught: `[n]`, raw scores of clips held out with their takes.
        background: `[m]`, raw scores of the bank's clips, held out.
        num_own: how many clips of the tenant's own background are fitted beside the bank.
    """
    if sensitivity in ACCEPTED:
        return _upper(background, ACCEPTED[sensitivity])
    if not len(taught):
        return _upper(background, ALONE_ACCEPTED)
    if sensitivity in REJECTED:
        return float(np.sort(taught)[int(len(taught) * REJECTED[sensitivity])])
    accepted = np.interp(num_own, (0, OWN_CLIPS), (BALANCED_ACCEPTED, BALANCED_ACCEPTED_WITH_OWN))
    return (_lower(taught, BALANCED_REJECTED) + _upper(background, float(accepted))) / 2


def in_order(raw: Mapping[str, float]) -> dict[str, float]:
    """Return raw thresholds by sensitivity so that they ascend from high over normal and balanced to low.

    Where nothing of the background comes near to what was taught, high and low keep what the other promises too, and
    would be the wrong way round: each then goes to the other end of the gap between the two.
    """
    balanced, normal = raw["balanced"], raw["normal"]
    high, low = min(raw["high"], raw["low"], balanced), max(raw["high"], raw["low"], balanced)
    normal = normal if normal < balanced else (high + balanced) / 2
    return {"balanced": balanced, "high": high, "normal": normal, "low": low}


def known_thresholds(scale: KnownScale, raw: Mapping[str, float]) -> dict[str, float]:
    """Return the known scores of raw thresholds in order, as they are kept: no two are equal, each tells its name."""
    steps = {name: float(scale(np.array(threshold))) * STEPS for name, threshold in raw.items()}
    balanced = round(steps["balanced"])
    normal = min(math.floor(steps["normal"]), balanced - 1)
    high = min(math.floor(steps["high"]), normal - 1)
    low = max(math.ceil(steps["low"]), balanced + 1)
    return {"balanced": balanced / STEPS, "high": high / STEPS, "normal": normal / STEPS, "low": low / STEPS}


def _slope(spread: float, gap: float) -> float:
    return float(gap / max(spread, np.finfo(float).tiny) ** 2)


def _lower(scores: np.ndarray, share: float) -> float:
    """Return what the next score falls short of by `share`: the quantile whose expectation is right for few clips."""
    return float(np.quantile(scores, share, method="weibull"))


def _upper(scores: np.ndarray, share: float) -> float:
    return float(np.quantile(scores, 1 - share, method="weibull"))
