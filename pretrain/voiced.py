"""A throat: a harmonic source that follows a pitch, breath noise, and a mouth that filters both."""

from collections.abc import Sequence

import numpy as np

from pretrain.signals import Rng, Wave, noise, partials, resonate, rolloff, unit, wander

Formants = Sequence[tuple[float, float, float]]

VOWELS: dict[str, tuple[float, float, float]] = {
    "a": (800, 1250, 2700),
    "e": (500, 1900, 2600),
    "i": (300, 2250, 3000),
    "o": (480, 850, 2600),
    "u": (320, 700, 2400),
}


def mouth(rng: Rng, vowel: str, scale: float) -> Formants:
    """Return the formants of a vowel, moved up by `scale` for a shorter throat, each a little off."""
    shift = scale * np.exp(rng.normal(0, 0.06, 3))
    gains = (1.0, rng.uniform(0.4, 1.0), rng.uniform(0.2, 0.7))
    return [(f * s, (70 + 0.06 * f) * scale, g) for f, s, g in zip(VOWELS[vowel], shift, gains, strict=True)]


def throat(rng: Rng, pitch_hz: Wave, formants: Formants, *, slope: float, breath: float, rough: float = 0.0) -> Wave:
    """Return a voiced sound of unit power.

    Arguments:
        pitch_hz: `[N]` the pitch at each sample.
        formants: resonances of (Hz, bandwidth in Hz, gain).
        slope: how fast partials fall, 0.5 bright to 2 dull.
        breath: share of noise, 0..1.
        rough: depth of a fast random tremor of pitch and level, 0..1.
    """
    n = len(pitch_hz)
    jitter = 1 + 0.004 * wander(rng, n, 60) + 0.05 * rough * wander(rng, n, 140)
    source = partials(rng, pitch_hz * jitter, n, rolloff(80, slope))
    source *= 1 + 0.7 * rough * wander(rng, n, 110)
    mixed = (1 - breath) * source + breath * 0.8 * noise(rng, n)
    # Some of the source leaks past the mouth, or formants far from every partial would silence it.
    return unit(unit(resonate(mixed, formants)) + 0.12 * unit(mixed))
