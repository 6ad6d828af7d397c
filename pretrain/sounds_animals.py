"""Animals: voices with a throat, and wings and legs that rub."""

import numpy as np

from pretrain.family import Drawn, Family
from pretrain.signals import (
    RATE_HZ,
    Rng,
    Wave,
    band,
    decay,
    envelope,
    grade,
    log_uniform,
    noise,
    partials,
    peak,
    repeats,
    rolloff,
    samples,
    scatter,
    sine,
    unit,
    wander,
)
from pretrain.voiced import throat


def _calls(rng: Rng, n: int, interval_s: float, jitter: float, most: int, call) -> Wave:
    """Repeat `call(k)` one to `most` times, or until the clip is full, with a gap between calls."""
    count = int(rng.integers(1, most + 1))
    times = repeats(rng, n / RATE_HZ, interval_s, jitter, count)
    return scatter(n, times, [call() * rng.uniform(0.6, 1.0) for _ in times])


def dog(rng: Rng, n: int) -> Drawn:
    size = rng.uniform()
    pitch = log_uniform(rng, 220, 420) * (1 + 2.2 * size**1.5)
    length, rough = rng.uniform(0.07, 0.32), rng.uniform(0.1, 0.9)
    slope, breath = rng.uniform(0.3, 1.3), rng.uniform(0.05, 0.5)
    body = [
        (rng.uniform(450, 900) * (1 + 0.6 * size), 250, 1.0),
        (rng.uniform(1100, 2000) * (1 + 0.4 * size), 400, rng.uniform(0.4, 1.2)),
        (rng.uniform(2400, 4200), 800, rng.uniform(0.1, 0.6)),
    ]
    top = rng.uniform(1.2, 1.9)
    is_double = rng.uniform() < 0.2

    def bark() -> Wave:
        m = samples(length * rng.uniform(0.8, 1.25))
        arch = envelope(m, (0, 0.75), (rng.uniform(0.15, 0.4), top), (1, rng.uniform(0.55, 0.9)))
        voice = throat(rng, pitch * arch, body, slope=slope, breath=breath, rough=rough)
        voice *= envelope(m, (0, 0), (0.06, 1), (rng.uniform(0.3, 0.6), 0.8), (1, 0)) ** rng.uniform(1.0, 2.0)
        if is_double:
            return np.concatenate([voice * 0.5, np.zeros(samples(0.04), np.float32), voice])
        return voice

    pace = rng.uniform()
    wave = _calls(
        rng, n, log_uniform(rng, 0.28, 1.6) if pace > 0.15 else 0.22, 0.25, int(rng.choice([1, 2, 4, 14])), bark
    )
    if rng.uniform() < 0.15:
        growl_hz = rng.uniform(60, 120) * (1 + 0.2 * wander(rng, n, 3))
        wave += 0.15 * throat(rng, growl_hz, body, slope=0.8, breath=0.4, rough=1.0) * np.clip(wander(rng, n, 1), 0, 1)
    return peak(wave), (grade(size, "large", "small"), grade(rough, "", "harsh"))


def cat(rng: Rng, n: int) -> Drawn:
    size = rng.uniform()
    pitch = 320 + 500 * size

    def meow() -> Wave:
        m = samples(rng.uniform(0.35, 1.3))
        bend = envelope(m, (0, 0.8), (rng.uniform(0.2, 0.5), rng.uniform(1.1, 1.5)), (1, rng.uniform(0.6, 0.9)))
        closed = throat(rng, pitch * bend, [(600, 200, 1), (2600, 500, 0.8)], slope=0.9, breath=0.08)
        opened = throat(rng, pitch * bend, [(1100, 300, 1), (1900, 400, 0.8), (4200, 700, 0.4)], slope=0.7, breath=0.08)
        blend = envelope(m, (0, 0), (0.35, 1), (0.7, 1), (1, 0.2))
        return (closed * (1 - blend) + opened * blend) * envelope(m, (0, 0), (0.12, 1), (0.6, 0.9), (1, 0))

    return peak(_calls(rng, n, rng.uniform(1.2, 2.6), 0.3, 4, meow)), (grade(size, "low", "high"),)


