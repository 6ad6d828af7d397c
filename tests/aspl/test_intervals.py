"""Intervals, against published figures and by what they should do."""

import pytest

from aspl.intervals import HELD_OUT_WORTH, share_interval, wilson


def test_wilson_is_as_published():
    # Newcombe 1998, table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29.
    for hits, clips, low, high in (
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ):
        assert wilson(hits / clips, clips) == pytest.approx((low, high), abs=1e-4)


def test_held_out_clips_say_less():
    seen = share_interval(0.8, [8, 8], is_held_out=False, of_labels=False)
    held_out = share_interval(0.8, [8, 8], is_held_out=True, of_labels=False)
    assert seen == wilson(0.8, 16) and held_out == wilson(0.8, 16 * HELD_OUT_WORTH)


def test_a_mean_of_labels_is_as_sure_as_its_smallest_lets_it():
    even = share_interval(0.8, [20, 20, 0], is_held_out=False, of_labels=True)
    uneven = share_interval(0.8, [38, 2], is_held_out=False, of_labels=True)
    assert even == pytest.approx(wilson(0.8, 40)) and uneven[0] < even[0]
