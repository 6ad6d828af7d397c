"""Engines, rotors, tools and vehicles: partials of a turning speed under a load, and the noise they make."""

import numpy as np

from pretrain.family import Drawn, Family
from pretrain.signals import (
    RATE_HZ,
    Rng,
    Wave,
    band,
    decay,
    envelope,
    equalise,
    grade,
    log_uniform,
    noise,
    partials,
    peak,
    phase,
    repeats,
    resonate,
    rolloff,
    samples,
    scatter,
    sine,
    unit,
    wander,
)


def _combustion(rng: Rng, n: int, pitch_hz: Wave, *, slope: float, rough: float) -> Wave:
    """Return firing strokes at `pitch_hz`, each a little different, with half-order partials."""
    strokes = partials(rng, pitch_hz / 2, n, rolloff(120, slope) * np.exp(rng.normal(0, 0.5, 120)))
    uneven = 1 + rough * wander(rng, n, float(np.mean(pitch_hz)) / 2)
    return unit(strokes * uneven)


def _gated(rng: Rng, n: int, pitch_hz: Wave | float, sharpness: float, wave: Wave) -> Wave:
    """Return `wave` swelling once a cycle of `pitch_hz`."""
    turn = 0.5 + 0.5 * np.cos(2 * np.pi * phase(pitch_hz, n, rng.uniform()))
    return wave * turn.astype(np.float32) ** sharpness


def helicopter(rng: Rng, n: int) -> Drawn:
    near = rng.uniform()
    blades = log_uniform(rng, 9, 28) * (1 + 0.02 * wander(rng, n, 0.4))
    dull = rng.uniform(-34, -16)
    slap = noise(
        rng, n, (30, rng.uniform(-4, 6)), (90, 5), (300, 0), (1200, dull * 0.4), (5000, dull), (12000, dull - 12)
    )
    wave = _gated(rng, n, blades, rng.uniform(1.0, 6.0), slap)
    if rng.uniform() < 0.7:
        thump = partials(rng, blades, n, rolloff(int(rng.integers(8, 40)), rng.uniform(0.2, 1.0)))
        wave += rng.uniform(0.1, 0.9) * thump
    wave += rng.uniform(0.05, 0.5) * noise(rng, n, (60, 0), (400, 0), (2500, -10), (10000, -26))
    whine = partials(rng, log_uniform(rng, 300, 2500) * (1 + 0.005 * wander(rng, n, 0.6)), n, rolloff(8, 1.0))
    wave += whine * rng.uniform(0, 0.2) * near
    swell = envelope(n, (0, rng.uniform(0.2, 1)), (rng.uniform(0.2, 0.8), 1), (1, rng.uniform(0.2, 1)))
    return peak(wave * swell), (grade(near, "distant", "near"), "low", "regular")


def chainsaw(rng: Rng, n: int) -> Drawn:
    load, idle = rng.uniform(), rng.uniform(35, 70)
    full = log_uniform(rng, 85, 220)
    if rng.uniform() < 0.65:
        knots = int(rng.integers(3, 9))
        throttle = np.interp(np.linspace(0, knots - 1, n), np.arange(knots), rng.uniform(0, 1, knots) ** 0.5)
    else:
        throttle = np.full(n, rng.uniform(0.7, 1.0))
    throttle = (throttle + 0.04 * wander(rng, n, 6)).clip(0, 1.1).astype(np.float32)
    pitch = (idle + (full - idle) * throttle) * (1 + 0.02 * wander(rng, n, 12))
    engine = _combustion(rng, n, pitch, slope=rng.uniform(0.1, 0.7), rough=rng.uniform(0.1, 0.7))
    engine = unit(
        resonate(
            engine,
            [
                (rng.uniform(250, 700), 300, 1),
                (rng.uniform(1200, 3000), 900, rng.uniform(0.5, 1.5)),
                (rng.uniform(3500, 7500), 2500, rng.uniform(0.2, 1.2)),
            ],
        )
    )
    chain = noise(rng, n, (300, -20), (2500, 0), (rng.uniform(4000, 9000), 2), (14000, -10)) * (
        1 + 0.6 * sine(pitch, n)
    )
    wave = engine * (0.35 + 0.65 * throttle) + chain * throttle**2 * rng.uniform(0.1, 0.8) * (0.5 + load)
    return peak(wave), (grade(load, "", "harsh"), "rough", "loud")


