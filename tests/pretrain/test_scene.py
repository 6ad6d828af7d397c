import numpy as np

from pretrain.families import FAMILIES
from pretrain.scene import record
from pretrain.signals import RATE_HZ

BY_KEY = {family.key: family for family in FAMILIES}


def test_a_recording_is_five_to_ten_seconds_within_full_scale() -> None:
    for seed in range(6):
        wave, words = record(np.random.default_rng(seed), BY_KEY["rain"], BY_KEY)
        assert 5 * RATE_HZ <= len(wave) <= 10 * RATE_HZ
        assert wave.dtype == np.float32
        assert 0 < np.max(np.abs(wave)) <= 1
        assert "" not in words


def test_some_recordings_of_an_event_end_in_digital_silence() -> None:
    ends = [record(np.random.default_rng(seed), BY_KEY["sneeze"], BY_KEY)[0][-100:] for seed in range(12)]
    silent = sum(not end.any() for end in ends)
    assert 0 < silent < 12
