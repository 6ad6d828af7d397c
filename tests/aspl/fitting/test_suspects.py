"""Which clips are listed, for what, and in which order; on plain scores and on the bundled model's examples."""

import numpy as np
import pytest
import soxr

from aspl.fitting.heard_clip import HeardClip
from aspl.fitting.suspects import AgainstBackground, ClipFaults, find_suspects, list_suspects
from aspl.sound.faults import is_clipped, is_silent

LABELS = ("dog", "rain")
CLASSES = np.array([0, 0, 0, 0, 1, 1, 1, 1])
# Clip 1 sounds like rain, clip 2 like nothing, clip 5 a little like a dog; clip 7 was not held out.
SCORES = np.array([[1, 0], [0, 1], [0.1, 0.1], [1, 0], [0, 1], [0.55, 0.5], [0, 1], [np.nan, np.nan]])
HELD_OUT = np.array([True] * 7 + [False])
AGAINST = AgainstBackground(np.array([0.1, 0, 0.8, 0, 0, 0, 0, np.nan]), bar=-0.2)


def noise(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.1, 48_000).astype(np.float32)


def heard(order: int) -> HeardClip:
    return HeardClip(np.zeros(4), np.zeros(4), None, order)


def faults(**changed: list[int]) -> ClipFaults:
    def mark(name: str) -> np.ndarray:
        return np.isin(np.arange(8), changed.get(name, []))

    return ClipFaults(mark("silent"), mark("clipped"), mark("repeated"), np.full(8, -1))


def test_what_sounds_like_another_label_and_like_nothing_is_listed_worst_first():
    found = find_suspects(SCORES, CLASSES, HELD_OUT, 8.0, AGAINST)
    rows = list_suspects(found, faults(), CLASSES, LABELS)
    assert [(row.clip, row.reasons, row.sounds_like) for row in rows] == [
        (1, ("other_label",), "rain"),
        (2, ("unlike_its_label",), None),
    ]
    assert found.ranked.tolist()[:3] == [1, 2, 5] and len(found.ranked) == 7
    assert rows[0].margin == pytest.approx(-8.0) and np.isnan(found.margin[7])


def test_what_is_wrong_for_sure_comes_first_and_what_does_little_harm_last():
    found = find_suspects(SCORES, CLASSES, HELD_OUT, 8.0, AGAINST)
    marked = faults(silent=[7], clipped=[4], repeated=[1])
    rows = list_suspects(found, marked, CLASSES, LABELS)
    assert [(row.clip, row.reasons) for row in rows] == [
        (7, ("silent",)),
        (1, ("repeated", "other_label")),
        (2, ("unlike_its_label",)),
        (4, ("clipped",)),
    ]
    assert rows[0].margin is None


def test_clips_that_are_there_twice_are_found():
    classes = np.array([0, 0, 0, 0, 1])
    found = ClipFaults.of([heard(order) for order in (0, 1, 0, 2, 2)], classes)
    assert found.repeated.tolist() == [False, False, True, False, False]
    assert found.twin.tolist() == [-1, -1, -1, 4, 3]
    ranked = find_suspects(np.eye(2)[classes], classes, np.ones(5, bool), 8.0)
    rows = list_suspects(ranked, found, classes, LABELS)
    assert [(row.clip, row.reasons, row.sounds_like) for row in rows] == [
        (3, ("repeated", "other_label"), "rain"),
        (4, ("repeated", "other_label"), "dog"),
        (2, ("repeated",), None),
    ]


@pytest.mark.parametrize("rate", [48_000, 44_100])
def test_flat_tops_are_found_although_the_rate_was_changed(rate):
    rumble = np.convolve(noise(3), np.ones(20) / 20, mode="same")
    overdriven = np.clip(rumble * 80, -1, 1)
    clip = overdriven if rate == 48_000 else soxr.resample(overdriven, rate, 48_000)
    assert is_clipped(clip) and is_clipped(clip * 0.1) and not is_clipped(noise(3))


@pytest.mark.parametrize("pitch_hz", [20, 100, 440, 997, 1000, 5000])
def test_made_tones_are_not_taken_for_clipped(pitch_hz):
    tone = np.sin(2 * np.pi * pitch_hz * np.arange(48_000) / 48_000)
    assert not is_clipped(tone.astype(np.float32)) and not is_clipped(np.sign(tone).astype(np.float32))


def test_silence_is_silent():
    assert (
        is_silent(np.zeros(480, np.float32)) and not is_clipped(np.zeros(480, np.float32)) and not is_silent(noise(0))
    )