def engine(rng: Rng, n: int) -> Drawn:
    speed = rng.uniform()
    pitch = (18 + 60 * speed) * (1 + 0.03 * wander(rng, n, 1.5))
    wave = _combustion(rng, n, pitch, slope=rng.uniform(0.8, 1.4), rough=rng.uniform(0.1, 0.6))
    wave += rng.uniform(0.1, 0.5) * noise(rng, n, (40, 0), (300, -2), (2000, -16), (10000, -30))
    return peak(wave), (grade(speed, "slow", "fast"), "low", "continuous")


def motorcycle(rng: Rng, n: int) -> Drawn:
    revs = 40 + 130 * np.clip(0.4 + 0.5 * wander(rng, n, 0.8), 0, 1)
    wave = _combustion(rng, n, revs, slope=rng.uniform(0.5, 1.0), rough=0.4)
    wave = unit(equalise(wave, (30, 0), (200, 4), (2000, -4), (8000, -20))) * envelope(
        n, (0, rng.uniform(0.1, 1)), (rng.uniform(0.2, 0.8), 1), (1, rng.uniform(0.1, 1))
    )
    return peak(wave), ("rough", "loud")


def train(rng: Rng, n: int) -> Drawn:
    wave = noise(rng, n, (40, 4), (200, 2), (1500, -8), (8000, -24)) * (1 + 0.3 * wander(rng, n, 2))
    m = samples(0.12)
    clack = noise(rng, m, (80, 2), (800, 0), (5000, -14)) * decay(m, 0.02)
    period = rng.uniform(0.35, 1.1)
    times = repeats(rng, n / RATE_HZ, period, 0.02)
    times = np.concatenate([times, times + 0.28 * period])
    wave += 1.8 * scatter(n, times, [clack for _ in times])
    if rng.uniform() < 0.45:
        chord = sum(partials(rng, f, n, rolloff(12, 0.8)) for f in rng.uniform(260, 520, 3))
        wave += 0.8 * chord * envelope(n, (0, 0), (0.1, 0), (0.15, 1), (0.5, 1), (0.55, 0), (1, 0))
    return peak(wave), ("regular", "heavy")


def aeroplane(rng: Rng, n: int) -> Drawn:
    jet = rng.uniform()
    wave = noise(rng, n, (40, 2), (250, 4), (1200, -3 + 4 * jet), (5000, -22 + 10 * jet), (12000, -40))
    if jet < 0.5:
        wave += rng.uniform(0.4, 1) * partials(
            rng, rng.uniform(60, 130) * (1 + 0.01 * wander(rng, n, 0.5)), n, rolloff(30, 0.9)
        )
    wave *= envelope(n, (0, rng.uniform(0.1, 0.9)), (rng.uniform(0.3, 0.7), 1), (1, rng.uniform(0.1, 0.9)))
    return peak(wave * (1 + 0.1 * wander(rng, n, 3))), ("continuous", "low")


def vacuum(rng: Rng, n: int) -> Drawn:
    pitch = (
        rng.uniform(180, 520)
        * envelope(n, (0, rng.choice([0.3, 1.0])), (0.1, 1), (1, 1))
        * (1 + 0.004 * wander(rng, n, 1))
    )
    wave = noise(rng, n, (80, -8), (500, 0), (3000, 0), (10000, -14)) + rng.uniform(0.3, 1) * partials(
        rng, pitch, n, rolloff(14, 0.8)
    )
    return peak(wave), ("continuous", "noisy")


def washer(rng: Rng, n: int) -> Drawn:
    turn = rng.uniform(0.5, 2.2)
    slosh = _gated(rng, n, turn, 1.5, noise(rng, n, (60, 0), (400, 2), (2500, -14), (9000, -30)))
    motor = partials(rng, rng.uniform(48, 120), n, rolloff(16, 0.9))
    return peak(slosh + rng.uniform(0.2, 0.7) * motor), ("low", "regular")


def drill(rng: Rng, n: int) -> Drawn:
    pitch = rng.uniform(180, 600)
    bursts = np.clip(wander(rng, n, 0.8) * 4 + 2.5, 0, 1)
    wave = partials(rng, pitch * (0.6 + 0.4 * bursts), n, rolloff(40, 0.5)) + rng.uniform(0.2, 0.8) * noise(
        rng, n, (300, -10), (3000, 0), (12000, -8)
    )
    if rng.uniform() < 0.4:
        wave = _gated(rng, n, rng.uniform(18, 45), 2.0, wave)
    return peak(wave * bursts), ("high", "rough")


