"""Knocks, ticks, steps and breakages: short bodies, struck once or often."""

import numpy as np

from pretrain.family import Drawn, Family
from pretrain.signals import (
    RATE_HZ,
    Rng,
    Wave,
    convolve,
    decay,
    envelope,
    grade,
    grains,
    log_uniform,
    noise,
    peak,
    repeats,
    samples,
    scatter,
    struck,
    unit,
    wander,
)


def _body(rng: Rng, duration_s: float, low_hz: float, high_hz: float, ring_s: float, num_modes: int = 6) -> Wave:
    """Return one blow on a body with random modes and a click of noise."""
    m = samples(duration_s)
    modes = [
        (log_uniform(rng, low_hz, high_hz), ring_s * rng.uniform(0.4, 1.2), rng.uniform(0.2, 1))
        for _ in range(num_modes)
    ]
    click = noise(rng, m, (max(50.0, low_hz / 2), -12), (high_hz, 0), (14000, -12)) * decay(
        m, min(0.004, ring_s), 0.0003
    )
    return unit(struck(rng, m, modes)) + rng.uniform(0.2, 1.2) * unit(click)


def _series(rng: Rng, n: int, times, blow, spread: float = 0.3) -> Wave:
    return peak(scatter(n, times, [blow() * np.exp(rng.normal(0, spread)) for _ in times]))


def clock(rng: Rng, n: int) -> Drawn:
    pace = rng.uniform()
    rate = float(rng.choice([1.0, 2.0, 4.0, 5.0, 1.0 + 4.5 * pace, 1.0 + 4.5 * pace]))
    ring = log_uniform(rng, 0.0015, 0.025)
    low = log_uniform(rng, 500, 3500)
    kinds = [_body(rng, 0.12, low * up, low * up * rng.uniform(2, 4), ring, 5) for up in (1.0, rng.uniform(0.7, 1.3))]
    if rng.uniform() < 0.5:  # the escapement falls twice
        gap = rng.uniform(0.01, 0.04)
        kinds = [scatter(samples(0.16), [0, gap], [kind, kind * rng.uniform(0.2, 0.8)]) for kind in kinds]
    if rng.uniform() < 0.3:
        kinds[1] = kinds[0]
    kinds[1] = kinds[1] * rng.uniform(0.4, 1)
    times = rng.uniform(0, 1 / rate) + np.arange(int(n / RATE_HZ * rate) + 1) / rate
    swing = rng.uniform(-0.12, 0.12) if rng.uniform() < 0.4 else 0.0
    times = times + swing / rate * (np.arange(len(times)) % 2)
    wave = scatter(n, times, [kinds[k % 2] * rng.uniform(0.85, 1) for k in range(len(times))])
    return peak(wave), (grade((rate - 1) / 4, "slow", "fast"), "regular", grade(np.log(low / 500) / 2, "low", "high"))


def knock(rng: Rng, n: int) -> Drawn:
    low = rng.uniform(90, 250)
    one = [_body(rng, 0.15, low, low * 6, 0.015) for _ in range(3)]
    rate = rng.uniform(2.5, 7)
    times = [
        t + k / rate
        for t in repeats(rng, n / RATE_HZ, rng.uniform(1.2, 2.5), 0.2)
        for k in range(int(rng.integers(2, 6)))
    ]
    return _series(rng, n, times, lambda: one[rng.integers(3)], 0.2), (
        grade((rate - 2.5) / 4.5, "slow", "fast"),
        "hard",
    )


def footsteps(rng: Rng, n: int) -> Drawn:
    hard, pace = rng.uniform(), rng.uniform()
    gravel = rng.uniform() < 0.35

    def step() -> Wave:
        if gravel:
            m = samples(0.28)
            crunch = grains(rng, m, 500, noise(rng, 150, (500, -6), (4000, 0)) * decay(150, 0.001), 0.8)
            return unit(crunch * envelope(m, (0, 0), (0.2, 1), (1, 0)))
        heel = _body(rng, 0.12, 80 + 300 * hard, 700 + 3000 * hard, 0.008 + 0.01 * hard)
        return scatter(samples(0.3), [0, rng.uniform(0.06, 0.13)], [heel, 0.4 * heel])

    times = repeats(rng, n / RATE_HZ, 0.85 - 0.5 * pace, 0.05)
    return _series(rng, n, times, step, 0.2), (grade(pace, "slow", "fast"), "regular")


