"""Means with their uncertainty."""

from collections.abc import Iterable

import numpy as np
import scipy.stats


def mean_and_interval(values: Iterable[float]) -> tuple[float, float]:
    """Return mean and half-width of the 95 % t-interval of the values that are numbers; NaN for the width of one."""
    known = np.array([value for value in values if not np.isnan(value)])
    if len(known) < 2:
        return float(known.mean()), float("nan")
    error = known.std(ddof=1) / len(known) ** 0.5
    return float(known.mean()), float(scipy.stats.t.ppf(0.975, len(known) - 1) * error)
