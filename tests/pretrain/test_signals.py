import numpy as np
import pytest

from pretrain.signals import (
    RATE_HZ,
    band,
    convolve,
    equalise,
    fast_length,
    grains,
    noise,
    partials,
    repeats,
    sine,
    unit,
)


def _level_db(wave: np.ndarray, hz: float) -> float:
    spectrum = np.abs(np.fft.rfft(wave)) / len(wave) * 2
    return float(20 * np.log10(spectrum[round(hz * len(wave) / RATE_HZ)]))


def test_equalise_follows_its_points() -> None:
    wave = sine(500, RATE_HZ) + sine(4000, RATE_HZ)
    changed = equalise(wave, (500, -6), (4000, 12))
    assert _level_db(changed, 500) == pytest.approx(-6, abs=0.2)
    assert _level_db(changed, 4000) == pytest.approx(12, abs=0.2)


def test_band_keeps_what_is_inside() -> None:
    wave = band(sine(200, RATE_HZ) + sine(1000, RATE_HZ) + sine(8000, RATE_HZ), 600, 2000, order=4)
    assert _level_db(wave, 1000) == pytest.approx(0, abs=0.5)
    assert max(_level_db(wave, 200), _level_db(wave, 8000)) < -30


def test_partials_stay_under_14_khz() -> None:
    wave = partials(np.random.default_rng(0), 3000.0, RATE_HZ, np.ones(20))
    assert _level_db(wave, 12_000) > -20
    assert _level_db(wave, 15_000) < -40


def test_noise_has_unit_power_and_a_seed() -> None:
    points = ((100, 0), (1000, -20))
    first, second = (noise(np.random.default_rng(3), 10_007, *points) for _ in range(2))
    assert np.array_equal(first, second)
    assert np.sqrt(np.mean(first**2)) == pytest.approx(1, abs=1e-3)


def test_grains_are_copies_of_the_kernel() -> None:
    kernel = np.array([1.0, -0.5], np.float32)
    wave = grains(np.random.default_rng(0), RATE_HZ, 5, kernel, spread=0.0)
    assert np.sum(np.abs(wave) > 0.9) > 0
    assert np.sum(np.abs(wave) > 1e-3) <= 2 * 20


def test_convolve_keeps_the_length() -> None:
    wave = np.zeros(1001, np.float32)
    wave[990] = 1
    out = convolve(wave, np.arange(1, 40, dtype=np.float32))
    assert len(out) == 1001
    assert out[990:] == pytest.approx(np.arange(1, 12), abs=1e-3)
    assert out[:900] == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("n", [1, 60, 97, 10_007, 240_000])
def test_fast_length_is_even_and_not_much_longer(n: int) -> None:
    assert n <= fast_length(n) <= 1.07 * n + 2
    assert fast_length(n) % 2 == 0


def test_repeats_stay_in_the_clip() -> None:
    times = repeats(np.random.default_rng(0), 5.0, 0.5, 0.3)
    assert 5 <= len(times) <= 12
    assert 0 <= times.min() <= times.max() < 5


def test_unit_of_silence_is_silence() -> None:
    assert not unit(np.zeros(10, np.float32)).any()
