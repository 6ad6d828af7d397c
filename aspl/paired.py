"""Two adapters on the same clips: how often each is right where the other is not, and whether that could be chance."""

from dataclasses import dataclass
from math import comb, sqrt

import numpy as np

# n clips

Z_95 = 1.96


@dataclass(frozen=True)
class Paired:
    """How a first and a second classifier did on the same clips.

    Attributes:
        difference: the first's share of right answers less the second's; None where there are no clips.
        difference_interval: it holds the difference on unseen clips 95 times in 100 (Agresti and Min 2005, who add
            half a clip to each of the four counts).
        p_value: how often two equally good ones would differ by as much, were they to differ on as many clips; exact
            (McNemar 1947). None where they differ on none.
    """

    num_clips: int
    both_right: int
    only_first: int
    only_second: int
    both_wrong: int
    difference: float | None
    difference_interval: tuple[float, float] | None
    p_value: float | None


def compare(first: np.ndarray, second: np.ndarray) -> Paired:
    """Return how two compare, of whether each was right: `[n]` and `[n]`, bool, n from 0."""
    if first.shape != second.shape:
        raise ValueError(f"{len(first)} clips of the first and {len(second)} of the second")
    both, only_first = int((first & second).sum()), int((first & ~second).sum())
    only_second, neither = int((~first & second).sum()), int((~first & ~second).sum())
    num_clips = len(first)
    if not num_clips:
        return Paired(0, 0, 0, 0, 0, None, None, None)
    return Paired(
        num_clips,
        both,
        only_first,
        only_second,
        neither,
        round((only_first - only_second) / num_clips, 4),
        _interval(only_first, only_second, num_clips),
        _p_value(only_first, only_second),
    )


def _interval(only_first: int, only_second: int, num_clips: int) -> tuple[float, float]:
    total, first, second = num_clips + 2, only_first + 0.5, only_second + 0.5
    middle = (first - second) / total
    half = Z_95 * sqrt(first + second - (first - second) ** 2 / total) / total
    return round(max(-1.0, middle - half), 4), round(min(1.0, middle + half), 4)


def _p_value(only_first: int, only_second: int) -> float | None:
    total = only_first + only_second
    if not total:
        return None
    tail = sum(comb(total, count) for count in range(min(only_first, only_second) + 1))
    return round(min(1.0, 2 * tail / 2**total), 4)
