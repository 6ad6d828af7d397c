"""On the bundled model and real recordings: a channel is put right, and what is none is left alone."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from aspl import Adapter, FrozenClap, classify, decode, fit, recalibrate
from aspl.channel import find_channel
from aspl.errors import RecalibrationInvalid
from tests.sound_filters import dip

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def bundled():
    torch.set_num_threads(1)
    return FrozenClap.load(ROOT / "models" / "tiny-clap")


@pytest.fixture(scope="module")
def recordings():
    paths = sorted((ROOT / "examples" / "train").glob("*/*.ogg"))
    return [(path.parent.name, decode(path.read_bytes()).waveform) for path in paths]


@pytest.fixture(scope="module")
def taught(bundled, recordings):
    teaching = [clip for number, clip in enumerate(recordings) if number % 8 < 4]
    return fit(bundled, [waveform for _, waveform in teaching], [label for label, _ in teaching])


@pytest.fixture(scope="module")
def live(recordings):
    return [dip(waveform) for number, (_, waveform) in enumerate(recordings) if number % 8 >= 4]


def tensors(adapter):
    return {name: tensor for name, tensor in adapter.tensors().items() if name != "channel.beta"}


def test_a_channel_is_put_right_and_nothing_else_changes(bundled, taught, recordings, live):
    found = find_channel(bundled, taught, live)
    assert found.is_applied and found.margin_after > found.margin_before and found.num_clips == len(live)
    labels = [label for number, (label, _) in enumerate(recordings) if number % 8 >= 4]

    def right(adapter):
        answers = classify(bundled, live, [adapter] * len(live))
        return sum(answer.label == label for answer, label in zip(answers, labels, strict=True))

    assert right(found.adapter) > right(taught)
    before, after = tensors(taught), tensors(found.adapter)
    assert before.keys() == after.keys() and all(torch.equal(before[name], after[name]) for name in before)
    assert found.adapter.info == taught.info
    loaded = Adapter.from_bytes(found.adapter.to_bytes(), bundled)
    assert torch.equal(loaded.channel, found.adapter.channel) and right(loaded) == right(found.adapter)


def test_what_was_never_taught_changes_nothing(bundled, taught):
    generator = np.random.default_rng(0)
    hum = np.sin(2 * np.pi * 50 * np.arange(96_000) / 48_000)
    noises = [(0.1 * hum + 0.01 * generator.standard_normal(96_000)).astype(np.float32) for _ in range(6)]
    for waveforms in (noises, [np.zeros(96_000, np.float32)] * 6):
        found = find_channel(bundled, taught, waveforms)
        assert not found.is_applied and found.adapter is taught and found.reason
        assert recalibrate(bundled, taught, waveforms) is taught


def test_what_may_be_chance_changes_nothing(bundled, taught, recordings):
    same_microphone = [waveform for number, (_, waveform) in enumerate(recordings) if number % 8 >= 4]
    found = find_channel(bundled, taught, same_microphone)
    assert not found.is_applied and "chance" in found.reason and not found.shift_db.any()


def test_a_clip_that_comes_five_times_is_one(bundled, taught, live):
    found = find_channel(bundled, taught, [live[0]] * 5 + [live[1]] * 5)
    assert not found.is_applied and found.reason.startswith("2 different clips")


def test_what_no_channel_can_be_told_from_is_refused(bundled, taught, live):
    with pytest.raises(RecalibrationInvalid, match="teach it again"):
        recalibrate(bundled, replace(taught, taught_curves=None), live)
    with pytest.raises(RecalibrationInvalid, match="5 or more"):
        recalibrate(bundled, taught, live[:4])
