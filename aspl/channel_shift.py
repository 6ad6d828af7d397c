"""A channel out of differences between curves: what a microphone that nobody described adds in each mel bin.

A live clip's curve is that of its label, plus what this clip has of its own, plus the channel. What clips have of their
own is much, their level alone 15 dB where it is not brought to one. So the mean difference is no channel yet: the
estimate is the mean of its Gaussian posterior. Beforehand a channel is a smooth curve over octaves, perhaps tilted or
cut at its upper end, and nearly no level; what clips have of their own varies as it did among those that taught, alike
in neighbouring bins, and less in the mean of more clips.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from aspl.curves import TaughtCurves

# n clips, K labels, M mel bins

LEVEL_DB, SMOOTH_DB, SMOOTH_OCTAVES = 2.0, 7.0, 0.4  # of channels, beforehand
TILT_DB = 1.5  # an octave, over all of them
EDGE_HZ, EDGE_DB = 6000.0, 15.0  # above it microphones, rooms and codecs cut: over an octave so much more
EVIDENCE_SIZE = 0.25  # of these, in the question whether there is another channel at all: many are as small as that
OWN_BINS = 80.0  # over so many mel bins the likeness of what a clip has of its own falls to 1 / e
OWN_ALONE = 0.5  # of that variance which each bin has for itself, or else level differences would be told to a hair
LABEL_SHARE = 0.8  # of that variance which clips of one label, heard live together, have in common
DEVIATION_FLOOR_DB = 1.0
MOST_DB = 20.0  # no more is put right in any mel bin
KNOWN_POWER = 3  # a clip counts by its known score to this power: what was not taught says nothing of the channel

SCALARS = 3
LEAST_WEIGHT = 1e-6  # in place of none, so that what nothing was heard of is as good as unknown


@dataclass(frozen=True, eq=False)
class Differences:
    """Sums over live clips, each by its weight, of its curve less that of the label it is taken for.

    Attributes:
        clips: how many there were; `weight` and `squared_weight`: sums of their weights, and of the squares.
        by_label: `[K]`, the weight of each label.
        total: `[M]` in dB, and `squares`: `[M]`.
    """

    clips: float
    weight: float
    squared_weight: float
    by_label: np.ndarray
    total: np.ndarray
    squares: np.ndarray

    @classmethod
    def of(cls, curves: np.ndarray, posteriors: np.ndarray, weights: np.ndarray, taught: TaughtCurves) -> Self:
        """Return the sums of n clips.

        Args:
            curves: `[n, M]` in dB, without any correction.
            posteriors: `[n, K]`, how likely each label is; `weights`: `[n]`, 0 to 1, see `clip_weights`.
        """
        differences = curves - posteriors @ taught.mean[:-1].astype(np.float64)
        return cls(
            clips=float(len(curves)),
            weight=float(weights.sum()),
            squared_weight=float((weights**2).sum()),
            by_label=weights @ posteriors,
            total=weights @ differences,
            squares=weights @ differences**2,
        )

    @classmethod
    def from_vector(cls, vector: np.ndarray, num_labels: int) -> Self:
        """Return what `vector` was made of; raises ValueError for one that it was not."""
        rows = np.asarray(vector, float)
        if rows.ndim != 1 or len(rows) <= SCALARS + num_labels or (len(rows) - SCALARS - num_labels) % 2:
            raise ValueError(f"{rows.shape} numbers are no differences of {num_labels} labels")
        if not np.isfinite(rows).all():
            raise ValueError("differences hold something that is no number")
        rest = rows[SCALARS + num_labels :]
        return cls(*map(float, rows[:SCALARS]), rows[SCALARS : SCALARS + num_labels], *np.split(rest, 2))

    def vector(self) -> np.ndarray:
        """Return all of it in a row, `[3 + K + 2 M]`: sums, so that those of two parts add up."""
        scalars = [self.clips, self.weight, self.squared_weight]
        return np.concatenate([scalars, self.by_label, self.total, self.squares])

    def behind(self, channel: np.ndarray) -> Self:
        """Return the same for clips to which `channel` `[M]` dB is added."""
        squares = self.squares + 2 * channel * self.total + self.weight * channel**2
        return replace(self, total=self.total + self.weight * channel, squares=squares)

    @property
    def num_labels(self) -> float:
        """How many labels share the weight, one that is hardly heard counting hardly."""
        return float(self.by_label.sum() ** 2 / max((self.by_label**2).sum(), LEAST_WEIGHT))

    @property
    def mean(self) -> np.ndarray:
        """`[M]` in dB."""
        return self.total / max(self.weight, LEAST_WEIGHT)

    @property
    def deviation(self) -> np.ndarray:
        """`[M]` in dB."""
        return np.sqrt(np.maximum(self.squares / max(self.weight, LEAST_WEIGHT) - self.mean**2, 0))

    @property
    def num_effective(self) -> float:
        """See the function of the same name."""
        return num_effective(self.weight, self.squared_weight)


@dataclass(frozen=True, eq=False)
class Shift:
    """What a channel adds, as far as differences tell.

    Attributes:
        curve: `[M]` in dB; its negative puts it right.
        evidence: natural logarithm of how many times likelier the differences are with another channel than without.
    """

    curve: np.ndarray
    evidence: float

    @property
    def size_db(self) -> float:
        """The root of the mean square of the curve, its level left out."""
        return float(self.curve.std())


def num_effective(weight: float, squared_weight: float) -> float:
    """Return how many clips of full weight say as much; of many doubtful ones no more than their weights add up to.

    Args:
        weight, squared_weight: sums over the clips, of their weights and of those squared.
    """
    return min(weight, weight**2 / squared_weight) if squared_weight else 0.0


def clip_weights(known: np.ndarray) -> np.ndarray:
    """Return `[n]`, how much clips of these known scores count."""
    return known**KNOWN_POWER


def estimate_shift(
    differences: Differences, taught: TaughtCurves, shots: Sequence[int], centres_hz: np.ndarray
) -> Shift:
    """Return the channel's shift.

    Args:
        shots: of each label, how many clips it was taught with.
        centres_hz: `[M]`, of the mel bins.
    """
    prior = _prior(centres_hz)
    noise = _own(taught, np.asarray(shots, float)) * _error_share(differences, np.asarray(shots, float))
    curve = prior @ np.linalg.solve(prior + noise, differences.mean)
    evidence = _evidence(differences.mean, EVIDENCE_SIZE**2 * prior, noise)
    return Shift(np.clip(curve, -MOST_DB, MOST_DB), evidence)


def _prior(centres_hz: np.ndarray) -> np.ndarray:
    """Return `[M, M]`, the covariance of channels: level, tilt, what is smooth, and a random walk beyond the edge."""
    octaves = np.log2(centres_hz)
    apart = np.subtract.outer(octaves, octaves) / SMOOTH_OCTAVES
    tilt, beyond = octaves - octaves.mean(), np.maximum(octaves - np.log2(EDGE_HZ), 0)
    smooth = LEVEL_DB**2 + SMOOTH_DB**2 * np.exp(-0.5 * apart**2)
    return smooth + TILT_DB**2 * np.outer(tilt, tilt) + EDGE_DB**2 * np.minimum.outer(beyond, beyond)


def _evidence(mean: np.ndarray, prior: np.ndarray, noise: np.ndarray) -> float:
    ratio = np.linalg.slogdet(prior + noise)[1] - np.linalg.slogdet(noise)[1]
    return float(0.5 * (mean @ np.linalg.solve(noise, mean) - mean @ np.linalg.solve(prior + noise, mean) - ratio))


def _own(taught: TaughtCurves, shots: np.ndarray) -> np.ndarray:
    """Return `[M, M]`, the covariance of clips' curves about their label's."""
    squares = (taught.deviation[:-1].astype(np.float64) ** 2 * shots[:, None]).sum(0)
    freedom = (shots - 1).sum()
    # Labels of one clip each say nothing of how clips of a label differ; how all clips differ is an upper bound.
    variance = squares / freedom if freedom > 0 else taught.deviation[-1].astype(np.float64) ** 2
    deviation = np.sqrt(variance + DEVIATION_FLOOR_DB**2)
    bins = np.arange(len(deviation))
    alike = np.exp(-np.abs(np.subtract.outer(bins, bins)) / OWN_BINS)
    return np.outer(deviation, deviation) * ((1 - OWN_ALONE) * alike + OWN_ALONE * np.eye(len(bins)))


def _error_share(differences: Differences, shots: np.ndarray) -> float:
    """Return the variance of the mean difference by that of one clip.

    Of the live clips there are so many; each label's curve is itself a mean of few; and what clips of one label have in
    common that day does not go away with more of them, only with more labels.
    """
    shares = differences.by_label / max(differences.weight, LEAST_WEIGHT)
    live = 1 / max(differences.num_effective, LEAST_WEIGHT)
    return float(live + (shares**2 / shots).sum() + LABEL_SHARE * (shares**2).sum())
