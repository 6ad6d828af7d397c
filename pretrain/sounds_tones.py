"""Instruments and signals: plucked, struck, blown and bowed tones, bells, beeps, hums and static."""

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
    partials,
    peak,
    phase,
    repeats,
    rolloff,
    samples,
    scatter,
    sine,
    struck,
    unit,
    wander,
)

SCALE = (0, 2, 4, 5, 7, 9, 11, 12, 14, 16)


def _melody(rng: Rng, n: int, root_hz: float, note_s: float, play) -> Wave:
    """Play `play(pitch in Hz, duration in s)` along a random walk on a major scale."""
    times = repeats(rng, n / RATE_HZ, note_s, float(rng.choice([0.02, 0.3])))
    degree = int(rng.integers(len(SCALE)))
    notes: list[Wave] = []
    for _ in times:
        degree = int(np.clip(degree + rng.integers(-3, 4), 0, len(SCALE) - 1))
        notes.append(play(root_hz * 2 ** (SCALE[degree] / 12), note_s) * rng.uniform(0.5, 1))
    return peak(scatter(n, times, notes))


def _instrument(low: float, high: float, notes_s: tuple[float, float], play):
    """Return a family function: a melody of `play(rng, pitch, duration)` somewhere between `low` and `high` Hz."""

    def draw(rng: Rng, n: int) -> Drawn:
        root, note_s = log_uniform(rng, low, high), log_uniform(rng, *notes_s)
        wave = _melody(rng, n, root, note_s, lambda hz, s: play(rng, hz, s))
        return wave, (
            grade(np.log(root / low) / np.log(high / low), "low", "high"),
            grade(note_s / notes_s[1], "fast", "slow"),
            "tonal",
        )

    return draw


def _plucked(rng: Rng, hz: float, _note_s: float) -> Wave:
    m = samples(1.5)
    modes = [
        (hz * k * (1 + 2e-4 * k * k), 0.9 / k**0.7, k**-1.0 * abs(np.sin(np.pi * k * 0.18)))
        for k in range(1, 16)
        if hz * k < 12000
    ]
    return struck(rng, m, modes) * decay(m, 5.0, 0.002)


def _piano(rng: Rng, hz: float, _note_s: float) -> Wave:
    m = samples(1.8)
    modes = [(hz * k * np.sqrt(1 + 4e-4 * k * k), 1.2 / k**0.5, k**-1.4) for k in range(1, 18) if hz * k < 12000]
    return struck(rng, m, modes) + 0.02 * noise(rng, m) * decay(m, 0.01)


def _held(slope: float, num_partials: int, vibrato: float, attack: float, breath: float):
    def play(rng: Rng, hz: float, note_s: float) -> Wave:
        m = samples(max(0.15, note_s * 0.95))
        pitch = hz * (1 + vibrato * sine(rng.uniform(4.5, 6.5), m) + 0.002 * wander(rng, m, 8))
        tone = partials(rng, pitch, m, rolloff(num_partials, slope)) + breath * band(noise(rng, m), hz, hz * 6)
        return tone * envelope(m, (0, 0), (attack, 1), (0.85, 0.8), (1, 0))

    return play


def _bar(rng: Rng, hz: float, _note_s: float) -> Wave:
    m = samples(1.2)
    return struck(
        rng, m, [(hz * r, 0.5 / r**0.6, g) for r, g in ((1, 1), (2.76, 0.4), (5.4, 0.2), (8.9, 0.1)) if hz * r < 13000]
    )


guitar = _instrument(80, 330, (0.15, 0.9), _plucked)
piano = _instrument(60, 700, (0.12, 1.0), _piano)
flute = _instrument(260, 1000, (0.2, 1.5), _held(2.2, 8, 0.006, 0.15, 0.08))
violin = _instrument(190, 800, (0.25, 1.8), _held(0.9, 40, 0.01, 0.2, 0.02))
trumpet = _instrument(160, 600, (0.15, 1.2), _held(0.5, 40, 0.004, 0.08, 0.01))
organ = _instrument(60, 400, (0.5, 2.5), _held(0.8, 20, 0.0, 0.03, 0.01))
glockenspiel = _instrument(500, 2200, (0.12, 0.7), _bar)


