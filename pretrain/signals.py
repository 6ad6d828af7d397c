"""The building blocks of a procedural sound, vectorised over samples; every array is mono float32 at 48 kHz."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Rng = np.random.Generator
Wave = NDArray[np.float32]

RATE_HZ = 48_000
TABLE_SAMPLES = 2048
HIGHEST_PARTIAL_HZ = 14_000.0


def samples(duration_s: float) -> int:
    """Return the number of samples in `duration_s`, at least one."""
    return max(1, round(duration_s * RATE_HZ))


def log_uniform(rng: Rng, low: float, high: float) -> float:
    """Draw a number whose logarithm is uniform between those of `low` and `high`."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def grade(value: float, low: str, high: str) -> str:
    """Name a draw from 0..1: `low` in its lower third, `high` in its upper third, nothing between."""
    return low if value < 1 / 3 else high if value > 2 / 3 else ""


def frequencies(n: int) -> Wave:
    """Return the bin frequencies in Hz of a real spectrum of `n` samples."""
    return np.fft.rfftfreq(n, 1 / RATE_HZ).astype(np.float32)


def fast_length(n: int) -> int:
    """Return the next length from `n` on whose prime factors are small, so that its transform is quick."""
    step = 1 << max(1, n.bit_length() - 5)
    return -(-n // step) * step


def filtered(wave: Wave, gain: NDArray) -> Wave:
    """Multiply the spectrum of a wave with `gain`, one value a frequency of its fast length."""
    size = 2 * (len(gain) - 1)
    return np.fft.irfft(np.fft.rfft(wave, size) * gain, size)[: len(wave)].astype(np.float32, copy=False)


def convolve(wave: Wave, kernel: Wave) -> Wave:
    """Convolve and keep the length of `wave`."""
    size = fast_length(len(wave) + len(kernel))
    return filtered(wave, np.fft.rfft(kernel, size))


def response(n: int, points: Sequence[tuple[float, float]]) -> Wave:
    """Return the gain of each bin that passes through `points` of (Hz, dB), straight over log frequency."""
    hz, db = zip(*points, strict=True)
    octave = np.log2(np.maximum(frequencies(n), 1.0))
    return np.power(10.0, np.interp(octave, np.log2(hz), db) / 20).astype(np.float32)


def noise(rng: Rng, n: int, *points: tuple[float, float]) -> Wave:
    """Return `n` samples of unit-power Gaussian noise whose spectrum passes through `points` of (Hz, dB)."""
    white = rng.standard_normal(n, dtype=np.float32)
    return unit(equalise(white, *points)) if points else white


def equalise(wave: Wave, *points: tuple[float, float]) -> Wave:
    """Filter with the zero-phase response through `points` of (Hz, dB)."""
    return filtered(wave, response(fast_length(len(wave)), points))


def band(wave: Wave, low_hz: float | None = None, high_hz: float | None = None, order: int = 3) -> Wave:
    """Keep what lies between `low_hz` and `high_hz`, with Butterworth slopes of 6 `order` dB an octave."""
    hz = frequencies(fast_length(len(wave)))
    gain = np.ones_like(hz)
    if low_hz:
        gain /= np.sqrt(1 + np.minimum(low_hz / np.maximum(hz, 1.0), 100.0) ** (2 * order))
    if high_hz:
        gain /= np.sqrt(1 + np.minimum(hz / high_hz, 100.0) ** (2 * order))
    return filtered(wave, gain)


def resonate(wave: Wave, formants: Sequence[tuple[float, float, float]]) -> Wave:
    """Pass through parallel two-pole resonances of (Hz, bandwidth in Hz, gain)."""
    hz = frequencies(fast_length(len(wave)))
    total = np.zeros(len(hz), np.complex64)
    for centre, width, gain in formants:
        total += (gain * centre * width) / (centre**2 - hz**2 + 1j * hz * width)
    return filtered(wave, total)


def unit(wave: Wave) -> Wave:
    """Scale to unit root mean square; silence stays silence."""
    return wave / (float(np.sqrt(np.mean(np.square(wave)))) + 1e-9)


def peak(wave: Wave, level: float = 1.0) -> Wave:
    """Scale so that the largest sample is `level`."""
    return wave * (level / (float(np.max(np.abs(wave))) + 1e-9))


def envelope(n: int, *points: tuple[float, float]) -> Wave:
    """Return straight lines through `points` of (share of the length 0..1, value)."""
    where, value = zip(*points, strict=True)
    return np.interp(np.linspace(0, 1, n, dtype=np.float32), where, value).astype(np.float32)


def decay(n: int, time_s: float, attack_s: float = 0.001) -> Wave:
    """Return an exponential fall by a factor e each `time_s` after a linear attack."""
    t = np.arange(n, dtype=np.float32) / RATE_HZ
    return np.exp(-t / time_s) * np.minimum(t / attack_s, 1.0)


def wander(rng: Rng, n: int, rate_hz: float) -> Wave:
    """Return a smooth random walk of about -1..1 that turns some `rate_hz` times a second."""
    knots = max(4, int(n / RATE_HZ * rate_hz) + 3)
    values = np.clip(rng.standard_normal(knots) * 0.6, -1.5, 1.5)
    return np.interp(np.linspace(0, knots - 1, n), np.arange(knots), values).astype(np.float32)


def phase(pitch_hz: Wave | float, n: int, start: float = 0.0) -> NDArray[np.float64]:
    """Return the running phase in cycles of a pitch that may change from sample to sample."""
    return start + np.cumsum(np.broadcast_to(np.asarray(pitch_hz, np.float64), (n,))) / RATE_HZ


def sine(pitch_hz: Wave | float, n: int) -> Wave:
    """Return a sine of the given pitch."""
    return np.sin(2 * np.pi * phase(pitch_hz, n)).astype(np.float32)


def partials(rng: Rng, pitch_hz: Wave | float, n: int, gains: Sequence[float]) -> Wave:
    """Return a harmonic tone: `gains[k]` is the amplitude of partial k + 1; partials above 14 kHz are left out."""
    highest = float(np.max(pitch_hz))
    kept = np.asarray(gains, np.float64)[: max(1, int(HIGHEST_PARTIAL_HZ / max(highest, 1.0)))]
    spectrum = np.zeros(TABLE_SAMPLES // 2 + 1, np.complex128)
    kept = kept[: TABLE_SAMPLES // 2 - 1]
    spectrum[1 : len(kept) + 1] = kept * np.exp(2j * np.pi * rng.uniform(size=len(kept)))
    table = unit(np.fft.irfft(spectrum, TABLE_SAMPLES).astype(np.float32))
    index = (phase(pitch_hz, n) % 1.0 * TABLE_SAMPLES).astype(np.int32)
    return table[np.minimum(index, TABLE_SAMPLES - 1)]


def rolloff(num_partials: int, slope: float) -> NDArray[np.float64]:
    """Return partial amplitudes 1 / k ** slope."""
    return np.arange(1, num_partials + 1, dtype=np.float64) ** -slope


def struck(rng: Rng, n: int, modes: Sequence[tuple[float, float, float]]) -> Wave:
    """Return a struck body: decaying sines of (Hz, decay time in s, gain)."""
    t = np.arange(n, dtype=np.float32) / RATE_HZ
    hz, time_s, gain = (np.asarray(column, np.float32)[:, None] for column in zip(*modes, strict=True))
    start = rng.uniform(0, 2 * np.pi, hz.shape).astype(np.float32)
    return np.sum(gain * np.exp(-t / time_s) * np.sin(2 * np.pi * hz * t + start), axis=0, dtype=np.float32)


def scatter(n: int, times_s: Sequence[float] | NDArray, events: Sequence[Wave]) -> Wave:
    """Add each event at its time to `n` samples of silence; what runs over the end is cut."""
    out = np.zeros(n, np.float32)
    for time_s, event in zip(times_s, events, strict=False):
        at = int(time_s * RATE_HZ)
        if 0 <= at < n:
            out[at : at + len(event)] += event[: n - at]
    return out


def grains(rng: Rng, n: int, rate_hz: float, kernel: Wave, spread: float = 1.0) -> Wave:
    """Return copies of `kernel` at random times, `rate_hz` a second, with log-normal gains of `spread` nepers."""
    count = rng.poisson(rate_hz * n / RATE_HZ)
    impulses = np.zeros(n, np.float32)
    gain = np.exp(rng.normal(0, spread, count)) * rng.choice([-1.0, 1.0], count)
    np.add.at(impulses, rng.integers(0, n, count), gain.astype(np.float32))
    return convolve(impulses, kernel)


def repeats(rng: Rng, duration_s: float, interval_s: float, jitter: float, count: int | None = None) -> NDArray:
    """Return times in s of a repeated event from a random start; `jitter` is the relative spread of intervals."""
    most = count or int(duration_s / interval_s) + 2
    steps = interval_s * np.maximum(0.2, 1 + jitter * rng.standard_normal(most))
    start = rng.uniform(0, min(interval_s, 0.5) if count is None else 0.4)
    times = start + np.concatenate([[0.0], np.cumsum(steps)[:-1]])
    return times[times < duration_s - 0.05]
