"""What a clip is heard as, brought to one scale, which the background sets once for each base model.

Deviations are taken in logarithms, every number by the background's mean and deviation, every block (the means, the
deviations or the peaks of a stage, or the joint embedding) to equal weight. The whitening is by how clips of one family
of background sounds differ, shrunk towards the identity: what varies between recordings of one sound says little of
which sound it is.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from aspl.stage_layout import StageLayout

# n clips, m background clips, S numbers of all stages, D joint width, F = S + D features, r <= m

DEVIATION_FLOOR = 1e-3
WHITENING_SHRINKAGE = 0.3


@dataclass(frozen=True, eq=False)
class FeatureScale:
    """Attributes:
    is_deviation: `[F]`, which statistics are deviations.
    mean, gain: `[F]`.
    directions, excess: `[F, r]` and `[r]`; the whitening is `(I - directions * excess @ directions.T) / spread`,
        which needs no F x F matrix.
    """

    is_deviation: np.ndarray
    mean: np.ndarray
    gain: np.ndarray
    directions: np.ndarray
    excess: np.ndarray
    spread: float

    @classmethod
    def of_background(cls, stages: np.ndarray, joint: np.ndarray, families: np.ndarray, layout: StageLayout) -> Self:
        """Return the scale that background clips set.

        Args:
            stages: `[m, S]` or more, of which what lies beyond the layout is not read.
            joint: `[m, D]`, joint embeddings.
            families: `[m]`, equal numbers for clips of one family.
            layout: of what is to be read of the stages.
        """
        blocks = np.array([*layout.blocks, joint.shape[1]])
        is_deviation = np.append(layout.is_deviation, np.zeros(joint.shape[1], bool))
        logged = _logged(stages, joint, is_deviation)
        mean, deviation = logged.mean(0), logged.std(0)
        gain = np.repeat(blocks**-0.5, blocks) / np.maximum(deviation, np.finfo(float).tiny)
        return cls(is_deviation, mean, gain, *_whitening((logged - mean) * gain, families))

    def logged(self, stages: np.ndarray, joint: np.ndarray) -> np.ndarray:
        """Return `[n, F]` float64, the deviations in logarithms: what a folded head is a linear map of.

        Of the stages what lies beyond the layout is not read.
        """
        return _logged(stages, joint, self.is_deviation)

    def scaled(self, stages: np.ndarray, joint: np.ndarray) -> np.ndarray:
        """Return `[n, F]` float64."""
        return (self.logged(stages, joint) - self.mean) * self.gain

    def whitened(self, scaled: np.ndarray) -> np.ndarray:
        """Return `[n, F]` of scaled features `[n, F]`; a symmetric map, so a matrix on them is folded by it too."""
        return (scaled - (scaled @ self.directions * self.excess) @ self.directions.T) / self.spread


def _logged(stages: np.ndarray, joint: np.ndarray, is_deviation: np.ndarray) -> np.ndarray:
    read = stages[:, : len(is_deviation) - joint.shape[1]]
    heard = np.concatenate([read, joint], axis=1, dtype=np.float64)
    heard[:, is_deviation] = np.log(np.maximum(heard[:, is_deviation], 0) + DEVIATION_FLOOR)
    return heard


def _whitening(scaled: np.ndarray, families: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Return the parts of ((1 - s) C + s tr(C) / F I)^(-1/2), C the covariance within families, of rank r."""
    _, index, counts = np.unique(families, return_inverse=True, return_counts=True)
    centres = np.zeros((len(counts), scaled.shape[1]))
    np.add.at(centres, index, scaled / counts[index, None])
    within = (scaled - centres[index]) / np.sqrt(max(len(scaled) - len(counts), 1))
    _, deviations, directions = np.linalg.svd(within, full_matrices=False)
    variances = deviations**2
    level = WHITENING_SHRINKAGE * (variances.sum() / scaled.shape[1] or 1.0)
    excess = 1 - np.sqrt(level / ((1 - WHITENING_SHRINKAGE) * variances + level))
    return directions.T, excess, float(np.sqrt(level))