def siren(rng: Rng, n: int) -> Drawn:
    rate, style = log_uniform(rng, 0.12, 4), rng.uniform()
    sweep = 0.5 + 0.5 * np.sin(2 * np.pi * phase(rate, n, rng.uniform()))
    if style < 0.35:
        sweep = (sweep > 0.5).astype(np.float64)
    elif style < 0.5:
        sweep = phase(rate, n) % 1.0
    low = rng.uniform(350, 800)
    pitch = (low * (1 + rng.uniform(0.3, 1.3) * sweep)).astype(np.float32)
    return peak(partials(rng, pitch, n, rolloff(14, rng.uniform(0.6, 1.6)))), (
        grade(np.log(rate / 0.12) / 3.5, "slow", "fast"),
        "tonal",
        "loud",
    )


def horn(rng: Rng, n: int) -> Drawn:
    root = rng.uniform(280, 480)

    def honk() -> Wave:
        m = samples(rng.uniform(0.15, 1.5))
        both = partials(rng, root, m, rolloff(30, 0.5)) + partials(rng, root * 1.26, m, rolloff(30, 0.5))
        return both * envelope(m, (0, 0), (0.03, 1), (0.95, 1), (1, 0))

    times = repeats(rng, n / RATE_HZ, rng.uniform(0.5, 1.8), 0.4, int(rng.integers(1, 6)))
    return peak(scatter(n, times, [honk() for _ in times])), ("tonal", "loud")


def fan(rng: Rng, n: int) -> Drawn:
    hum = partials(rng, float(rng.choice([50, 60])) * rng.uniform(1, 2.5), n, rolloff(12, 1.2))
    air = noise(rng, n, (50, 0), (300, 0), (2000, -8), (10000, -24))
    return peak(air * (1 + 0.1 * sine(rng.uniform(4, 15), n)) + rng.uniform(0.1, 0.8) * hum), ("continuous", "steady")


def traffic(rng: Rng, n: int) -> Drawn:
    wave = 0.3 * noise(rng, n, (40, 3), (200, 2), (1000, -6), (6000, -28))
    for _ in range(int(rng.integers(1, 5))):
        middle, width = rng.uniform(), rng.uniform(0.08, 0.3)
        passing = np.exp(-(((np.linspace(0, 1, n) - middle) / width) ** 2)).astype(np.float32)
        wave += passing * noise(rng, n, (50, 0), (400, 0), (1500, 0), (5000, -16), (12000, -32)) * rng.uniform(0.3, 1)
    return peak(wave), ("noisy", "continuous")


def sewing(rng: Rng, n: int) -> Drawn:
    rate = rng.uniform(6, 18) * np.clip(0.8 + 0.4 * wander(rng, n, 0.5), 0.2, None)
    beat = _gated(rng, n, rate, 8.0, noise(rng, n, (200, -4), (1500, 0), (6000, -6), (12000, -20)))
    return peak(beat + 0.2 * band(partials(rng, rate * 12, n, rolloff(20, 0.8)), 80, 4000)), ("fast", "regular")


FAMILIES = (
    Family(
        "helicopter",
        ("a helicopter", "helicopter", "a helicopter flying", "helicopter rotor blades"),
        helicopter,
        weight=2.5,
    ),
    Family("chainsaw", ("a chainsaw", "chainsaw", "a chain saw", "a chainsaw cutting wood"), chainsaw, weight=2.5),
    Family("engine", ("an engine idling", "engine", "a car engine", "a diesel motor", "a truck"), engine),
    Family("motorcycle", ("a motorcycle", "a motorbike revving", "a lawn mower"), motorcycle),
    Family("train", ("a train", "a train on rails", "a railway"), train),
    Family("aeroplane", ("an airplane", "airplane", "a jet flying over", "a plane"), aeroplane),
    Family("vacuum", ("a vacuum cleaner", "vacuum cleaner", "a hair dryer", "a blender"), vacuum),
    Family("washer", ("a washing machine", "washing machine", "a dishwasher"), washer),
    Family("drill", ("a drill", "drilling", "an electric tool", "a jackhammer"), drill),
    Family("siren", ("a siren", "siren", "an ambulance", "a police car", "a fire truck"), siren),
    Family("horn", ("a car horn", "car horn", "honking"), horn, True),
    Family("fan", ("a fan", "air conditioner", "ventilation hum", "a computer fan"), fan),
    Family("traffic", ("traffic", "street noise", "cars passing", "a busy road"), traffic),
    Family("sewing", ("a sewing machine", "a printer", "a rattling machine"), sewing),
)
