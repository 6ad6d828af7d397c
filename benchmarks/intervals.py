"""Means with their uncertainty."""

import math
import statistics
from collections.abc import Iterable

import scipy.stats


def mean_and_interval(values: Iterable[float]) -> tuple[float, float]:
    """Return mean and half-width of the 95 % t-interval of the values that are numbers; NaN for the width of one."""
    known = [float(value) for value in values if not math.isnan(value)]
    mean = statistics.mean(known)
    if len(known) < 2:
        return mean, math.nan
    error = statistics.stdev(known) / len(known) ** 0.5
    return mean, float(scipy.stats.t.ppf(0.975, len(known) - 1) * error)
