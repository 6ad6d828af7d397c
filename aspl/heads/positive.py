"""Symmetric positive definite matrices, of which the lower triangle alone is read and written."""

import numpy as np
from scipy.linalg import cho_factor, cho_solve, lapack

# n rows


def inverse(factor: np.ndarray) -> np.ndarray:
    """Return `[n, n]`, the lower triangle of the inverse of the matrix of which this is the lower Cholesky factor."""
    half, _ = lapack.dpotri(factor, lower=1)
    return half


def solve(matrix: np.ndarray, goal: np.ndarray) -> np.ndarray:
    """Return what the matrix `[n, n]` takes to the goal `[n, C]`."""
    return cho_solve(cho_factor(matrix, lower=True, check_finite=False), goal, check_finite=False)


def whole(lower: np.ndarray) -> np.ndarray:
    """Return both triangles of the matrix."""
    return np.tril(lower) + np.tril(lower, -1).T
