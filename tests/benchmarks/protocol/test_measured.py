from dataclasses import replace

import numpy as np
import pytest

from benchmarks.intervals import mean_and_interval
from benchmarks.protocol.measured import difference, mean_over_folds_then_seeds
from benchmarks.protocol.runs import Run

RUN = Run("model", "ours", "SESA", "lists", 1, 16, 0, "palm", "aspl", "paper")
BARE = replace(RUN, audio_prompt="none")


def test_the_mean_is_over_folds_and_then_over_seeds():
    rows = {RUN: {"accuracy": 0.5}, replace(RUN, fold=2): {"accuracy": 0.7}, replace(RUN, seed=1): {"accuracy": 0.9}}
    assert mean_over_folds_then_seeds(rows, "accuracy") == pytest.approx(100 * (0.6 + 0.9) / 2)
    assert mean_over_folds_then_seeds({RUN: {"accuracy": None}}, "accuracy") is None


def test_a_difference_is_paired_by_draw_and_clip():
    rows = {RUN: {"hits": "1101"}, replace(RUN, seed=1): {"hits": "1111"}, replace(RUN, seed=2): {"hits": "0000"}}
    others = {BARE: {"hits": "1100"}, replace(BARE, seed=1): {"hits": "1000"}}
    found = difference(rows, others)
    assert found.num_runs == 2  # the third has nothing to be paired with
    mean, half_width = mean_and_interval([0, 50, 50, 100])  # of each clip, over the two seeds
    assert (found.points, found.half_width) == (pytest.approx(mean), pytest.approx(half_width))
    assert difference(rows, {replace(BARE, fold=2): {"hits": "1100"}}) is None


def test_folds_of_other_sizes_count_alike():
    rows = {RUN: {"hits": "11"}, replace(RUN, fold=2): {"hits": "000000"}}
    others = {BARE: {"hits": "00"}, replace(BARE, fold=2): {"hits": "000000"}}
    assert difference(rows, others).points == pytest.approx(50.0)


def test_an_interval_is_students():
    values = [1.0, 2.0, 4.0]
    mean, half_width = mean_and_interval([*values, np.nan])
    assert mean == pytest.approx(7 / 3) and half_width == pytest.approx(4.3026527 * np.std(values, ddof=1) / 3**0.5)
    assert np.isnan(mean_and_interval([1.0])[1])
