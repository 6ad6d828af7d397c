"""Is it a known sound at all, where labels are words and no audio was taught.

A label's cosine says little by itself: some texts lie near to every sound. What counts is how far the winning label's
cosine stands out among those of the bank's clips with the same text, in their standard deviations. The bank holds clips
that the labels may well name (a dog among "anything else" where a label is dog), so a share of it has to be let
through, and a label's own sounds must not be lost: the default is lenient. `benchmarks.ear_methods` measures the rule.
Words for other things ("noise", "something else", the names of the bank's families) as further columns, the margin
over the next label and the nearest of the bank's clips were tried, and tell no more apart.
"""

import numpy as np

from aspl.heads.unknown import KnownScale
from aspl.known import KnownRule

# B clips, m background clips, K labels, D joint width

ACCEPTED = {"balanced": 0.4, "high": 0.7, "normal": 0.55, "low": 0.05}  # of the bank, the labels' own sounds included
EVEN = 0.15  # of the bank, where a sound is as likely to be known as not
SLOPE = 0.93  # log-odds of being known for a deviation; measured on five sets of recordings


def words_rule(bank_joint: np.ndarray, class_features: np.ndarray) -> KnownRule:
    """Return the rule that the bank sets for labels that are words.

    Args:
        bank_joint: `[m, D]`, the bank's joint embeddings, and `class_features`: `[K, D]`, both of unit norm.
    """
    cosines = bank_joint.astype(np.float64) @ class_features.astype(np.float64).T  # [m, K]
    mean, deviation = cosines.mean(0), np.maximum(cosines.std(0), np.finfo(np.float32).eps)
    winner = cosines.argmax(1)
    raw = (cosines[np.arange(len(cosines)), winner] - mean[winner]) / deviation[winner]  # [m]

    def reached_by(share: float) -> np.ndarray:
        return np.quantile(raw, 1 - share, method="weibull")

    scale = KnownScale(slope=SLOPE, middle=float(reached_by(EVEN)))
    rows = {
        name: (round(float(scale(reached_by(share))), 6),) * len(class_features) for name, share in ACCEPTED.items()
    }
    return KnownRule(scale.slope, scale.middle, rows["balanced"], rows, tuple(mean.tolist()), tuple(deviation.tolist()))
