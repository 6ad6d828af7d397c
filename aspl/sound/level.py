"""How loud a clip is, and the level that clips are brought to before they are heard.

How far a recorder was turned up, or how far away it stood, says little of which sound it is, but the encoder hears it:
of sounds that were taught by one device a quarter is unknown through another that is 20 dB quieter. So all clips of an
adapter, those that teach it, the background and those that it is asked about, are heard at one level, that of their
loudest tenth of a second, which neither the silence around a sound nor its length moves. A long clip is raised as a
whole, so that what is quiet in it stays so.
"""

import numpy as np

from aspl.sound.clip import SILENCE_AMPLITUDE

# N samples

HEARD_AT_DB = -20.0  # below full scale, the mean square of the loudest tenth of a second
MOST_GAIN_DB = 60.0  # a recording that it does not suffice for is next to digital silence
HOP_SAMPLES, SPAN_HOPS = 480, 10  # at 48 kHz a hundredth of a second, and a tenth
LEAST_POWER = 1e-20


def level_of(waveform: np.ndarray) -> float | None:
    """Return the level of a waveform `[N]` at 48 kHz, in dB below full scale; None for digital silence.

    Each hundredth of a second counts by what it has about its own mean: an offset, and what shakes below 50 Hz, the
    encoder does not hear.
    """
    if np.abs(waveform).max() < SILENCE_AMPLITUDE:
        return None
    whole, rest = np.split(waveform, [len(waveform) // HOP_SAMPLES * HOP_SAMPLES])
    hops = [_energy(whole.reshape(-1, HOP_SAMPLES)), _energy(rest[None]) if len(rest) else (), np.zeros(SPAN_HOPS)]
    sums = np.cumsum(np.concatenate(hops))
    sums[SPAN_HOPS:] -= sums[:-SPAN_HOPS].copy()
    power = sums[SPAN_HOPS - 1 :].max() / (SPAN_HOPS * HOP_SAMPLES)
    return float(10 * np.log10(power + LEAST_POWER))


def _energy(hops: np.ndarray) -> np.ndarray:
    """Return `[n]`, the sum of the squares of each of `[n, samples]` about its mean."""
    squares = np.einsum("ij,ij->i", hops, hops, dtype=np.float64)
    return np.maximum(squares - hops.sum(1, dtype=np.float64) ** 2 / hops.shape[1], 0)


def gain(level_db: float | None, wanted_db: float | None) -> float:
    """Return the factor that brings a clip of level `level_db` to the one that is wanted; 1 where either is None."""
    if level_db is None or wanted_db is None:
        return 1.0
    return 10.0 ** (min(wanted_db - level_db, MOST_GAIN_DB) / 20)


def at_level(waveform: np.ndarray, wanted_db: float | None) -> np.ndarray:
    """Return a waveform `[N]` as loud as is wanted, in dB below full scale; None leaves it as it was recorded."""
    return waveform if wanted_db is None else waveform * gain(level_of(waveform), wanted_db)