def purr(rng: Rng, n: int) -> Drawn:
    rate = rng.uniform(20, 30)
    pulse = np.clip(np.sin(2 * np.pi * rate * np.arange(n) / RATE_HZ), 0, 1) ** 2
    breath = 0.6 + 0.4 * np.sin(2 * np.pi * rng.uniform(0.3, 0.7) * np.arange(n) / RATE_HZ)
    return peak(noise(rng, n, (30, 0), (150, 3), (900, -12), (6000, -35)) * pulse * breath), ("low", "steady")


def rooster(rng: Rng, n: int) -> Drawn:
    pitch, harsh = log_uniform(rng, 480, 850), rng.uniform(0, 0.6)
    slope = rng.uniform(0.1, 0.9)
    body = [(rng.uniform(900, 1500), 350, 1), (rng.uniform(2000, 3200), 600, 0.9), (rng.uniform(4000, 5500), 900, 0.4)]

    def note(length: float, start: float, middle: float, end: float) -> Wave:
        m = samples(length)
        bend = envelope(m, (0, start), (0.25, middle), (0.75, middle * 0.98), (1, end))
        voice = throat(rng, pitch * bend, body, slope=slope, breath=rng.uniform(0.02, 0.2), rough=harsh)
        return voice * envelope(m, (0, 0), (0.08, 1), (0.75, 0.9), (1, 0))

    def crow() -> Wave:
        rise = rng.uniform(1.15, 1.5)
        parts = [note(rng.uniform(0.12, 0.3), 0.7, 0.95, 0.8)]
        for _ in range(int(rng.integers(1, 4))):
            parts += [
                np.zeros(samples(rng.uniform(0.01, 0.09)), np.float32),
                note(rng.uniform(0.1, 0.35), 0.9, rise, 1.0),
            ]
        parts += [np.zeros(samples(0.02), np.float32)]
        parts += [note(rng.uniform(0.6, 1.5), 1.0, rise * rng.uniform(0.9, 1.1), rng.uniform(0.5, 0.8))]
        return np.concatenate(parts)

    wave = _calls(rng, n, rng.uniform(2.3, 4.0), 0.2, 2, crow)
    return peak(wave), (grade((pitch - 480) / 370, "low", "high"), grade(harsh / 0.6, "", "harsh"))


def hen(rng: Rng, n: int) -> Drawn:
    pitch = rng.uniform(300, 600)

    def cluck() -> Wave:
        m = samples(rng.uniform(0.06, 0.22))
        voice = throat(
            rng,
            pitch * envelope(m, (0, 0.8), (0.4, 1.3), (1, 0.9)),
            [(900, 300, 1), (2200, 500, 0.6)],
            slope=0.8,
            breath=0.3,
            rough=0.4,
        )
        return voice * envelope(m, (0, 0), (0.1, 1), (1, 0))

    pace = rng.uniform()
    return peak(_calls(rng, n, 0.9 - 0.6 * pace, 0.5, 20, cluck)), (grade(pace, "slow", "fast"),)


def crow(rng: Rng, n: int) -> Drawn:
    pitch = rng.uniform(280, 520)

    def caw() -> Wave:
        m = samples(rng.uniform(0.2, 0.55))
        voice = throat(
            rng,
            pitch * envelope(m, (0, 0.9), (0.3, 1.1), (1, 0.8)),
            [(1200, 400, 1), (1900, 500, 0.9), (3300, 800, 0.4)],
            slope=0.3,
            breath=0.35,
            rough=1.0,
        )
        return voice * envelope(m, (0, 0), (0.1, 1), (0.8, 0.8), (1, 0))

    return peak(_calls(rng, n, rng.uniform(0.5, 1.3), 0.2, 7, caw)), ("harsh",)


