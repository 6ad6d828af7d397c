"""People: crying, sneezing, coughing, laughing, breathing, speaking, singing."""

import numpy as np

from pretrain.family import Drawn, Family
from pretrain.signals import (
    RATE_HZ,
    Rng,
    Wave,
    band,
    envelope,
    grade,
    log_uniform,
    noise,
    partials,
    peak,
    repeats,
    samples,
    scatter,
    sine,
    wander,
)
from pretrain.voiced import VOWELS, mouth, throat


def _silence(duration_s: float) -> Wave:
    return np.zeros(samples(duration_s), np.float32)


def baby(rng: Rng, n: int) -> Drawn:
    pitch, rough = log_uniform(rng, 300, 620), rng.uniform(0, 0.8)
    slope, rest = rng.uniform(0.1, 0.8), rng.uniform(0.15, 0.8)
    length = rng.uniform(0.35, 1.6)
    body = [
        (rng.uniform(900, 1500), 350, 1),
        (rng.uniform(2200, 3300), 600, rng.uniform(0.5, 1.2)),
        (rng.uniform(4200, 6000), 900, rng.uniform(0.1, 0.6)),
    ]
    parts = [_silence(rng.uniform(0, 0.5))]
    while sum(map(len, parts)) < n:
        m = samples(length * rng.uniform(0.6, 1.4))
        bend = envelope(
            m,
            (0, rng.uniform(0.7, 0.95)),
            (rng.uniform(0.1, 0.4), rng.uniform(1.0, 1.25)),
            (0.8, 1.0),
            (1, rng.uniform(0.6, 0.9)),
        )
        bend *= 1 + rng.uniform(0, 0.04) * sine(rng.uniform(4, 9), m)
        cry = throat(
            rng, pitch * bend, body, slope=slope, breath=rng.uniform(0.02, 0.15), rough=rough * rng.uniform(0.3, 1)
        )
        cry *= envelope(m, (0, 0), (0.1, 1), (0.75, rng.uniform(0.5, 1)), (1, 0)) * rng.uniform(0.5, 1)
        if rng.uniform() < 0.3:
            cry *= 1 - 0.8 * np.clip(sine(rng.uniform(3, 7), m), 0, 1)
        inhale = noise(rng, samples(rest * rng.uniform(0.4, 1)), (300, -15), (1500, 0), (6000, -8))
        inhale *= rng.uniform(0.01, 0.12) * envelope(len(inhale), (0, 0), (0.6, 1), (1, 0))
        parts += [cry, inhale]
    return peak(np.concatenate(parts)[:n]), (grade((pitch - 300) / 320, "low", "high"), grade(rough, "", "harsh"))


