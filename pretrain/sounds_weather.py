"""Water, wind and fire: noise that swells, drops and crackles."""

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
    grains,
    log_uniform,
    noise,
    peak,
    samples,
    scatter,
    sine,
    struck,
    unit,
    wander,
)


def _drop(rng: Rng, low_hz: float, high_hz: float) -> Wave:
    """Return one bubble of air: a sine that rises as it dies."""
    m = samples(rng.uniform(0.02, 0.09))
    pitch = log_uniform(rng, low_hz, high_hz) * envelope(m, (0, 1), (1, rng.uniform(1.05, 1.6)))
    return sine(pitch, m) * decay(m, rng.uniform(0.005, 0.025))


def rain(rng: Rng, n: int) -> Drawn:
    weight, surface = rng.uniform(), rng.uniform()
    bed = noise(
        rng,
        n,
        (100, rng.uniform(-25, -4)),
        (800, rng.uniform(-10, 0)),
        (3000, 0),
        (8000, rng.uniform(-10, 5)),
        (14000, rng.uniform(-24, 2)),
    )
    k = samples(0.012)
    splash = noise(rng, k, (400, -18), (log_uniform(rng, 1200, 7000), 0), (14000, -10)) * decay(
        k, rng.uniform(0.0006, 0.003)
    )
    fall = unit(grains(rng, n, log_uniform(rng, 60, 2500), splash, rng.uniform(0.4, 1.1)))
    wave = bed * (0.25 + weight) + fall * rng.uniform(0.1, 1.3)
    if surface > 0.6:
        tap = struck(
            rng,
            samples(0.05),
            [(log_uniform(rng, 250, 1800), rng.uniform(0.004, 0.015), 1), (log_uniform(rng, 900, 4000), 0.006, 0.6)],
        )
        wave += rng.uniform(0.1, 0.9) * unit(grains(rng, n, log_uniform(rng, 5, 120), tap, 0.9))
    if rng.uniform() < 0.25:
        drops = [_drop(rng, 500, 3500) * rng.uniform(0.3, 1.5) for _ in range(int(rng.integers(3, 30)))]
        wave += scatter(n, rng.uniform(0, n / RATE_HZ, len(drops)), drops) * 1.5
    wave *= 1 + rng.uniform(0, 0.2) * wander(rng, n, 0.5)
    return peak(wave), (grade(weight, "light", "heavy"), "continuous")


def sea(rng: Rng, n: int) -> Drawn:
    period, size = rng.uniform(2.5, 9), rng.uniform()
    t = np.arange(n, dtype=np.float32) / RATE_HZ
    swell = np.zeros(n, np.float32)
    for _ in range(int(rng.integers(1, 4))):
        turn = (t / (period * rng.uniform(0.7, 1.4)) + rng.uniform()) % 1.0
        crest = rng.uniform(0.15, 0.7)
        swell += np.interp(turn, [0, crest, min(crest + 0.1, 0.9), 1], [0, 1, 0.85, 0]).astype(
            np.float32
        ) ** rng.uniform(1, 2.5)
    swell /= swell.max() + 1e-6
    floor = rng.uniform(0.05, 0.5)
    deep = noise(rng, n, (40, rng.uniform(-8, 4)), (200, 2), (600, 0), (2000, rng.uniform(-18, -8)), (9000, -40))
    foam = noise(rng, n, (200, -16), (900, -3), (rng.uniform(1500, 5000), 0), (14000, rng.uniform(-26, -8)))
    late = np.roll(swell, samples(rng.uniform(0.1, 0.9)))
    wave = deep * (floor + (1 - floor) * swell) * (0.3 + size) + foam * (0.6 * floor + late**1.5) * rng.uniform(
        0.3, 1.3
    )
    wave *= 1 + rng.uniform(0, 0.3) * wander(rng, n, 6)
    return peak(wave), (grade(size, "gentle", "heavy"), "slow")


def stream(rng: Rng, n: int) -> Drawn:
    bed = noise(rng, n, (150, -14), (700, 0), (2500, -3), (12000, rng.uniform(-24, -8)))
    rate = log_uniform(rng, 15, 60)
    bubbles = [_drop(rng, 350, 2500) * rng.uniform(0.2, 1) for _ in range(int(rate * n / RATE_HZ))]
    wave = rng.uniform(0.15, 0.8) * bed * (1 + 0.3 * wander(rng, n, 4)) + scatter(
        n, rng.uniform(0, n / RATE_HZ, len(bubbles)), bubbles
    )
    return peak(wave), ("continuous",)


def waterfall(rng: Rng, n: int) -> Drawn:
    wave = noise(rng, n, (50, rng.uniform(-6, 4)), (400, 2), (3000, -3), (12000, rng.uniform(-20, -6)))
    return peak(wave * (1 + 0.06 * wander(rng, n, 8))), ("heavy", "continuous")


def drops(rng: Rng, n: int) -> Drawn:
    pace = rng.uniform()
    count = max(1, int(n / RATE_HZ * (0.6 + 4 * pace)))
    step = n / RATE_HZ / count
    times = np.arange(count) * step + rng.uniform(0, 0.3) * step + step * 0.12 * rng.standard_normal(count)
    low = log_uniform(rng, 400, 1500)
    return peak(scatter(n, times, [_drop(rng, low, low * 2) * rng.uniform(0.4, 1) for _ in times])), (
        grade(pace, "slow", "fast"),
    )