def bell(rng: Rng, n: int) -> Drawn:
    hz, ring = log_uniform(rng, 140, 1400), rng.uniform(0.8, 3)
    modes = [
        (hz * r * rng.uniform(0.99, 1.01), ring / r**0.7, g)
        for r, g in ((0.5, 0.6), (1, 1), (1.19, 0.8), (1.5, 0.5), (2, 0.8), (2.7, 0.4), (3.8, 0.3), (5.4, 0.2))
        if hz * r < 13000
    ]
    toll = struck(rng, samples(min(3.5, n / RATE_HZ)), modes)
    times = repeats(rng, n / RATE_HZ, rng.uniform(0.7, 2.6), 0.05)
    return peak(scatter(n, times, [toll * rng.uniform(0.7, 1) for _ in times])), (
        grade(np.log(hz / 140) / 2.3, "low", "high"),
        "metallic",
    )


def drum(rng: Rng, n: int) -> Drawn:
    step = rng.uniform(0.11, 0.22)
    m = samples(0.35)
    kick = sine(rng.uniform(45, 80) * (1 + 3 * decay(m, 0.02)), m) * decay(m, 0.12)
    snare = (0.6 * noise(rng, m, (200, 0), (3000, 0), (12000, -6)) + sine(rng.uniform(160, 240), m)) * decay(m, 0.07)
    hat = noise(rng, m, (2000, -30), (8000, 0), (14000, 0)) * decay(m, 0.03)
    steps = np.arange(int(n / RATE_HZ / step))
    wave = np.zeros(n, np.float32)
    for kind, odds, gain in ((kick, 0.4, 1.0), (snare, 0.25, 0.7), (hat, 0.6, 0.4)):
        pattern = rng.uniform(size=8) < odds
        times = steps[pattern[steps % 8]] * step
        wave += gain * scatter(n, times, [kind for _ in times])
    return peak(wave + 1e-6), (grade((0.22 - step) / 0.11, "slow", "fast"), "regular")


def cymbal(rng: Rng, n: int) -> Drawn:
    m = samples(2.5)
    crash = noise(rng, m, (300, -20), (3000, -3), (9000, 0), (14000, -2)) * decay(m, rng.uniform(0.2, 0.9), 0.003)
    times = repeats(rng, n / RATE_HZ, rng.uniform(0.5, 2.2), 0.1)
    return peak(scatter(n, times, [crash * rng.uniform(0.5, 1) for _ in times])), ("high", "metallic")


def beep(rng: Rng, n: int) -> Drawn:
    hz, rate, duty = log_uniform(rng, 400, 4200), log_uniform(rng, 0.5, 9), rng.uniform(0.2, 0.7)
    on = (phase(rate, n, rng.uniform()) % 1.0 < duty).astype(np.float32)
    gains = rolloff(int(rng.choice([1, 10])), 1.0)
    return peak(partials(rng, hz, n, gains) * on), (
        grade(np.log(hz / 400) / 2.35, "low", "high"),
        grade(np.log(rate * 2) / 2.9, "slow", "fast"),
        "tonal",
    )


def alarm_clock(rng: Rng, n: int) -> Drawn:
    hz = rng.uniform(1500, 3800)
    t = phase(rng.uniform(6, 16), n) % 1.0
    group = phase(rng.uniform(0.8, 1.6), n) % 1.0
    return peak(partials(rng, hz, n, rolloff(8, 0.8)) * ((t < 0.5) & (group < rng.uniform(0.4, 0.9)))), (
        "high",
        "fast",
        "tonal",
    )


def ringing(rng: Rng, n: int) -> Drawn:
    hz = rng.uniform(700, 2400)
    on = (phase(rng.uniform(0.3, 0.6), n) % 1.0 < 0.5).astype(np.float32)
    hits = 0.5 + 0.5 * np.sign(sine(rng.uniform(14, 26), n))
    return peak((partials(rng, hz, n, (1, 0.4, 0.3)) + 0.7 * sine(hz * 1.24, n)) * on * hits), ("high", "tonal")


