"""Ridge regression on one-hot targets in closed form, with the held-out predictions that come with it for free.

With the rows of Z = sqrt(W) [X 1] and its thin singular value decomposition Z = U S V', the fit and its hat matrix are

    coefficients = V (S / (S^2 + penalty)) U' sqrt(W) Y        hat = U (S^2 / (S^2 + penalty)) U'

and what a clip (or a group of clips, g) would be given by a fit without it follows from the residuals of the whole fit:
e_g = (1 - hat_gg)^-1 (y - prediction)_g (Cook and Weisberg 1982, eq. 2.2.8; Rifkin and Lippert 2007 for ridge). One
decomposition, of the smaller of n x n and F x F, serves every penalty.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# n rows, F features, C columns of targets, r = rank of the weighted rows

PENALTIES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
SINGULAR = 1e-12  # eigenvalues under this share of the largest are rounding
MANY_ROWS = 1000
SKETCH_COLUMNS = 128


@dataclass(frozen=True, eq=False)
class RidgeFit:
    """One matrix and a bias, and what is needed to say what rows would have been given without them.

    Attributes:
        matrix, bias: `[C, F]` and `[C]`, float64: scores are `x @ matrix.T + bias`.
        penalty: the one of least weighted squared error on held-out rows.
        targets: `[n, C]`; `root`: `[n, 1]`, of the weights.
        left, shrink: `[n, r]` and `[r]`: the hat matrix of the weighted rows is `left * shrink @ left.T`.
    """

    matrix: np.ndarray
    bias: np.ndarray
    penalty: float
    targets: np.ndarray
    root: np.ndarray
    left: np.ndarray
    shrink: np.ndarray

    def scores(self, features: np.ndarray) -> np.ndarray:
        """Return `[B, C]` of features `[B, F]`."""
        return features @ self.matrix.T + self.bias

    def held_out(self, groups: np.ndarray | None = None) -> np.ndarray:
        """Return `[n, C]`, the scores of each row by a fit without it, or without all of its number in `groups`."""
        return self.targets - _held_out_residual(self.targets * self.root, self.left, self.shrink, groups) / self.root


def fit_ridge(
    features: np.ndarray,
    targets: np.ndarray,
    weights: np.ndarray,
    *,
    groups: np.ndarray | None = None,
    penalties: Sequence[float] = PENALTIES,
) -> RidgeFit:
    """Fit weighted ridge regression, the constant penalised like any feature.

    Args:
        features: `[n, F]`, of equal importance: scale them first.
        targets: `[n, C]`.
        weights: `[n]`, over 0.
        groups: `[n]`, rows of equal numbers are held out together to choose the penalty; None holds out each alone.
        penalties: over 0; the largest wins a tie.
    """
    root = np.sqrt(weights)[:, None]
    design = np.concatenate([features, np.ones((len(features), 1))], axis=1) * root  # [n, F + 1]
    goal = targets * root
    left, power = _decompose(design)  # [n, r], [r]
    sketch = _sketch(goal)
    alike = groups if len(features) <= MANY_ROWS else None  # of many rows one more or less is no matter

    def error(penalty: float) -> float:
        return float((_held_out_residual(sketch, left, power / (power + penalty), alike) ** 2).sum())

    penalty = min(sorted(penalties, reverse=True), key=error)
    coefficients = design.T @ (left @ (left.T @ goal / (power + penalty)[:, None]))  # [F + 1, C]
    return RidgeFit(
        matrix=coefficients[:-1].T.copy(),
        bias=coefficients[-1].copy(),
        penalty=penalty,
        targets=targets,
        root=root,
        left=left,
        shrink=power / (power + penalty),
    )


def shared(groups: np.ndarray) -> list[np.ndarray]:
    """Return the rows of each group that has more than one."""
    _, index, counts = np.unique(groups, return_inverse=True, return_counts=True)
    return [np.flatnonzero(index == group) for group in np.flatnonzero(counts > 1)]


def _decompose(design: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return left singular vectors `[n, r]` and squared singular values `[r]`, by the smaller Gram matrix."""
    num_rows, num_columns = design.shape
    is_dual = num_rows <= num_columns
    power, vectors = np.linalg.eigh(design @ design.T if is_dual else design.T @ design)
    kept = power > power[-1] * SINGULAR
    power, vectors = power[kept], vectors[:, kept]
    return (vectors if is_dual else design @ vectors / np.sqrt(power)), power


def _sketch(goal: np.ndarray) -> np.ndarray:
    """Return random sums of the columns `[n, C]`, which keep the sum of squares of what is linear in them.

    With 128 of them that sum is right to some percent and compares penalties as well as all columns do (Johnson and
    Lindenstrauss 1984; signs as in Achlioptas 2003). So few columns as that are left as they are.
    """
    num_columns = goal.shape[1]
    if num_columns <= SKETCH_COLUMNS:
        return goal
    signs = np.random.default_rng(0).integers(0, 2, (num_columns, SKETCH_COLUMNS)) * 2.0 - 1
    return goal @ (signs / np.sqrt(SKETCH_COLUMNS))


def _held_out_residual(goal: np.ndarray, left: np.ndarray, shrink: np.ndarray, groups: np.ndarray | None) -> np.ndarray:
    """Return the residuals `[n, C]` of weighted rows under fits without each row's group."""
    residual = goal - (left * shrink) @ (left.T @ goal)
    held_out = residual / (1 - (left**2) @ shrink)[:, None]
    for rows in [] if groups is None else shared(groups):
        held_out[rows] = _without(left[rows], shrink, residual[rows])
    return held_out


def _without(left: np.ndarray, shrink: np.ndarray, residual: np.ndarray) -> np.ndarray:
    """Return (I - left diag(shrink) left')^-1 residual, by the smaller of a g x g and an r x r system (Woodbury)."""
    num_rows, rank = left.shape
    if num_rows <= rank:
        return np.linalg.solve(np.eye(num_rows) - (left * shrink) @ left.T, residual)
    inner = np.diag(1 / shrink) - left.T @ left
    return residual + left @ np.linalg.solve(inner, left.T @ residual)
