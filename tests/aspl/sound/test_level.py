import numpy as np
import pytest

from aspl.sound.level import HEARD_AT_DB, MOST_GAIN_DB, at_level, gain, level_of

SECOND = 48_000
TONE = np.sin(np.arange(SECOND) * 0.3).astype(np.float32)  # whose mean square is 3 dB below full scale


@pytest.mark.parametrize("amplitude", [1e-3, 0.1, 1.0, 1000.0])
def test_the_level_is_the_mean_square_below_full_scale(amplitude):
    assert level_of(amplitude * TONE) == pytest.approx(20 * np.log10(amplitude) - 3.01, abs=0.1)


def test_neither_silence_around_a_sound_nor_its_length_moves_its_level():
    quiet = np.zeros(4 * SECOND, np.float32)
    amid = np.concatenate([quiet, TONE, quiet])
    assert level_of(amid) == pytest.approx(level_of(TONE), abs=0.01)
    assert level_of(np.tile(TONE, 7)) == pytest.approx(level_of(TONE), abs=0.05)
    assert level_of(TONE[:6000]) == pytest.approx(level_of(TONE), abs=0.05)
    assert level_of(np.concatenate([0.01 * TONE, TONE])) == pytest.approx(level_of(TONE), abs=0.05)


@pytest.mark.parametrize("turned_by_db", [-20, -6, 0, 14])
def test_clips_are_brought_to_one_level(turned_by_db):
    turned = TONE * np.float32(10 ** (turned_by_db / 20))
    heard = at_level(turned, HEARD_AT_DB)
    assert heard.dtype == np.float32
    assert level_of(heard) == pytest.approx(HEARD_AT_DB, abs=0.01)
    assert np.allclose(heard, at_level(TONE, HEARD_AT_DB), atol=1e-5)


def test_what_is_next_to_nothing_is_not_raised_without_end():
    hiss = 4e-5 * TONE
    assert level_of(at_level(hiss, HEARD_AT_DB)) == pytest.approx(level_of(hiss) + MOST_GAIN_DB, abs=0.01)


@pytest.mark.parametrize("seconds", [0.01, 0.05, 0.3])
def test_a_short_clip_is_as_loud_by_itself_as_amid_silence(seconds):
    short = TONE[: int(SECOND * seconds)]
    amid = np.concatenate([np.zeros(SECOND, np.float32), short, np.zeros(SECOND, np.float32)])
    assert level_of(amid) == pytest.approx(level_of(short), abs=0.3)


def test_what_sounds_in_the_last_moment_counts():
    burst = np.concatenate([np.zeros(SECOND // 10, np.float32), np.full(479, 0.3, np.float32) * TONE[:479]])
    assert np.abs(at_level(burst, HEARD_AT_DB)).max() < 1


def test_an_offset_and_what_shakes_too_slowly_to_be_heard_are_no_level():
    shaking = 0.05 * np.sin(2 * np.pi * 2 * np.arange(SECOND) / SECOND)
    quiet = 0.01 * TONE
    for moved in (quiet + 0.2, quiet + shaking):
        assert level_of(moved.astype(np.float32)) == pytest.approx(level_of(quiet), abs=0.7)


def test_digital_silence_has_no_level_and_stays_as_it_is():
    trace = np.random.default_rng(0).normal(0, 1e-6, SECOND).astype(np.float32)
    for silence in (np.zeros(SECOND, np.float32), trace):
        assert level_of(silence) is None and np.array_equal(at_level(silence, HEARD_AT_DB), silence)


def test_without_a_level_a_clip_is_heard_as_it_was_recorded():
    assert at_level(TONE, None) is TONE and gain(-60.0, None) == 1
