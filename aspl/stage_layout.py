"""How what the Swin stages give is laid out: for each stage means, then deviations; behind them the stages' peaks."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

# S numbers of all stages


@dataclass(frozen=True)
class StageLayout:
    """Attributes:
    widths: channels of each stage, each with a mean and a deviation.
    peaks: how many peaks a stage has, bands of frequency times channels; empty for heads that read none.
    """

    widths: tuple[int, ...]
    peaks: tuple[int, ...] = ()

    @property
    def width(self) -> int:
        """S."""
        return 2 * sum(self.widths) + sum(self.peaks)

    @property
    def blocks(self) -> tuple[int, ...]:
        """Return the widths of the blocks that weigh the same: the means, deviations or peaks of a stage."""
        return (*np.repeat(self.widths, 2).tolist(), *self.peaks)

    @cached_property
    def is_deviation(self) -> np.ndarray:
        """`[S]`, which numbers are deviations."""
        kinds = [False, True] * len(self.widths) + [False] * len(self.peaks)
        return np.repeat(kinds, self.blocks)

    def without_peaks(self) -> "StageLayout":
        """Return what there was before peaks were heard, the first numbers of this layout."""
        return replace(self, peaks=())

    def of_width(self, width: int) -> "StageLayout":
        """Return the part of the layout that takes `width` numbers: all of it, or what comes before the peaks."""
        return self.without_peaks() if width == self.without_peaks().width else self
