"""Gaussian discriminants with one covariance, shrunk towards how clips of one sound differ elsewhere.

Features are whitened beforehand by the background's own within-family covariance, so the prior is the identity
(Friedman 1989, regularised discriminant analysis; Hatch, Kajarekar and Stolcke 2006, within-class covariance
normalisation). With class means m and scatter S = R'R of the clips about them,

    P = (PRIOR_CLIPS I + S)^-1        g_c(x) = x' P m_c - m_c' P m_c / 2

Leaving clip i of class c out takes n_c / (n_c - 1) r_i r_i' from S and r_i / (n_c - 1) from m_c: Sherman and Morrison's
formula gives every held-out score from products of the whole fit.
"""

from dataclasses import dataclass

import numpy as np

from aspl.ridge import shared

# n clips, K classes, F features, r = min(n + 1, F) directions that the clips and the background's mean span

PRIOR_CLIPS = 20.0


@dataclass(frozen=True, eq=False)
class GaussianFit:
    """Linear discriminants of K classes and the background, the mean margin between two means being 1.

    Attributes:
        matrix, bias: `[K + 1, F]` and `[K + 1]`, float64; the last row is the background's.
        held_out: `[n, K + 1]`, each clip's scores without it; a class of one clip keeps its mean.
    """

    matrix: np.ndarray
    bias: np.ndarray
    held_out: np.ndarray

    def scores(self, features: np.ndarray) -> np.ndarray:
        """Return `[B, K + 1]` of whitened features `[B, F]`."""
        return features @ self.matrix.T + self.bias


def fit_gaussian(
    features: np.ndarray, classes: np.ndarray, background_mean: np.ndarray, *, groups: np.ndarray | None = None
) -> GaussianFit:
    """Fit the discriminants.

    Args:
        features: `[n, F]`, whitened.
        classes: `[n]`, 0 to K - 1, each at least once.
        background_mean: `[F]`.
        groups: `[n]`, clips of equal numbers are held out together, by a fit without them; no group may be a whole
            class of more than one clip. None holds out each alone.
    """
    counts = np.bincount(classes)
    means = np.zeros((len(counts) + 1, features.shape[1]))
    np.add.at(means, classes, features / counts[classes, None])
    means[-1] = background_mean
    centred = features - means[classes]  # [n, F]
    precision_means, precision_centred = _solve(centred, means), _solve(centred, centred)  # P M', P R' as rows
    gram = means @ precision_means.T  # [K + 1, K + 1]
    scale = _mean_margin(gram)
    matrix, bias = precision_means / scale, -np.diag(gram) / (2 * scale)
    held_out = _held_out(features, classes, counts, means, precision_means, centred, precision_centred, gram)
    for rows in [] if groups is None else shared(groups):
        rest = np.setdiff1d(np.arange(len(classes)), rows)
        held_out[rows] = fit_gaussian(features[rest], classes[rest], background_mean).scores(features[rows]) * scale
    return GaussianFit(matrix=matrix, bias=bias, held_out=held_out / scale)


def _solve(centred: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return `rows` `[., F]` times P, by the smaller of an n x n and an F x F system."""
    num_clips, num_features = centred.shape
    if num_clips > num_features:
        return np.linalg.solve(PRIOR_CLIPS * np.eye(num_features) + centred.T @ centred, rows.T).T
    inner = PRIOR_CLIPS * np.eye(num_clips) + centred @ centred.T
    return (rows - np.linalg.solve(inner, centred @ rows.T).T @ centred) / PRIOR_CLIPS


def _mean_margin(gram: np.ndarray) -> float:
    """Return the mean over classes of the margin at their mean over the others and the background, d' P d / 2."""
    norms = np.diag(gram)
    margins = (norms[:-1, None] + norms - 2 * gram[:-1]) / 2  # [K, K + 1], 0 against itself
    return max(float(margins.sum() / (margins.size - len(margins))), np.finfo(float).tiny)


def _held_out(
    features: np.ndarray,
    classes: np.ndarray,
    counts: np.ndarray,
    means: np.ndarray,
    precision_means: np.ndarray,
    centred: np.ndarray,
    precision_centred: np.ndarray,
    gram: np.ndarray,
) -> np.ndarray:
    clips, count = np.arange(len(features)), counts[classes]
    gain = count / np.maximum(count - 1, 1)
    step = np.where(count > 1, 1 / np.maximum(count - 1, 1), 0.0)
    own = (centred * precision_centred).sum(1)  # r' P r
    toward = (features * precision_centred).sum(1)  # x' P r
    growth = gain / (1 - gain * own)
    cross = centred @ precision_means.T  # [n, K + 1], r' P m
    linear = features @ precision_means.T + (growth * toward)[:, None] * cross
    square = np.diag(gram) + growth[:, None] * cross**2
    stretch = 1 + growth * own
    linear[clips, classes] -= step * toward * stretch
    square[clips, classes] += stretch * (step**2 * own - 2 * step * cross[clips, classes])
    return linear - square / 2