def clap(rng: Rng, n: int) -> Drawn:
    centre = rng.uniform(900, 2500)

    def one() -> Wave:
        m = samples(0.06)
        return noise(rng, m, (200, -18), (centre, 3), (6000, -6), (14000, -16)) * decay(m, rng.uniform(0.004, 0.012))

    people = int(rng.choice([1, 1, 3, 25]))
    if people == 1:
        times = repeats(rng, n / RATE_HZ, rng.uniform(0.2, 0.9), 0.05)
    else:
        times = np.concatenate([repeats(rng, n / RATE_HZ, rng.uniform(0.2, 0.35), 0.1) for _ in range(people)])
    kinds = [one() for _ in range(6)]
    return _series(rng, n, times, lambda: kinds[rng.integers(6)], 0.4), (grade(people / 10, "", "crowded"),)


def typing(rng: Rng, n: int) -> Drawn:
    pace = rng.uniform()
    kinds = [_body(rng, 0.06, 700, rng.uniform(3000, 7000), 0.003, 4) for _ in range(6)]
    times = repeats(rng, n / RATE_HZ, 0.26 - 0.17 * pace, 0.6)
    times = np.concatenate([times, times + 0.07])
    return _series(rng, n, times, lambda: kinds[rng.integers(6)], 0.5), (grade(pace, "slow", "fast"),)


def mouse(rng: Rng, n: int) -> Drawn:
    down, up = (_body(rng, 0.03, 1500, 6000, 0.0015, 4) for _ in range(2))
    click = scatter(samples(0.15), [0, rng.uniform(0.05, 0.1)], [down, 0.6 * up])
    return _series(rng, n, repeats(rng, n / RATE_HZ, rng.uniform(0.3, 1.4), 0.5), lambda: click, 0.2), ("high",)


def glass(rng: Rng, n: int) -> Drawn:
    burst = noise(rng, samples(0.25), (800, -10), (5000, 0), (14000, -2)) * decay(samples(0.25), 0.05)
    pieces = [
        _body(rng, 0.4, 2000, 9000, rng.uniform(0.02, 0.1), 4) * rng.uniform(0.05, 0.8)
        for _ in range(int(rng.integers(6, 30)))
    ]
    times = 0.2 + np.abs(rng.normal(0, 0.5, len(pieces)))
    return peak(scatter(n, [0.2], [burst * 2]) + scatter(n, times, pieces)), ("high", "sudden")


def coins(rng: Rng, n: int) -> Drawn:
    kinds = [_body(rng, 0.5, 2500, 11000, rng.uniform(0.03, 0.15), 5) for _ in range(4)]
    times = np.sort(rng.uniform(0, n / RATE_HZ, int(rng.integers(4, 50))))
    return _series(rng, n, times, lambda: kinds[rng.integers(4)], 0.7), ("high", "metallic")


def door(rng: Rng, n: int) -> Drawn:
    slam = _body(rng, 0.6, 50, 400, 0.06, 8)
    latch = _body(rng, 0.08, 800, 4000, 0.006, 4)
    times = repeats(rng, n / RATE_HZ, 2.0, 0.2, int(rng.integers(1, 3)))
    wave = scatter(n, times, [slam for _ in times]) + scatter(
        n, times + rng.uniform(-0.1, 0.1), [latch * 0.5 for _ in times]
    )
    return peak(wave), ("low", "sudden")


def creak(rng: Rng, n: int) -> Drawn:
    length = samples(rng.uniform(0.6, 2.5))
    rate = rng.uniform(25, 160) * envelope(length, (0, rng.uniform(0.5, 1.5)), (0.5, 1), (1, rng.uniform(0.5, 1.5)))
    beats = np.diff(np.floor(np.cumsum(rate) / RATE_HZ), prepend=0).astype(np.float32)
    body = _body(rng, 0.05, 400, 3000, 0.006, 5)
    one = convolve(beats, body) * envelope(length, (0, 0), (0.2, 1), (0.8, 0.7), (1, 0))
    return peak(scatter(n, repeats(rng, n / RATE_HZ, 3.0, 0.2, 2), [one, one])), ("harsh", "slow")


