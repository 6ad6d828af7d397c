"""Gaussian discriminants with one covariance, shrunk towards how clips of one sound differ elsewhere.

Features are whitened beforehand by the background's own within-family covariance, so the prior is the identity
(Friedman 1989, regularised discriminant analysis; Hatch, Kajarekar and Stolcke 2006, within-class covariance
normalisation). With class means m and scatter S = R'R of the clips about them,

    P = (PRIOR_CLIPS I + S)^-1        g_c(x) = x' P m_c - m_c' P m_c / 2

divided by the mean margin, so that they can be added to other scores. Held-out scores are those of fits without a
fold. One inverse of the clips' Gram matrix serves every fold: a fold less is a part of it, whose inverse follows by the
Schur complement, and the class means are K rows that are taken off, by Woodbury's identity.
"""

from dataclasses import dataclass

import numpy as np

# n clips, K classes, F features, r = min(n + 1, F) directions that the clips and the background's mean span

FEW_GROUPS = 4  # that are held out, up to which a fit for each takes less than taking them out of one
PRIOR_CLIPS = 20.0
LARGEST_ERROR = 1e-3  # of the scores, by rounding, up to which folds are taken out of one inverse


@dataclass(frozen=True, eq=False)
class GaussianFit:
    """Linear discriminants of K classes and the background, the mean margin between two means being 1.

    Attributes:
        matrix, bias: `[K + 1, F]` and `[K + 1]`, float64; the last row is the background's.
        features, classes, means: what was fitted, the background's mean last.
    """

    matrix: np.ndarray
    bias: np.ndarray
    features: np.ndarray
    classes: np.ndarray
    means: np.ndarray

    def scores(self, features: np.ndarray) -> np.ndarray:
        """Return `[B, K + 1]` of whitened features `[B, F]`."""
        return features @ self.matrix.T + self.bias

    def held_out(self, groups: np.ndarray) -> np.ndarray:
        """Return `[n, K + 1]`, the scores of each clip by a fit without all clips of its number in `groups`.

        Where a group is all that a class has, its clips are not held out.
        """
        if len(np.unique(groups)) <= FEW_GROUPS:
            return self._fitted_without(groups)
        held_out = self.scores(self.features)
        gram = self.features @ self.features.T  # [n, n]
        background = self.features @ self.means[-1]  # [n]
        inverse = np.linalg.inv(gram + PRIOR_CLIPS * np.eye(len(gram)))
        for group in np.unique(groups):
            rest, out = np.flatnonzero(groups != group), np.flatnonzero(groups == group)
            counts = np.bincount(self.classes[rest], minlength=len(self.means) - 1)
            if not counts.all():
                continue
            share = np.zeros((len(counts), len(rest)))  # [K, rest], what each class mean is of the clips that remain
            share[self.classes[rest], np.arange(len(rest))] = 1 / counts[self.classes[rest]]
            cross = np.column_stack([gram[np.ix_(rest, rest)] @ share.T, background[rest]])  # [rest, K + 1]
            solved = _without(inverse, rest, out, cross)
            norm = self.means[-1] @ self.means[-1]
            between = np.block([[share @ cross], [np.append(share @ background[rest], norm)[None]]])  # [K + 1, K + 1]
            seen = np.column_stack([gram[np.ix_(out, rest)] @ share.T, background[out]])  # [out, K + 1]
            # Clips so far from all others and so alike leave nothing of the differences below.
            rounding = np.finfo(float).eps * (counts.max() * np.abs(between).max() / PRIOR_CLIPS) ** 2
            if rounding > LARGEST_ERROR:
                held_out[out] = self._scores_without(rest, out)
                continue
            between = (between - cross.T @ solved) / PRIOR_CLIPS
            seen = (seen - gram[np.ix_(out, rest)] @ solved) / PRIOR_CLIPS
            weights, seen = _centred(between, seen, counts)
            scale = _mean_margin(weights)
            held_out[out] = seen / scale - np.diag(weights) / (2 * scale)
        return held_out

    def _scores_without(self, rest: np.ndarray, out: np.ndarray) -> np.ndarray:
        return fit_gaussian(self.features[rest], self.classes[rest], self.means[-1]).scores(self.features[out])

    def _fitted_without(self, groups: np.ndarray) -> np.ndarray:
        """As `held_out`, by a fit for each group: cheaper where groups are few and large."""
        held_out = self.scores(self.features)
        second = _second_moment(self.features)
        for group in np.unique(groups):
            rest = groups != group
            if len(np.unique(self.classes[rest])) == len(self.means) - 1:
                out = self.features[~rest]
                moment = None if second is None else second - out.T @ out
                part = fit_gaussian(self.features[rest], self.classes[rest], self.means[-1], second=moment)
                held_out[~rest] = part.scores(out)
        return held_out


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
    counts = np.bincount(classes)
    means = np.zeros((len(counts) + 1, features.shape[1]))
    np.add.at(means, classes, features / counts[classes, None])
    means[-1] = background_mean
    second = _second_moment(features) if second is None else second
    if second is None:
        weights = _solve(features - means[classes], means)  # [K + 1, F], P m
    else:
        scatter = second - means[:-1].T @ (counts[:, None] * means[:-1])
        weights = np.linalg.solve(PRIOR_CLIPS * np.eye(len(scatter)) + scatter, means.T).T
    gram = means @ weights.T
    scale = _mean_margin(gram)
    return GaussianFit(
        matrix=weights / scale,
        bias=-np.diag(gram) / (2 * scale),
        features=features,
        classes=classes,
        means=means,
    )


def _second_moment(features: np.ndarray) -> np.ndarray | None:
    """Return the sum of outer products `[F, F]`, None where it is the larger system: there are no more clips than F."""
    return features.T @ features if len(features) > features.shape[1] else None


def _without(inverse: np.ndarray, rest: np.ndarray, out: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return the inverse of the part `rest` of a matrix times `rows`, from the inverse of the whole."""
    edge = inverse[np.ix_(rest, out)]
    part = inverse[np.ix_(rest, rest)] @ rows
    return part - edge @ np.linalg.solve(inverse[np.ix_(out, out)], edge.T @ rows)


def _centred(between: np.ndarray, seen: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return products under P of those under (PRIOR_CLIPS I + X'X)^-1: S = X'X less the class means' own scatter.

    Args:
        between: `[K + 1, K + 1]`, of the means with each other, the background's last.
        seen: `[B, K + 1]`, of clips with the means.
        counts: `[K]`, clips of each class.
    """
    num_classes = len(counts)
    part = np.linalg.solve(np.diag(1 / counts) - between[:num_classes, :num_classes], between[:num_classes])
    return between + between[:, :num_classes] @ part, seen + seen[:, :num_classes] @ part


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