def dial(rng: Rng, n: int) -> Drawn:
    if rng.uniform() < 0.5:
        return peak(sine(350 * rng.uniform(0.95, 1.3), n) + sine(440, n)), ("continuous", "tonal")
    on = (phase(rng.uniform(2, 5), n) % 1.0 < 0.5).astype(np.float32)
    keys = np.floor(phase(rng.uniform(2, 5), n)).astype(int) % 7
    low, high = rng.choice([697, 770, 852, 941], 7)[keys], rng.choice([1209, 1336, 1477], 7)[keys]
    return peak((sine(low, n) + sine(high, n)) * on), ("tonal", "fast")


def static(rng: Rng, n: int) -> Drawn:
    wave = noise(rng, n, (100, rng.uniform(-10, 2)), (3000, 0), (14000, rng.uniform(-6, 3)))
    if rng.uniform() < 0.5:
        wave = wave * np.clip(0.7 + 0.5 * wander(rng, n, 20), 0, None) + 0.8 * unit(
            grains(rng, n, 30, noise(rng, 60), 1.0)
        )
    return peak(wave), ("noisy", "continuous")


def hum(rng: Rng, n: int) -> Drawn:
    return peak(
        partials(rng, float(rng.choice([50, 60, 100, 120])), n, rolloff(24, rng.uniform(0.6, 1.6)))
        + 0.05 * noise(rng, n)
    ), ("low", "steady", "tonal")


def laser(rng: Rng, n: int) -> Drawn:
    def zap() -> Wave:
        m = samples(rng.uniform(0.1, 0.6))
        pitch = np.exp(np.linspace(np.log(rng.uniform(400, 5000)), np.log(rng.uniform(100, 3000)), m)).astype(
            np.float32
        )
        return partials(rng, pitch, m, rolloff(6, 1.2)) * decay(m, 0.25, 0.004)

    times = repeats(rng, n / RATE_HZ, rng.uniform(0.25, 0.9), 0.4)
    return peak(scatter(n, times, [zap() for _ in times])), ("sudden", "tonal")


def synthesiser(rng: Rng, n: int) -> Drawn:
    root = rng.uniform(55, 220)
    chord = sum(
        partials(rng, root * 2 ** (k / 12) * (1 + 0.003 * wander(rng, n, 3)), n, rolloff(40, rng.uniform(0.7, 1.4)))
        for k in (0, 4, 7)
    )
    return peak(chord * (0.8 + 0.2 * sine(rng.uniform(0.1, 4), n))), ("continuous", "tonal")


FAMILIES = (
    Family("guitar", ("a guitar", "a plucked string", "an acoustic guitar"), guitar),
    Family("piano", ("a piano", "piano notes", "a keyboard instrument"), piano),
    Family("flute", ("a flute", "a blown pipe", "a recorder"), flute),
    Family("violin", ("a violin", "a bowed string", "a cello"), violin),
    Family("trumpet", ("a trumpet", "a brass instrument", "a horn playing"), trumpet),
    Family("organ", ("an organ", "a church organ", "an accordion"), organ),
    Family("glockenspiel", ("a glockenspiel", "a xylophone", "a music box"), glockenspiel),
    Family("bell", ("a church bell", "church bells", "a bell ringing"), bell),
    Family("drum", ("drums", "a drum beat", "a drum kit"), drum),
    Family("cymbal", ("a cymbal", "a cymbal crash", "a gong"), cymbal),
    Family("beep", ("beeps", "a beep", "an electronic beep", "a reversing truck"), beep),
    Family("alarm_clock", ("an alarm clock", "clock alarm", "an alarm"), alarm_clock),
    Family("ringing", ("a telephone ringing", "a phone ring", "a doorbell"), ringing),
    Family("dial", ("a dial tone", "dialling a phone", "telephone tones"), dial),
    Family("static", ("static", "white noise", "radio static"), static),
    Family("hum", ("mains hum", "an electric hum", "a transformer"), hum),
    Family("laser", ("a laser", "a video game sound", "a zap"), laser),
    Family("synthesiser", ("a synthesizer", "a drone", "electronic music"), synthesiser),
)
