import numpy as np
import pytest

from aspl.sound.level import HEARD_AT_DB, MOST_GAIN_DB, at_level, gain, level_of

SECOND = 48_000
TONE = np.sin(np.arange(SECOND) * 0.3).astype(np.float32)  # whose mean square is 3 dB below full scale


@pytest.mark.parametrize("amplitude", [1e-3, 0.1, 1.0, 1000.0])
def test_the_level_is_the_mean_square_below_full_scale(amplitude):
    assert level_of(amplitude * TONE) == pytest.approx(20 * np.log10(amplitude) - 3.01, abs=0.05)


def test_neither_silence_around_a_sound_nor_its_length_moves_its_level():
    quiet = np.zeros(4 * SECOND, np.float32)
    amid = np.concatenate([quiet, TONE, quiet])
    assert level_of(amid) == pytest.approx(level_of(TONE), abs=0.01)
    assert level_of(np.tile(TONE, 7)) == pytest.approx(level_of(TONE), abs=0.05)
    assert level_of(TONE[:3000]) == pytest.approx(level_of(TONE), abs=0.05)
    assert level_of(np.concatenate([0.01 * TONE, TONE])) == pytest.approx(level_of(TONE), abs=0.05)


@pytest.mark.parametrize("turned_by_db", [-20, -6, 0, 14])
def test_clips_are_brought_to_one_level(turned_by_db):
    turned = TONE * np.float32(10 ** (turned_by_db / 20))
    heard = at_level(turned, HEARD_AT_DB)
    assert heard.dtype == np.float32
    assert level_of(heard) == pytest.approx(HEARD_AT_DB, abs=0.01)
    assert np.allclose(heard, at_level(TONE, HEARD_AT_DB), atol=1e-5)


def test_what_is_next_to_nothing_is_not_raised_without_end():
    hiss = 1e-5 * TONE
    assert level_of(at_level(hiss, HEARD_AT_DB)) == pytest.approx(level_of(hiss) + MOST_GAIN_DB, abs=0.01)
    silence = np.zeros(SECOND, np.float32)
    assert np.isfinite(level_of(silence)) and not at_level(silence, HEARD_AT_DB).any()


def test_without_a_level_a_clip_is_heard_as_it_was_recorded():
    assert at_level(TONE, None) is TONE and gain(-60.0, None) == 1