def frog(rng: Rng, n: int) -> Drawn:
    rate, pitch = log_uniform(rng, 15, 70), log_uniform(rng, 250, 1800)

    def croak() -> Wave:
        m = samples(rng.uniform(0.12, 0.9))
        pulses = np.clip(sine(rate, m), 0, 1) ** 2
        return (
            partials(rng, pitch * envelope(m, (0, 0.9), (1, 1.1)), m, rolloff(6, 1.2))
            * pulses
            * envelope(m, (0, 0), (0.2, 1), (0.8, 1), (1, 0))
        )

    return peak(_calls(rng, n, rng.uniform(0.35, 1.6), 0.3, 12, croak)), (
        grade(np.log(pitch / 250) / 2, "low", "high"),
    )


def crickets(rng: Rng, n: int) -> Drawn:
    t = np.arange(n, dtype=np.float32) / RATE_HZ
    wave = np.zeros(n, np.float32)
    for _ in range(int(rng.integers(1, 5))):
        pitch, pulse, chirp = rng.uniform(2800, 6800), rng.uniform(20, 60), rng.uniform(0.8, 4)
        gate = np.clip(np.sin(2 * np.pi * chirp * t + rng.uniform(0, 6)) * 6 + rng.uniform(-1, 6), 0, 1)
        wave += (
            rng.uniform(0.2, 1)
            * sine(pitch * (1 + 0.002 * wander(rng, n, 5)), n)
            * np.clip(np.sin(2 * np.pi * pulse * t), 0, 1)
            * gate
        )
    return peak(wave), ("high", "steady")


def cicadas(rng: Rng, n: int) -> Drawn:
    centre = rng.uniform(3500, 8000)
    wave = band(noise(rng, n), centre * 0.8, centre * 1.2, 6)
    rate = rng.uniform(60, 220)
    return peak(wave * (1 + 0.9 * sine(rate, n)) * (1 + 0.6 * wander(rng, n, 0.7))), ("high", "continuous")


def songbird(rng: Rng, n: int) -> Drawn:
    base, style = log_uniform(rng, 1800, 5500), rng.uniform()

    def chirp() -> Wave:
        m = samples(rng.uniform(0.04, 0.3) if style < 0.7 else rng.uniform(0.3, 0.9))
        bend = envelope(m, (0, rng.uniform(0.7, 1.3)), (0.5, rng.uniform(0.8, 1.4)), (1, rng.uniform(0.7, 1.2)))
        trill = 1 + rng.choice([0.0, 0.06, 0.15]) * sine(rng.uniform(15, 45), m)
        return partials(rng, base * bend * trill, m, (1, 0.15, 0.05)) * envelope(
            m, (0, 0), (0.2, 1), (0.7, 0.8), (1, 0)
        )

    kinds = [chirp() for _ in range(4)]
    times = np.sort(rng.uniform(0, n / RATE_HZ, int(rng.integers(3, 30))))
    wave = scatter(n, times, [kinds[rng.integers(4)] * rng.uniform(0.3, 1) for _ in times])
    return peak(wave), (grade(np.log(base / 1800) / 1.1, "", "high"),)


def _bellow(low: float, high: float, lengths: tuple[float, float], body, *, slope: float, breath: float, tremor: float):
    def draw(rng: Rng, n: int) -> Drawn:
        pitch = log_uniform(rng, low, high)
        tremor_hz = rng.uniform(6, 11)

        def call() -> Wave:
            m = samples(rng.uniform(*lengths))
            bend = envelope(m, (0, 0.85), (0.3, 1.1), (0.7, 1.05), (1, 0.8)) * (1 + 0.5 * tremor * sine(tremor_hz, m))
            formants = [(f * rng.uniform(0.9, 1.1), w, g) for f, w, g in body]
            voice = throat(rng, pitch * bend, formants, slope=slope, breath=breath, rough=rng.uniform(0, 0.4))
            return voice * (1 + tremor * sine(tremor_hz, m)) * envelope(m, (0, 0), (0.15, 1), (0.8, 0.9), (1, 0))

        wave = _calls(rng, n, lengths[1] + rng.uniform(0.2, 1.2), 0.2, 4, call)
        return peak(wave), (grade(np.log(pitch / low) / np.log(high / low), "low", "high"),)

    return draw


