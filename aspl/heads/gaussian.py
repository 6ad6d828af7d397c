"""Gaussian discriminants with one covariance, shrunk towards how clips of one sound differ elsewhere.

Features are whitened beforehand by the background's own within-family covariance, so the prior is the identity
(Friedman 1989, regularised discriminant analysis; Hatch, Kajarekar and Stolcke 2006, within-class covariance
normalisation). With class means m and R the clips about them,

    P = (PRIOR_CLIPS I + R'R)^-1        g_c(x) = x' P m_c - m_c' P m_c / 2

divided by the mean margin, so that they can be added to other scores. Held-out scores are those of fits without a fold.
Without its clips R_g the classes they are of, n_c clips each, have other means, and what is left of R'R is

    R'R - R_g' W R_g        W^-1 = I - C diag(1 / n_c) C'        C their classes, one-hot

so that by Woodbury all follows from W^-1 - R_g P R_g', which is no larger than the fold.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.sparse import csr_array

from aspl.heads.positive import inverse, solve, whole

# n clips, K classes, F features, g clips of a fold

PRIOR_CLIPS = 20.0


@dataclass(frozen=True, eq=False)
class GaussianFit:
    """Linear discriminants of K classes and the background, the mean margin between two means being 1.

    Attributes:
        matrix, bias: `[K + 1, F]` and `[K + 1]`, float64; the last row is the background's.
        features, classes, means: what was fitted, the background's mean last.
        weights: `[K + 1, F]`, P m of each mean; `between`: `[K + 1, K + 1]`, m' P m of each two.
        lower: the Cholesky factor of PRIOR_CLIPS I + R R', `[n, n]`, where n is at most F, or else of P^-1, `[F, F]`.
    """

    matrix: np.ndarray
    bias: np.ndarray
    features: np.ndarray
    classes: np.ndarray
    means: np.ndarray
    weights: np.ndarray
    between: np.ndarray
    lower: np.ndarray

    def scores(self, features: np.ndarray) -> np.ndarray:
        """Return `[B, K + 1]` of whitened features `[B, F]`."""
        return features @ self.matrix.T + self.bias

    def held_out(self, folds: np.ndarray) -> np.ndarray:
        """Return `[n, K + 1]`, the scores of each clip by a fit without all clips of its number in `folds`.

        Clips of a negative fold, and of one that is all that a class has, are not held out.
        """
        held_out = self.scores(self.features)
        counts = np.bincount(self.classes)
        for fold in np.unique(folds[folds >= 0]):
            rows = np.flatnonzero(folds == fold)
            if (counts > np.bincount(self.classes[rows], minlength=len(counts))).all():
                held_out[rows] = self._scores_without(rows, counts)
        return held_out

    def _scores_without(self, rows: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """Return `[g, K + 1]`, the scores of clips by a fit without them.

        Args:
            counts: `[K]`, of all clips, by class.
        """
        classes, counts = self.classes[rows], np.append(counts, 1)
        one_hot = np.eye(len(counts))[classes]  # [g, K + 1], with none of the background
        moved = one_hot / (counts - one_hot.sum(0))  # its transpose times -R_g is by how much the means move
        centred, between = self.features[rows] - self.means[classes], self.between
        hat, about = self._hat(rows, centred), centred @ self.weights.T  # R_g P R_g', R_g P M'
        crossed, seen = about.T @ moved, about - hat @ moved
        heard = (between - crossed)[classes] + seen
        between = between - crossed - crossed.T + moved.T @ hat @ moved
        solved = solve(np.eye(len(rows)) - one_hot / counts @ one_hot.T - hat, seen)
        heard += (about.T[classes] + hat) @ solved
        between += seen.T @ solved
        scale = _mean_margin(between)
        return heard / scale - np.diag(between) / (2 * scale)

    def _hat(self, rows: np.ndarray, centred: np.ndarray) -> np.ndarray:
        """Return `[g, g]`, R_g P R_g' of the clips of these ascending numbers, `centred` `[g, F]` about their means."""
        if len(self.lower) == len(self.features):
            return np.eye(len(rows)) - PRIOR_CLIPS * whole(self._inverse[np.ix_(rows, rows)])
        half = solve_triangular(self.lower, centred.T, lower=True, check_finite=False)
        return half.T @ half

    @cached_property
    def _inverse(self) -> np.ndarray:
        """Return the lower triangle of (PRIOR_CLIPS I + R R')^-1, `[n, n]`."""
        return inverse(self.lower)


def fit_gaussian(features: np.ndarray, classes: np.ndarray, background_mean: np.ndarray) -> GaussianFit:
    """Fit the discriminants.

    Args:
        features: `[n, F]`, whitened.
        classes: `[n]`, 0 to K - 1, each at least once.
        background_mean: `[F]`.
    """
    num_clips, num_features = features.shape
    shares = csr_array((1 / np.bincount(classes)[classes], (classes, np.arange(num_clips))))  # [K, n]
    means = np.vstack([shares @ features, background_mean])
    centred = features - means[classes]  # R
    is_dual = num_clips <= num_features
    inner = centred @ centred.T if is_dual else centred.T @ centred
    inner[np.diag_indices(len(inner))] += PRIOR_CLIPS
    lower = cholesky(inner.T, lower=True, overwrite_a=True, check_finite=False)  # symmetric: no copy is made of .T
    if is_dual:  # P = (I - R' (PRIOR_CLIPS I + R R')^-1 R) / PRIOR_CLIPS
        weights = (means - cho_solve((lower, True), centred @ means.T).T @ centred) / PRIOR_CLIPS
    else:
        weights = cho_solve((lower, True), means.T).T
    between = means @ weights.T
    scale = _mean_margin(between)
    bias = -np.diag(between) / (2 * scale)
    return GaussianFit(weights / scale, bias, features, classes, means, weights, between, lower)


def _mean_margin(gram: np.ndarray) -> float:
    """Return the mean over classes of the margin at their mean over the others and the background, d' P d / 2."""
    norms = np.diag(gram)
    margins = (norms[:-1, None] + norms - 2 * gram[:-1]) / 2  # [K, K + 1], 0 against itself
    return max(float(margins.sum() / (margins.size - len(margins))), np.finfo(float).tiny)
