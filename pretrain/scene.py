"""Where a sound is heard: room, background, microphone, codec and the way a short recording is padded."""

import numpy as np

from pretrain.family import Drawn, Family
from pretrain.signals import (
    Rng,
    Wave,
    band,
    convolve,
    decay,
    equalise,
    log_uniform,
    noise,
    peak,
    samples,
    unit,
)

SHORT_S = 5.0
LONGEST_S = 10.0
BACKGROUNDS = ("wind", "traffic", "crowd", "fan", "rain", "stream", "songbird", "hum", "crickets", "static", "engine")


def record(rng: Rng, family: Family, families: dict[str, Family]) -> Drawn:
    """Draw a sound of `family` and record it: return 5 to 10 s within -1..1 and the words that describe it."""
    duration_s = SHORT_S if rng.uniform() < 0.7 else round(rng.uniform(SHORT_S, LONGEST_S), 1)
    n = samples(duration_s)
    wave, words = family.draw(rng, n)
    wave = np.asarray(wave, np.float32)
    sounding = _sounding(wave)
    if rng.uniform() < 0.5:
        wave, heard = _room(rng, wave)
        words += heard
    wave = peak(wave)
    if rng.uniform() < 0.75:
        wave, heard = _background(rng, wave, family, families)
        words += heard
    wave, heard = _microphone(rng, wave)
    words += heard
    wave = _cut(rng, wave, family.is_event, sounding)
    level = 10 ** (-(rng.uniform(0, 1) ** 1.5) * 30 / 20)
    quantised = np.round(peak(wave, level) * 32767) / 32767
    return quantised.astype(np.float32), tuple(word for word in words if word)


def _sounding(wave: Wave) -> int:
    """Return the sample after which only silence is left."""
    loud = np.flatnonzero(np.abs(wave) > 1e-3 * np.max(np.abs(wave)))
    return int(loud[-1]) + 1 if len(loud) else len(wave)


def _room(rng: Rng, wave: Wave) -> Drawn:
    length_s = log_uniform(rng, 0.06, 1.2)
    m = samples(min(2.0, 2 * length_s))
    tail = noise(rng, m, (100, rng.uniform(-10, 0)), (800, 0), (6000, rng.uniform(-14, -2)), (14000, -24)) * decay(
        m, length_s / 6.9 * 2
    )
    tail[: samples(rng.uniform(0.001, 0.02))] = 0
    wet = convolve(wave, tail)
    share = 10 ** (rng.uniform(-22, 4) / 20)
    mixed = unit(wave) + share * unit(wet)
    is_far = share > 0.7
    return mixed, ("echoing" if length_s > 0.6 and is_far else "", "distant" if is_far else "")


def _background(rng: Rng, wave: Wave, family: Family, families: dict[str, Family]) -> Drawn:
    if rng.uniform() < 0.25:
        other = families[str(rng.choice(BACKGROUNDS))]
        if other.key != family.key:
            below_db = rng.uniform(18, 42)
            return wave + unit(other.draw(rng, len(wave))[0]) * 10 ** (-below_db / 20), (
                f"with {other.names[0]}" if below_db < 28 else "",
            )
    tilt = rng.uniform(-24, 6)
    bed = noise(
        rng,
        len(wave),
        (30, rng.uniform(-6, 10)),
        (150, 0),
        (1000, tilt / 3),
        (8000, tilt),
        (14000, tilt - rng.uniform(0, 12)),
    )
    below_db = rng.uniform(22, 75)
    return wave + bed * 10 ** (-below_db / 20), ("noisy" if below_db < 30 else "",)


def _microphone(rng: Rng, wave: Wave) -> Drawn:
    hz = (30.0, 120.0, 400.0, 1200.0, 3500.0, 8000.0, 16000.0)
    curve = rng.normal(0, 4.5, len(hz))
    wave = equalise(wave, *zip(hz, curve, strict=True))
    low = log_uniform(rng, 60, 400) if rng.uniform() < 0.4 else None
    high = log_uniform(rng, 3000, 16000) if rng.uniform() < 0.45 else None
    if low or high:
        wave = band(wave, low, high, 8)
    if rng.uniform() < 0.12:
        wave = np.tanh(peak(wave) * rng.uniform(1.5, 6)).astype(np.float32)
    return wave, ("muffled" if high and high < 4500 else "",)


def _cut(rng: Rng, wave: Wave, is_event: bool, sounding: int) -> Wave:
    """End the recording early, zeros to the end, as editors do with a short sound."""
    n = len(wave)
    if rng.uniform() > (0.55 if is_event else 0.15):
        return wave
    end = min(n, sounding + samples(rng.uniform(0.02, 0.6))) if is_event else int(n * rng.uniform(0.2, 0.95))
    fade = min(end, samples(rng.uniform(0.001, 0.15)))
    out = wave.copy()
    out[end - fade : end] *= np.linspace(1, 0, fade, dtype=np.float32)
    out[end:] = 0
    return out
