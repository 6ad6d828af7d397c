"""How far a figure of a few clips may be from the truth.

Wilson's interval takes clips for independent. Held-out ones are not: each fit without a few of them shares most of its
clips with the next, and is not the adapter itself. On random splits of recordings held-out accuracy strays from that on
unseen clips as if a third of the clips were not there (`python -m benchmarks.ear_report`), so a third is left out.
"""

from collections.abc import Sequence
from math import sqrt

Z_95 = 1.96
HELD_OUT_WORTH = 0.65  # of an unseen clip


def wilson(share: float, num_clips: float, *, z: float = Z_95) -> tuple[float, float]:
    """Return the interval, 95 % by default, of a share of `num_clips`, over 0 (Wilson 1927)."""
    spread = z**2 / num_clips
    middle = (share + spread / 2) / (1 + spread)
    half = z * sqrt(share * (1 - share) / num_clips + spread / (4 * num_clips)) / (1 + spread)
    return max(0.0, middle - half), min(1.0, middle + half)


def share_interval(share: float, counts: Sequence[int], *, is_held_out: bool, of_labels: bool) -> tuple[float, float]:
    """Return the 95 % interval of a share of clips, or of a mean of labels' shares.

    Args:
        counts: each label's clips, of which there are some.
        is_held_out: whether the clips were held out of fits, else they were never taught.
        of_labels: whether labels count alike, however many clips they have; then that of the fewest says the least.
    """
    kept = [count for count in counts if count]
    num_clips = len(kept) ** 2 / sum(1 / count for count in kept) if of_labels else sum(kept)
    return wilson(share, num_clips * (HELD_OUT_WORTH if is_held_out else 1.0))