def hammer(rng: Rng, n: int) -> Drawn:
    metal = rng.uniform()
    one = _body(rng, 0.4, 250 + 900 * metal, 1500 + 6000 * metal, 0.01 + 0.1 * metal)
    return _series(rng, n, repeats(rng, n / RATE_HZ, rng.uniform(0.35, 1.1), 0.08), lambda: one, 0.2), (
        grade(metal, "dull", "metallic"),
        "hard",
    )


def saw(rng: Rng, n: int) -> Drawn:
    rate = rng.uniform(1.2, 3.2)
    cycle = np.abs(np.sin(np.pi * rate * np.arange(n, dtype=np.float32) / RATE_HZ))
    teeth = noise(rng, n, (300, -14), (rng.uniform(1200, 3500), 2), (9000, -10)) * (1 + 0.6 * wander(rng, n, 150))
    return peak(teeth * cycle * (0.8 + 0.2 * wander(rng, n, 3))), ("rough", "regular")


def gunshot(rng: Rng, n: int) -> Drawn:
    m = samples(1.2)

    def shot() -> Wave:
        blast = noise(rng, m, (40, 2), (300, 3), (2000, 0), (12000, -10)) * decay(m, rng.uniform(0.015, 0.06), 0.0004)
        return blast + 0.15 * noise(rng, m, (40, 3), (500, 0), (4000, -24)) * decay(m, 0.3)

    times = repeats(rng, n / RATE_HZ, rng.uniform(0.3, 1.5), 0.4, int(rng.integers(1, 8)))
    return _series(rng, n, times, shot, 0.3), ("loud", "sudden")


def can(rng: Rng, n: int) -> Drawn:
    m = samples(rng.uniform(0.3, 1.0))
    hiss = noise(rng, m, (800, -16), (5000, 0), (14000, 2)) * decay(m, 0.12)
    return peak(scatter(n, [0.2, 0.22], [_body(rng, 0.08, 900, 5000, 0.008) * 1.5, hiss])), ("sudden",)


def paper(rng: Rng, n: int) -> Drawn:
    k = samples(0.01)
    crumple = grains(rng, n, 350, noise(rng, k, (800, -8), (5000, 0), (14000, -4)) * decay(k, 0.0012), 1.0)
    return peak(crumple * np.clip(0.4 + 0.8 * wander(rng, n, 4), 0.02, None)), ("high", "rough")


FAMILIES = (
    Family(
        "clock",
        ("a clock tick", "clock tick", "a clock ticking", "a ticking clock", "a watch ticking"),
        clock,
        weight=2.5,
    ),
    Family("knock", ("a knock on a door", "door knock", "knocking on wood"), knock, True),
    Family("footsteps", ("footsteps", "a person walking", "steps on a floor"), footsteps),
    Family("clap", ("clapping", "applause", "hand claps"), clap),
    Family("typing", ("keyboard typing", "typing on a keyboard", "a typewriter"), typing),
    Family("mouse", ("a mouse click", "mouse clicks", "clicking a button"), mouse),
    Family("glass", ("glass breaking", "breaking glass", "a shattered window"), glass, True),
    Family("coins", ("coins", "jingling keys", "coins dropping", "cutlery"), coins),
    Family("door", ("a door slam", "a slamming door", "a door closing"), door, True),
    Family("creak", ("a door creaking", "door wood creaks", "creaking wood"), creak, True),
    Family("hammer", ("hammering", "a hammer", "hammer blows"), hammer),
    Family("saw", ("a hand saw", "sawing wood", "hand sawing"), saw),
    Family("gunshot", ("gunshots", "fireworks", "an explosion", "a gun"), gunshot, True),
    Family("can", ("opening a can", "can opening", "a bottle opened"), can, True),
    Family("paper", ("crumpling paper", "paper", "rustling leaves", "a plastic bag"), paper),
)
