"""Draws of the channel's benchmark: a tenant, a microphone, and which clips are heard live.

A microphone is a smooth curve of 8 dB deviation at seven frequencies; half of ten are cut below 120 Hz by 12 dB, half
above 8 kHz by 15. Sounds are filtered as waveforms. Clips that are heard live are none of those that teach or test.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.signal

from aspl.sound.clip import SAMPLE_RATE_HZ
from aspl.sound.log_mel import LogMel
from benchmarks.ear_draws import Clips, Draw, RecordingSet, draw

# M mel bins

SHOTS = 8
KNOTS_HZ, KNOT_DEVIATION_DB = (30, 120, 400, 1200, 3500, 8000, 16000), 8.0
LOW_CUT_HZ, LOW_CUT_DB = 120.0, -12.0
HIGH_CUT_HZ, HIGH_CUT_DB = 8000.0, -15.0
FILTER_TAPS = 1025
MICROPHONES = 10  # among so many seeds in a row just half have each cut
MOST_TESTED, MOST_FOREIGN, ONE_LABEL_CLIPS, LIVE_CLIPS, LIVE_FOREIGN = 8, 20, 8, 15, 12


@dataclass(frozen=True)
class Microphone:
    """Gains in dB at KNOTS_HZ, straight between them on a logarithmic axis, and the cuts."""

    gains_db: tuple[float, ...]
    cuts_low: bool
    cuts_high: bool

    @classmethod
    def drawn(cls, seed: int) -> "Microphone":
        """Return the microphone of a seed."""
        gains = np.random.default_rng([seed, 7]).normal(0, KNOT_DEVIATION_DB, len(KNOTS_HZ))
        block, place = divmod(seed, MICROPHONES)
        low, high = (
            np.random.default_rng([block, which]).permutation(MICROPHONES) < MICROPHONES // 2 for which in (1, 2)
        )
        return cls(tuple(gains), bool(low[place]), bool(high[place]))

    def gain_db(self, hz: np.ndarray) -> np.ndarray:
        """Return the gain at these frequencies."""
        gain = np.interp(np.log(np.maximum(hz, 1)), np.log(KNOTS_HZ), self.gains_db)
        gain = gain + LOW_CUT_DB * (self.cuts_low & (hz < LOW_CUT_HZ))
        return gain + HIGH_CUT_DB * (self.cuts_high & (hz > HIGH_CUT_HZ))

    def impulse(self) -> np.ndarray:
        """Return the impulse response, linear phase, at 48 kHz."""
        grid_hz = np.linspace(0, SAMPLE_RATE_HZ / 2, 513)
        return scipy.signal.firwin2(FILTER_TAPS, grid_hz, 10 ** (self.gain_db(grid_hz) / 20), fs=SAMPLE_RATE_HZ)

    def through(self, waveform: np.ndarray) -> np.ndarray:
        """Return what the microphone makes of a waveform."""
        heard = scipy.signal.oaconvolve(waveform, self.impulse(), mode="full")
        start = FILTER_TAPS // 2
        return heard[start : start + len(waveform)].astype(np.float32)

    def response_db(self) -> np.ndarray:
        """Return `[M]`, the gain in each mel bin on sound of equal power per Hz."""
        filters = LogMel().filters.double().numpy()  # [F, M]
        hz = np.linspace(0, SAMPLE_RATE_HZ / 2, len(filters))
        power = np.abs(scipy.signal.freqz(self.impulse(), worN=hz, fs=SAMPLE_RATE_HZ)[1]) ** 2
        return 10 * np.log10(power @ filters / filters.sum(0))


@dataclass(frozen=True)
class LiveDraw:
    """A tenant that teaches 8 clips a label, what is heard live by the name of the case, and what is tested on."""

    taught: Draw
    live: Mapping[str, Clips]
    one_label: str
    labelled: Sequence[int]  # the classes of the 15 mixed clips
    test: Clips
    test_classes: np.ndarray
    foreign: Clips


def live_draw(sets: Mapping[str, RecordingSet], name: str, seed: int) -> LiveDraw:
    """Return the draw of a seed: half of what is not taught is heard live, the rest is tested on."""
    drawn = draw(sets, name, SHOTS, seed, share=1.0)
    rng = np.random.default_rng([seed, 11, sum(map(ord, name))])
    by_class = [np.flatnonzero(drawn.test_classes == k) for k in range(len(drawn.taught))]
    enough = [k for k, rows in enumerate(by_class) if len(rows) >= ONE_LABEL_CLIPS + 2]
    one = int(rng.choice(enough)) if enough else int(np.argmax([len(rows) for rows in by_class]))
    pools, tested = [], []
    for k, rows in enumerate(by_class):
        rows = rng.permutation(rows)
        num_live = max(len(rows) // 2, min(ONE_LABEL_CLIPS, len(rows) - 2) if k == one else 1)
        pools.append(rows[:num_live])
        tested.append(rows[num_live:][:MOST_TESTED])
    mixed = rng.permutation(np.concatenate(pools))
    foreign = [drawn.foreign[k] for k in rng.permutation(len(drawn.foreign))]
    test = np.concatenate(tested)

    def clips(rows: Sequence[int]) -> Clips:
        return [drawn.test[row] for row in rows]

    live = {
        "5 mixed": clips(mixed[:5]),
        "15 mixed": clips(mixed[:LIVE_CLIPS]),
        "8 of one label": clips(pools[one][:ONE_LABEL_CLIPS]),
        "15 foreign": foreign[:LIVE_CLIPS],
        "12 of 15 foreign": foreign[:LIVE_FOREIGN] + clips(mixed[: LIVE_CLIPS - LIVE_FOREIGN]),
    }
    labelled = [int(drawn.test_classes[row]) for row in mixed[:LIVE_CLIPS]]
    rest = foreign[LIVE_CLIPS:][:MOST_FOREIGN]
    return LiveDraw(drawn, live, drawn.taught[one], labelled, clips(test), drawn.test_classes[test], rest)