def pouring(rng: Rng, n: int) -> Drawn:
    rate = rng.uniform(40, 110)
    times = np.sort(rng.uniform(0, n / RATE_HZ, int(rate * n / RATE_HZ)))
    rise = 1 + rng.uniform(0, 1.5) * times / (n / RATE_HZ)
    bubbles = [_drop(rng, 300 * up, 900 * up) * rng.uniform(0.2, 1) for up in rise]
    return peak(scatter(n, times, bubbles) + 0.2 * noise(rng, n, (300, -10), (1500, 0), (9000, -20))), ("continuous",)


def flush(rng: Rng, n: int) -> Drawn:
    rush = noise(rng, n, (80, -4), (500, 2), (3000, -2), (12000, -16))
    shape = envelope(n, (0, 0), (0.06, 1), (0.5, 0.7), (0.8, 0.15), (1, 0.05))
    gurgle = (
        band(noise(rng, n), 150, 600)
        * np.clip(wander(rng, n, 7), 0, 1)
        * envelope(n, (0, 0), (0.5, 0.2), (0.8, 1), (1, 0.3))
    )
    return peak(rush * shape + gurgle), ("heavy",)


def wind(rng: Rng, n: int) -> Drawn:
    howl = rng.uniform()
    gust = np.clip(0.55 + 0.5 * wander(rng, n, rng.uniform(0.3, 1.5)), 0.05, None)
    wave = noise(rng, n, (40, 2), (150, 4), (500, rng.uniform(-10, 0)), (2000, -22), (9000, -45)) * gust
    if howl > 0.4:
        centre = log_uniform(rng, 300, 1100)
        tone = band(noise(rng, n), centre * 0.93, centre * 1.07, 4)
        higher = band(noise(rng, n), centre * 1.2, centre * 1.45, 4)
        wave += unit(tone) * gust**2 * howl + unit(higher) * np.clip(gust - 0.5, 0, None) ** 2 * howl
    return peak(wave), (grade(howl, "low", "howling"), "continuous")


def thunder(rng: Rng, n: int) -> Drawn:
    near = rng.uniform()
    rumble = noise(rng, n, (25, 0), (90, 6), (300, -8), (1200, -28), (6000, -50))
    roll = np.clip(0.5 + 0.7 * wander(rng, n, 4), 0, None) * envelope(n, (0, 0), (0.08, 1), (0.4, 0.5), (1, 0.05))
    wave = rumble * roll
    k = samples(0.5)
    crack = (
        noise(rng, k, (60, 0), (800, 2), (5000, -8)) * decay(k, rng.uniform(0.05, 0.2)) * (1 + 0.8 * wander(rng, k, 40))
    )
    return peak(wave + scatter(n, [rng.uniform(0, 0.4)], [crack * 2 * near])), (grade(near, "distant", "near"), "low")


def fire(rng: Rng, n: int) -> Drawn:
    busy, roar = rng.uniform(), rng.uniform()
    wave = np.zeros(n, np.float32)
    for _ in range(int(rng.integers(3, 7))):
        k = samples(0.03)
        snap = noise(rng, k, (200, -22), (log_uniform(rng, 700, 8000), 0), (14000, rng.uniform(-20, 0))) * decay(
            k, log_uniform(rng, 0.0004, 0.006), 0.0002
        )
        rate = log_uniform(rng, 1.0, 8 + 70 * busy)
        pops = grains(rng, n, rate, peak(snap), rng.uniform(0.7, 1.5))
        wave += peak(pops) * rng.uniform(0.3, 1) * np.clip(0.7 + 0.6 * wander(rng, n, 2), 0, None)
    wave += 0.05 * peak(grains(rng, n, 150 + 500 * busy, peak(noise(rng, 96)), 1.0))
    flame = noise(rng, n, (40, rng.uniform(-6, 4)), (150, 3), (500, -6), (2000, rng.uniform(-24, -12)), (9000, -36))
    hiss = noise(rng, n, (500, -15), (4000, 0), (14000, -4))
    wave += flame * (0.7 + 0.4 * wander(rng, n, 5)) * 0.12 * roar**2 + hiss * rng.uniform(0, 0.03)
    return peak(wave), (grade(busy, "slow", "busy"), grade(roar, "dry", "roaring"))


def bubbles(rng: Rng, n: int) -> Drawn:
    rate = rng.uniform(4, 25)
    low = rng.uniform(120, 400)
    events = [_drop(rng, low, low * 2.5) * rng.uniform(0.3, 1) for _ in range(int(rate * n / RATE_HZ) + 1)]
    return peak(scatter(n, rng.uniform(0, n / RATE_HZ, len(events)), events)), ("low",)


FAMILIES = (
    Family("rain", ("rain", "rain falling", "rainfall", "raining", "rain on a roof"), rain, weight=2.5),
    Family(
        "sea", ("sea waves", "ocean waves", "waves on a beach", "the sea", "surf breaking on a shore"), sea, weight=2.5
    ),
    Family("stream", ("a stream", "a brook flowing", "running water", "a small river"), stream),
    Family("waterfall", ("a waterfall", "rushing water", "a shower running"), waterfall),
    Family("drops", ("water drops", "dripping water", "a dripping tap", "a leaking faucet"), drops),
    Family("pouring", ("pouring water", "water poured into a glass", "filling a bottle"), pouring),
    Family("flush", ("a toilet flush", "flushing a toilet", "water draining"), flush, True),
    Family("wind", ("wind", "wind blowing", "howling wind", "a storm wind"), wind),
    Family("thunder", ("thunder", "a thunderstorm", "rolling thunder"), thunder, True),
    Family(
        "fire", ("fire crackling", "a crackling fire", "a fire burning", "a campfire", "burning wood"), fire, weight=2.5
    ),
    Family("bubbles", ("bubbles", "bubbling water", "boiling water"), bubbles),
)