cow = _bellow(
    80, 190, (0.8, 2.2), [(350, 150, 1), (800, 250, 0.7), (1600, 400, 0.3)], slope=0.9, breath=0.1, tremor=0.0
)
sheep = _bellow(
    200, 500, (0.5, 1.2), [(700, 200, 1), (1500, 300, 0.9), (2800, 500, 0.4)], slope=0.6, breath=0.15, tremor=0.5
)
pig = _bellow(
    70, 160, (0.12, 0.45), [(500, 300, 1), (1300, 500, 1), (2600, 900, 0.5)], slope=0.4, breath=0.6, tremor=0.7
)
horse = _bellow(
    500, 1100, (0.9, 1.8), [(1100, 400, 1), (2300, 600, 0.8), (3800, 900, 0.5)], slope=0.4, breath=0.2, tremor=0.4
)
owl = _bellow(280, 480, (0.25, 0.8), [(350, 80, 1), (700, 150, 0.1)], slope=2.5, breath=0.05, tremor=0.0)
goose = _bellow(
    350, 650, (0.15, 0.4), [(1000, 300, 1), (1800, 400, 1), (3200, 700, 0.4)], slope=0.2, breath=0.1, tremor=0.0
)


def bee(rng: Rng, n: int) -> Drawn:
    pitch = rng.uniform(110, 320)
    wave = partials(rng, pitch * (1 + 0.08 * wander(rng, n, 4)), n, rolloff(30, rng.uniform(0.7, 1.3)))
    return peak(unit(wave) * (0.55 + 0.45 * wander(rng, n, 1.5))), (
        grade((pitch - 110) / 210, "low", "high"),
        "continuous",
    )


def woodpecker(rng: Rng, n: int) -> Drawn:
    knock = noise(rng, samples(0.03), (300, -10), (1200, 0), (5000, -12)) * decay(samples(0.03), 0.005)
    rate = rng.uniform(10, 22)

    def roll() -> Wave:
        count = int(rng.integers(8, 22))
        return scatter(
            samples(count / rate + 0.1), np.arange(count) / rate, [knock * (0.5 + k / count) for k in range(count)]
        )

    return peak(_calls(rng, n, rng.uniform(1.5, 3), 0.2, 3, roll)), ("fast",)


FAMILIES = (
    Family("dog", ("a dog bark", "dog bark", "a dog barking", "a barking dog", "dog"), dog, True, weight=2.5),
    Family("cat", ("a cat meowing", "cat meow", "a cat", "a meowing cat"), cat, True),
    Family("purr", ("a cat purring", "purring", "purr of a cat"), purr),
    Family(
        "rooster",
        ("a rooster", "rooster", "a rooster crowing", "a cock crowing", "cock-a-doodle-doo"),
        rooster,
        True,
        weight=2.5,
    ),
    Family("hen", ("a hen clucking", "hen", "chickens clucking", "chicken"), hen, True),
    Family("crow", ("a crow cawing", "crow", "cawing of a crow"), crow, True),
    Family("frog", ("a frog croaking", "frog", "croaking frogs"), frog, True),
    Family("crickets", ("crickets chirping", "crickets", "insects at night", "a cricket"), crickets),
    Family("cicadas", ("cicadas", "insects buzzing in the heat", "a cicada"), cicadas),
    Family("songbird", ("a bird singing", "chirping birds", "birdsong", "birds", "a bird"), songbird),
    Family("cow", ("a cow mooing", "cow", "a cow", "cattle"), cow, True),
    Family("sheep", ("a sheep bleating", "sheep", "a goat", "bleating"), sheep, True),
    Family("pig", ("a pig grunting", "pig", "grunting pigs"), pig, True),
    Family("horse", ("a horse neighing", "horse", "a whinnying horse"), horse, True),
    Family("owl", ("an owl hooting", "owl", "hooting"), owl, True),
    Family("goose", ("a goose honking", "geese", "a duck quacking"), goose, True),
    Family("bee", ("a bee buzzing", "flying insects", "a fly buzzing", "bees", "a mosquito"), bee),
    Family("woodpecker", ("a woodpecker", "woodpecker drumming", "a bird pecking on wood"), woodpecker, True),
)
