"""How far a figure of a few clips may be from the truth."""

from math import sqrt

Z_95 = 1.96


def wilson(share: float, num_clips: float, *, z: float = Z_95) -> tuple[float, float]:
    """Return the interval of a share of `num_clips` (Wilson 1927), 95 % by default."""
    spread = z**2 / num_clips
    middle = (share + spread / 2) / (1 + spread)
    half = z * sqrt(share * (1 - share) / num_clips + spread / (4 * num_clips)) / (1 + spread)
    return max(0.0, middle - half), min(1.0, middle + half)