def sneeze(rng: Rng, n: int) -> Drawn:
    voicing, pitch, scale = rng.uniform(0, 1), log_uniform(rng, 110, 420), rng.uniform(0.9, 1.35)
    hiss_hz = rng.uniform(1800, 5500)

    def one() -> Wave:
        drawn = samples(rng.uniform(0.15, 0.8))
        inhale = 0.5 * noise(rng, drawn, (200, -12), (1200, 0), (5000, -10)) * (1 - voicing)
        inhale = inhale + voicing * throat(
            rng, pitch * envelope(drawn, (0, 0.9), (1, 1.5)), mouth(rng, "a", scale), slope=1.0, breath=0.5
        )
        inhale *= envelope(drawn, (0, 0), (0.8, 1), (1, 0.3)) * rng.uniform(0.02, 0.35)
        m = samples(rng.uniform(0.08, 0.3))
        burst = noise(rng, m, (200, -14), (hiss_hz, 2), (12000, rng.uniform(-14, -3)))
        burst *= envelope(m, (0, 0), (0.08, 1), (0.4, 0.8), (1, 0.1)) * rng.uniform(0.7, 1.4)
        k = samples(rng.uniform(0.12, 0.5))
        after = throat(
            rng,
            pitch * envelope(k, (0, 1.6), (1, 0.8)),
            mouth(rng, str(rng.choice(["u", "o", "a"])), scale),
            slope=0.8,
            breath=0.35,
        )
        after *= envelope(k, (0, 1), (0.3, 0.7), (1, 0)) * voicing
        breath = noise(rng, k, (200, -6), (1500, 0), (8000, -18)) * envelope(k, (0, 0.5), (1, 0))
        tail = (after + breath * rng.uniform(0.1, 0.6)).astype(np.float32)
        lap = min(len(burst) // 3, len(tail))
        joined = np.concatenate([burst, np.zeros(len(tail) - lap, np.float32)])
        joined[len(burst) - lap :] += tail
        return np.concatenate([inhale, _silence(rng.uniform(0, 0.08)), joined])

    count = int(rng.choice([1, 1, 1, 2, 3]))
    times = repeats(rng, n / RATE_HZ, rng.uniform(0.9, 2.2), 0.3, count)
    return peak(scatter(n, times, [one() for _ in times])), ("sudden", grade(voicing, "breathy", "loud"))


def cough(rng: Rng, n: int) -> Drawn:
    pitch, scale = rng.uniform(90, 280), rng.uniform(0.9, 1.25)

    def one() -> Wave:
        m = samples(rng.uniform(0.12, 0.35))
        burst = noise(rng, m, (150, -8), (900, 0), (3000, -4), (10000, -22)) * envelope(
            m, (0, 0), (0.04, 1), (0.3, 0.35), (1, 0)
        )
        voice = throat(
            rng, pitch * envelope(m, (0, 1.2), (1, 0.8)), mouth(rng, "a", scale), slope=0.9, breath=0.5, rough=0.8
        )
        return burst + rng.uniform(0.2, 0.8) * voice * envelope(m, (0, 0), (0.15, 1), (0.5, 0.5), (1, 0))

    count = int(rng.integers(1, 8))
    times = repeats(rng, n / RATE_HZ, rng.uniform(0.3, 0.7), 0.4, count)
    return peak(scatter(n, times, [one() * rng.uniform(0.5, 1) for _ in times])), ("harsh",)


def laughter(rng: Rng, n: int) -> Drawn:
    pitch, scale, rate = log_uniform(rng, 130, 450), rng.uniform(0.95, 1.3), rng.uniform(3.5, 6.5)
    vowel = str(rng.choice(["a", "e", "i", "o"]))

    def ha() -> Wave:
        m = samples(0.75 / rate)
        voice = throat(
            rng,
            pitch * envelope(m, (0, 1.1), (1, 0.9)) * rng.uniform(0.85, 1.2),
            mouth(rng, vowel, scale),
            slope=1.0,
            breath=0.35,
        )
        return voice * envelope(m, (0, 0), (0.25, 1), (1, 0))

    times = [
        t + k / rate
        for t in repeats(rng, n / RATE_HZ, rng.uniform(1.4, 2.6), 0.2)
        for k in range(int(rng.integers(3, 8)))
    ]
    return peak(scatter(n, times, [ha() for _ in times])), (grade((pitch - 130) / 320, "low", "high"),)


def breathing(rng: Rng, n: int) -> Drawn:
    rate = rng.uniform(0.25, 0.9)
    t = np.arange(n, dtype=np.float32) / RATE_HZ
    cycle = np.sin(2 * np.pi * rate * t + rng.uniform(0, 6))
    into = noise(rng, n, (200, -14), (rng.uniform(1200, 2500), 0), (9000, -16)) * np.clip(cycle, 0, 1)
    out = (
        noise(rng, n, (150, -8), (rng.uniform(500, 1100), 0), (7000, -24))
        * np.clip(-cycle, 0, 1)
        * rng.uniform(0.5, 1.3)
    )
    return peak(into + out), (grade((rate - 0.25) / 0.65, "slow", "fast"), "breathy")


def snoring(rng: Rng, n: int) -> Drawn:
    pitch, rate = rng.uniform(30, 90), rng.uniform(0.22, 0.45)
    cycle = np.clip(sine(rate, n), 0, 1) ** 0.7
    snore = throat(
        rng,
        pitch * (1 + 0.15 * wander(rng, n, 5)),
        [(300, 150, 1), (900, 300, 0.6), (2000, 600, 0.3)],
        slope=0.6,
        breath=0.35,
        rough=0.9,
    )
    return peak(snore * cycle), ("low", "slow")


def _syllables(rng: Rng, n: int, pitch: float, scale: float) -> Wave:
    """Return the babble of one talker: vowels at a talker's pace, hisses between, pauses now and then."""
    parts: list[Wave] = []
    filled = 0
    while filled < n:
        m = samples(rng.uniform(0.1, 0.28))
        bend = envelope(m, (0, rng.uniform(0.9, 1.2)), (1, rng.uniform(0.85, 1.1)))
        voice = throat(rng, pitch * bend, mouth(rng, str(rng.choice(list(VOWELS))), scale), slope=1.1, breath=0.08)
        parts.append(voice * envelope(m, (0, 0), (0.2, 1), (0.7, 0.8), (1, 0)) * rng.uniform(0.5, 1))
        if rng.uniform() < 0.45:
            k = samples(rng.uniform(0.03, 0.12))
            parts.append(
                0.25
                * noise(rng, k, (1000, -20), (rng.uniform(3000, 7000), 0), (14000, -10))
                * envelope(k, (0, 0), (0.4, 1), (1, 0))
            )
        if rng.uniform() < 0.15:
            parts.append(_silence(rng.uniform(0.1, 0.6)))
        filled = sum(map(len, parts))
    return np.concatenate(parts)[:n]


def speech(rng: Rng, n: int) -> Drawn:
    gender = rng.uniform()
    wave = _syllables(rng, n, 95 + 130 * gender, 0.95 + 0.25 * gender)
    return peak(wave), (grade(gender, "low", "high"),)


def crowd(rng: Rng, n: int) -> Drawn:
    wave = sum(
        _syllables(rng, n, rng.uniform(95, 240), rng.uniform(0.95, 1.25)) * rng.uniform(0.3, 1) for _ in range(4)
    )
    wave = wave + np.roll(wave, n // 3) + np.roll(wave[::-1], n // 5)
    return peak(wave), ("noisy", "continuous")


def singing(rng: Rng, n: int) -> Drawn:
    root, scale = log_uniform(rng, 130, 520), rng.uniform(0.95, 1.25)
    parts: list[Wave] = []
    while sum(map(len, parts)) < n:
        m = samples(rng.uniform(0.3, 1.4))
        pitch = root * 2 ** (rng.choice([0, 2, 4, 5, 7, 9, 12]) / 12) * (1 + 0.012 * sine(rng.uniform(5, 6.5), m))
        voice = throat(rng, pitch, mouth(rng, str(rng.choice(list(VOWELS))), scale), slope=1.0, breath=0.03)
        parts.append(voice * envelope(m, (0, 0), (0.15, 1), (0.85, 0.9), (1, 0)))
    return peak(np.concatenate(parts)[:n]), (grade((root - 130) / 390, "low", "high"), "tonal")


def whistle(rng: Rng, n: int) -> Drawn:
    def one() -> Wave:
        m = samples(rng.uniform(0.2, 1.2))
        pitch = rng.uniform(900, 2600) * envelope(m, (0, rng.uniform(0.8, 1.1)), (0.5, 1), (1, rng.uniform(0.8, 1.3)))
        tone = partials(rng, pitch, m, (1, 0.05)) + 0.1 * band(noise(rng, m), 800, 4000)
        return tone * envelope(m, (0, 0), (0.1, 1), (0.85, 0.9), (1, 0))

    times = repeats(rng, n / RATE_HZ, rng.uniform(0.6, 1.5), 0.3)
    return peak(scatter(n, times, [one() for _ in times])), ("high", "tonal")


def scream(rng: Rng, n: int) -> Drawn:
    pitch = log_uniform(rng, 600, 1400)

    def one() -> Wave:
        m = samples(rng.uniform(0.5, 1.8))
        bend = envelope(m, (0, 0.8), (0.2, 1.15), (0.8, 1.05), (1, 0.7))
        voice = throat(
            rng,
            pitch * bend,
            [(1300, 400, 1), (2800, 600, 0.9), (4500, 900, 0.4)],
            slope=0.3,
            breath=0.1,
            rough=rng.uniform(0.2, 1),
        )
        return voice * envelope(m, (0, 0), (0.08, 1), (0.85, 0.9), (1, 0))

    times = repeats(rng, n / RATE_HZ, 2.4, 0.3, int(rng.integers(1, 3)))
    return peak(scatter(n, times, [one() for _ in times])), ("high", "harsh")


FAMILIES = (
    Family("baby", ("a baby cry", "baby cry", "a baby crying", "a crying baby", "an infant crying"), baby, weight=2.5),
    Family(
        "sneeze",
        ("a person sneeze", "person sneeze", "a person sneezing", "sneezing", "a sneeze"),
        sneeze,
        True,
        weight=2.5,
    ),
    Family("cough", ("a person coughing", "coughing", "a cough"), cough, True),
    Family("laughter", ("laughter", "a person laughing", "laughing"), laughter),
    Family("breathing", ("breathing", "a person breathing", "heavy breath"), breathing),
    Family("snoring", ("snoring", "a person snoring", "a snore"), snoring),
    Family("speech", ("speech", "a person talking", "a voice speaking"), speech),
    Family("crowd", ("a crowd talking", "people chatting", "a babble of voices"), crowd),
    Family("singing", ("a person singing", "singing", "a song"), singing),
    Family("whistle", ("a person whistling", "whistling", "a whistle"), whistle, True),
    Family("scream", ("a scream", "a person screaming", "screaming"), scream, True),
)
