"""Is it a known sound at all, where labels are words and no audio was taught.

A label's cosine says little by itself: some texts lie near to every sound. What counts is how far the winning label's
cosine stands out among those of the bank's clips with the same text, in their standard deviations. The bank holds clips
that the labels may well name (a dog among "anything else" where a label is dog), so its highest scores are not those of
unknown sounds, and thresholds lie lower in it than they do for taught heads. Words for other things ("noise" and
"something else", or the names of the bank's families) as further columns were measured, and tell no more apart.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from aspl.heads.unknown import KnownScale

# B clips, m background clips, K labels, D joint width

ACCEPTED = {"high": 0.3, "normal": 0.2, "balanced": 0.15, "low": 0.05}  # of the bank, the labels' own sounds included
SLOPE = 0.93  # log-odds of being known for a deviation; measured on five sets of recordings


@dataclass(frozen=True, eq=False)
class CosineBackground:
    """How the bank's clips score under K texts (or trained class features).

    Attributes:
        mean, deviation: `[K]`, of the bank's cosines with each.
        raw: `[m]`, the bank's own raw known scores.
    """

    mean: np.ndarray
    deviation: np.ndarray
    raw: np.ndarray

    @classmethod
    def of_bank(cls, joint: np.ndarray, class_features: np.ndarray) -> Self:
        """Return what the bank `joint` `[m, D]` says of `class_features` `[K, D]`, both of unit norm."""
        cosines = joint.astype(np.float64) @ class_features.astype(np.float64).T
        mean, deviation = cosines.mean(0), np.maximum(cosines.std(0), np.finfo(np.float32).eps)
        return cls(mean, deviation, _raw_known(cosines, mean, deviation))

    def raw_known(self, cosines: np.ndarray) -> np.ndarray:
        """Return `[B]`, the winning label's cosine in the bank's deviations from its mean, of cosines `[B, K]`."""
        return _raw_known(cosines.astype(np.float64), self.mean, self.deviation)

    def threshold(self, sensitivity: str = "balanced") -> float:
        """Return the raw score under which a clip is unknown, the one that a share of the bank reaches."""
        return float(np.quantile(self.raw, 1 - ACCEPTED[sensitivity], method="weibull"))

    def scale(self) -> KnownScale:
        """Return the scale on which the balanced threshold is one half."""
        return KnownScale(slope=SLOPE, middle=self.threshold())


def _raw_known(cosines: np.ndarray, mean: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    winner = cosines.argmax(1)
    return (cosines[np.arange(len(cosines)), winner] - mean[winner]) / deviation[winner]
