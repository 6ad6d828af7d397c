"""Gaussian discriminants with one covariance, shrunk towards how clips of one sound differ elsewhere.

Features are whitened beforehand by the background's own within-family covariance, so the prior is the identity
(Friedman 1989, regularised discriminant analysis; Hatch, Kajarekar and Stolcke 2006, within-class covariance
normalisation). With class means m and scatter S = R'R of the clips about them,

    P = (PRIOR_CLIPS I + S)^-1        g_c(x) = x' P m_c - m_c' P m_c / 2

divided by the mean margin, so that they can be added to other scores. Held-out scores are those of fits without a
fold. Clips are many products with each other and few otherwise: of no more clips than features a fit without some of
them is made of the Gram matrix of all, of more of their second moment.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg import cho_factor, cho_solve

# n clips, K classes, F features

PRIOR_CLIPS = 20.0


@dataclass(frozen=True, eq=False)
class GaussianFit:
    """Linear discriminants of K classes and the background, the mean margin between two means being 1.

    Attributes:
        matrix, bias: `[K + 1, F]` and `[K + 1]`, float64; the last row is the background's.
        features, classes, means: what was fitted, the background's mean last.
        gram: `[n, n]`, the features' products with each other, where n is at most F; None of more.
        second: `[F, F]`, of more, the sum of their outer products.
    """

    matrix: np.ndarray
    bias: np.ndarray
    features: np.ndarray
    classes: np.ndarray
    means: np.ndarray
    gram: np.ndarray | None
    second: np.ndarray | None

    def scores(self, features: np.ndarray) -> np.ndarray:
        """Return `[B, K + 1]` of whitened features `[B, F]`."""
        return features @ self.matrix.T + self.bias

    def held_out(self, folds: np.ndarray) -> np.ndarray:
        """Return `[n, K + 1]`, the scores of each clip by a fit without all clips of its number in `folds`.

        Clips of a negative fold, and of one that is all that a class has, are not held out.
        """
        held_out = self.scores(self.features)
        scores_without = self._scores_by_moment if self.gram is None else self._scores_by_gram
        for fold in np.unique(folds[folds >= 0]):
            rest, out = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
            if np.bincount(self.classes[rest], minlength=len(self.means) - 1).all():
                held_out[out] = scores_without(rest, out)
        return held_out

    @cached_property
    def _sums(self) -> np.ndarray:
        """`[K, n]`, each clip's products with the sum of a class."""
        return _class_sums(self.gram, self.classes)

    def _scores_by_moment(self, rest: np.ndarray, out: np.ndarray) -> np.ndarray:
        """Return the scores of clips `out` by a fit to clips `rest`: what it needs of them is `[F, F]`."""
        taken = self.features[out]
        second = self.second - taken.T @ taken
        return fit_gaussian(self.features[rest], self.classes[rest], self.means[-1], second=second).scores(taken)

    def _scores_by_gram(self, rest: np.ndarray, out: np.ndarray) -> np.ndarray:
        """As `_scores_by_moment`; what it needs of them is `[n, n]`.

        A mean is known by its products with all clips and all means; see `_about_means`.
        """
        classes, gram, background = self.classes[rest], self.gram, self.means[-1]
        sums = self._sums.copy()
        left, counts = np.unique(self.classes[out]), np.bincount(classes)
        sums[left] -= _class_sums(gram[out], self.classes[out])
        by_means = np.vstack([sums / counts[:, None], self.features @ background])  # [K + 1, n]
        between = _class_sums(by_means.T[rest], classes) / counts[:, None]  # [K, K + 1]
        between = np.vstack([between, np.append(between[:, -1], background @ background)])
        heard, seen = by_means[:, rest].T, by_means[:, out].T
        about, solved = _about_means(gram[np.ix_(rest, rest)], heard, between, classes)
        weights = (between - about.T @ solved) / PRIOR_CLIPS
        seen = (seen - (gram[np.ix_(out, rest)] - seen[:, classes]) @ solved) / PRIOR_CLIPS
        scale = _mean_margin(weights)
        return seen / scale - np.diag(weights) / (2 * scale)


def _about_means(
    gram: np.ndarray, heard: np.ndarray, between: np.ndarray, classes: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return R M' and (PRIOR_CLIPS I + R R')^-1 R M', `[n, K + 1]`, R the clips about their class means, M the means.

    With them P = (I - R' (PRIOR_CLIPS I + R R')^-1 R) / PRIOR_CLIPS (Woodbury) need not be made.

    Args:
        gram, heard, between: the products of clips and clips `[n, n]`, clips and means, means and means.
        classes: `[n]`.
    """
    about = heard - between[classes]
    inner = gram - heard[:, classes] - about[:, classes].T
    inner[np.diag_indices(len(inner))] += PRIOR_CLIPS
    return about, _solve(inner, about)


def _solve(positive: np.ndarray, goal: np.ndarray) -> np.ndarray:
    """Solve a positive definite system, whose matrix is lost by it."""
    return cho_solve(cho_factor(positive, overwrite_a=True, check_finite=False), goal, check_finite=False)


def _class_sums(rows: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return the sum of the rows `[n, .]` of each class that is there, in the classes' order."""
    order = np.argsort(classes, kind="stable")
    counts = np.bincount(classes)
    starts = (np.cumsum(counts) - counts)[counts > 0]
    return np.add.reduceat(rows[order], starts, axis=0)


def fit_gaussian(
    features: np.ndarray, classes: np.ndarray, background_mean: np.ndarray, *, second: np.ndarray | None = None
) -> GaussianFit:
    """Fit the discriminants.

    Args:
        features: `[n, F]`, whitened.
        classes: `[n]`, 0 to K - 1, each at least once.
        background_mean: `[F]`.
        second: `[F, F]`, the sum of the features' outer products where it is at hand.
    """
    num_clips, num_features = features.shape
    counts = np.bincount(classes)
    means = np.vstack([_class_sums(features, classes) / counts[:, None], background_mean])
    gram = None
    if second is None and num_clips > num_features:
        second = features.T @ features
    if second is None:
        gram = features @ features.T
        _, solved = _about_means(gram, features @ means.T, means @ means.T, classes)
        taken = solved.T @ features - _class_sums(solved, classes).T @ means[:-1]  # [K + 1, F]
        weights = (means - taken) / PRIOR_CLIPS  # P m
    else:
        scatter = second - means[:-1].T @ (counts[:, None] * means[:-1])
        scatter[np.diag_indices(num_features)] += PRIOR_CLIPS
        weights = _solve(scatter, means.T).T
    between = means @ weights.T
    scale = _mean_margin(between)
    return GaussianFit(
        matrix=weights / scale,
        bias=-np.diag(between) / (2 * scale),
        features=features,
        classes=classes,
        means=means,
        gram=gram,
        second=second,
    )


def _mean_margin(gram: np.ndarray) -> float:
    """Return the mean over classes of the margin at their mean over the others and the background, d' P d / 2."""
    norms = np.diag(gram)
    margins = (norms[:-1, None] + norms - 2 * gram[:-1]) / 2  # [K, K + 1], 0 against itself
    return max(float(margins.sum() / (margins.size - len(margins))), np.finfo(float).tiny)
