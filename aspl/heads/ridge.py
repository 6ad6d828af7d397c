"""Ridge regression on one-hot targets in closed form, with the held-out predictions that come with it for free.

With the rows of Z = sqrt(W) [X 1], the fit and its hat matrix are

    coefficients = Z' (Z Z' + penalty)^-1 sqrt(W) Y        I - hat = penalty (Z Z' + penalty)^-1

and what a clip (or a group of clips, g) would be given by a fit without it follows from the residuals of the whole fit:
e_g = (1 - hat_gg)^-1 (y - prediction)_g (Cook and Weisberg 1982, eq. 2.2.8; Rifkin and Lippert 2007 for ridge). All of
it is done on the smaller of the Gram matrices n x n and F x F. One eigendecomposition of that serves every penalty; of
many rows it takes longer than a Cholesky factor for each, which tells the error of the last rows alone: their block
of an inverse is the inverse of what their block of the factor makes, L_ss L_ss'. So those that are judged come last.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.linalg import cho_solve, cholesky, solve_triangular

from aspl.heads.positive import inverse, solve

# n rows, s of them, F features, C columns of targets, r = rank of the weighted rows, or F + 1

PENALTIES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
SINGULAR = 1e-12  # eigenvalues under this share of the largest are rounding
MANY_ROWS = 1000
JUDGED_ROWS = 256  # of many, to choose the penalty by
SKETCH_COLUMNS = 128
NEARBY = 4  # penalties that a descent looks at, for the most part; their factors are kept for the one that is chosen


@dataclass(frozen=True, eq=False)
class Residuals:
    """What a fit leaves of the weighted targets, and what fits without some of the rows would leave of those.

    Attributes:
        left: `[n, C]`.
        factor: `[n, r]`, of the hat matrix `factor @ factor.T`; None where `rest` is at hand.
        rest: `[n, n]`, the identity less the hat matrix; its lower triangle alone is read.
    """

    left: np.ndarray
    factor: np.ndarray | None = None
    rest: np.ndarray | None = None

    def held_out(self, groups: np.ndarray | None = None) -> np.ndarray:
        """Return `[n, C]`, without each row, or without all of its number in `groups`."""
        rest = 1 - np.einsum("ij,ij->i", self.factor, self.factor) if self.rest is None else self.rest.diagonal()
        held_out = self.left / rest[:, None]
        for rows in [] if groups is None else shared(groups):
            held_out[rows] = self._without(rows)
        return held_out

    def _without(self, rows: np.ndarray) -> np.ndarray:
        """Return (1 - hat_gg)^-1 e_g of ascending rows, by the smaller of a g x g and an r x r system (Woodbury)."""
        left = self.left[rows]
        if self.rest is not None:
            return solve(self.rest[np.ix_(rows, rows)], left)
        factor = self.factor[rows]
        num_rows, rank = factor.shape
        if num_rows <= rank:
            return np.linalg.solve(np.eye(num_rows) - factor @ factor.T, left)
        return left + factor @ np.linalg.solve(np.eye(rank) - factor.T @ factor, factor.T @ left)


@dataclass(frozen=True, eq=False)
class RidgeFit:
    """One matrix and a bias, and what is needed to say what rows would have been given without them.

    Attributes:
        matrix, bias: `[C, F]` and `[C]`, float64: scores are `x @ matrix.T + bias`.
        penalty: the one of least weighted squared error on held-out rows.
        targets: `[n, C]`; `root`: `[n, 1]`, of the weights.
        order: in which of their rows the fit was made.
        residuals: of the targets times the root, in that order.
    """

    matrix: np.ndarray
    bias: np.ndarray
    penalty: float
    targets: np.ndarray
    root: np.ndarray
    order: np.ndarray | slice
    residuals: Residuals

    def scores(self, features: np.ndarray) -> np.ndarray:
        """Return `[B, C]` of features `[B, F]`."""
        return features @ self.matrix.T + self.bias

    def held_out(self, groups: np.ndarray | None = None) -> np.ndarray:
        """Return `[n, C]`, the scores of each row by a fit without it, or without all of its number in `groups`."""
        left = np.empty_like(self.targets)
        left[self.order] = self.residuals.held_out(None if groups is None else groups[self.order])
        return self.targets - left / self.root


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
        groups: `[n]`, rows of equal numbers are held out together to choose the penalty; None holds out each alone, and
            so it is with many rows, of which one more or less is no matter.
        penalties: over 0; the largest wins a tie.
    """
    root = np.sqrt(weights)[:, None]
    is_many = len(features) > MANY_ROWS
    order = _judged_last(len(features)) if is_many else slice(None)
    design = np.concatenate([features, np.ones((len(features), 1))], axis=1)[order] * root[order]  # [n, F + 1]
    goal = (targets * root)[order]
    sketch = _sketch(goal)
    residuals = _by_cholesky(design) if is_many else _by_decomposition(design)
    num_judged, groups = (JUDGED_ROWS, None) if is_many else (len(design), groups)

    def error(penalty: float) -> float:
        return float((residuals(sketch, penalty, num_judged).held_out(groups) ** 2).sum())

    penalty = (_descend if is_many else min)(sorted(penalties, reverse=True), key=error)
    found = residuals(goal, penalty, len(design))
    coefficients = design.T @ found.left / penalty  # [F + 1, C]
    return RidgeFit(
        matrix=coefficients[:-1].T.copy(),
        bias=coefficients[-1].copy(),
        penalty=penalty,
        targets=targets,
        root=root,
        order=order,
        residuals=found,
    )


