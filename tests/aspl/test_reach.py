import numpy as np
import pytest
import soxr
import torch

from aspl.curves import clip_curve
from aspl.reach import band_of
from aspl.sound.clip import SAMPLE_RATE_HZ, WINDOW_SAMPLES
from aspl.sound.log_mel import LogMel

LOG_MEL = LogMel()
CENTRES_HZ = LOG_MEL.centres_hz


def curve(rate_hz: float, *, level: float = 0.1, seed: int = 0) -> np.ndarray | None:
    """That of noise as a recording at this rate has it."""
    noise = level * np.random.default_rng(seed).normal(size=int(10.1 * rate_hz))
    heard = soxr.resample(noise, rate_hz, SAMPLE_RATE_HZ).astype(np.float32)
    return clip_curve(LOG_MEL(torch.from_numpy(heard[:WINDOW_SAMPLES])[None]))


@pytest.mark.parametrize(
    ("rate_hz", "ends_hz"), [(2000, 2000), (4000, 2000), (8000, 4000), (11_025, 5500), (16_000, 8000)]
)
@pytest.mark.parametrize("level", [0.003, 0.3])
def test_a_recording_of_a_low_rate_ends_where_its_rate_does(rate_hz, ends_hz, level):
    band = band_of([curve(rate_hz, level=level)], CENTRES_HZ)
    assert CENTRES_HZ[band - 1] <= ends_hz < CENTRES_HZ[band]


@pytest.mark.parametrize("rate_hz", [22_050, 32_000, 44_100, 48_000, 96_000])
def test_one_of_a_usual_rate_reaches_all_the_way_up(rate_hz):
    assert band_of([curve(rate_hz)], CENTRES_HZ) is None


def test_clips_reach_as_high_as_most_of_them_do():
    low, high = curve(8000), curve(48_000)
    assert band_of([low, low, high, None], CENTRES_HZ) == band_of([low], CENTRES_HZ)
    assert band_of([low, high, high], CENTRES_HZ) is None


def test_nothing_that_sounds_reaches_nowhere():
    assert band_of([], CENTRES_HZ) is None and band_of([None], CENTRES_HZ) is None
    assert band_of([np.full(64, -95.0)], CENTRES_HZ) is None