def shared(groups: np.ndarray) -> list[np.ndarray]:
    """Return the rows of each group that has more than one."""
    _, index, counts = np.unique(groups, return_inverse=True, return_counts=True)
    return [np.flatnonzero(index == group) for group in np.flatnonzero(counts > 1)]


Solver = Callable[[np.ndarray, float, int], Residuals]
"""Of a goal `[n, C]` and a penalty the residuals of the last rows `[s]`, so many."""


def _by_decomposition(design: np.ndarray) -> Solver:
    num_rows, num_columns = design.shape
    is_dual = num_rows <= num_columns
    power, vectors = np.linalg.eigh(design @ design.T if is_dual else design.T @ design)
    kept = power > power[-1] * SINGULAR
    power, vectors = power[kept], vectors[:, kept]
    left = vectors if is_dual else design @ vectors / np.sqrt(power)  # singular vectors of the design

    def residuals(goal: np.ndarray, penalty: float, num_last: int) -> Residuals:
        factor = left * np.sqrt(power / (power + penalty))
        return Residuals((goal - factor @ (factor.T @ goal))[-num_last:], factor[-num_last:])

    return residuals


def _by_cholesky(design: np.ndarray) -> Solver:
    num_rows, num_columns = design.shape
    is_dual = num_rows <= num_columns
    gram = design @ design.T if is_dual else design.T @ design

    @lru_cache(maxsize=NEARBY)
    def factored(penalty: float) -> np.ndarray:
        shifted = gram.T.copy(order="F")  # symmetric, and so without a transposition
        np.fill_diagonal(shifted, gram.diagonal() + penalty)
        return cholesky(shifted, lower=True, overwrite_a=True, check_finite=False)

    def residuals(goal: np.ndarray, penalty: float, num_last: int) -> Residuals:
        lower, last = factored(penalty), slice(num_rows - num_last, None)
        if is_dual:
            left = penalty * cho_solve((lower, True), goal, check_finite=False)
            return Residuals(left[last], rest=penalty * inverse(lower[last, last]))
        solved = cho_solve((lower, True), design.T @ goal, check_finite=False)
        factor = solve_triangular(lower, design[last].T, lower=True, check_finite=False).T
        return Residuals(goal[last] - design[last] @ solved, factor)

    return residuals


def _descend(values: Sequence[float], key: Callable[[float], float]) -> float:
    """Return the value at the foot of the slope that the middle one is on; the first wins a tie."""
    cost, place = lru_cache(lambda index: key(values[index])), (len(values) - 1) // 2
    while (lower := min(range(max(0, place - 1), min(len(values), place + 2)), key=cost)) != place:
        place = lower
    return values[place]


def _judged_last(num_rows: int) -> np.ndarray:
    """Return the numbers of all rows, those that are judged last: some drawn at random, always the same of as many."""
    judged = np.random.default_rng(0).choice(num_rows, JUDGED_ROWS, replace=False)
    return np.concatenate([np.setdiff1d(np.arange(num_rows), judged), judged])


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
