"""What another microphone makes of a sound."""

import numpy as np
import scipy.signal

SAMPLE_RATE_HZ = 48_000


def dip(waveform: np.ndarray) -> np.ndarray:
    """A microphone that takes 20 dB about 2 kHz."""
    hz = np.linspace(0, SAMPLE_RATE_HZ / 2, 513)
    octaves = np.log2(np.maximum(hz, 50) / 1000)
    gain_db = 1 - 20 * np.exp(-0.5 * (octaves - 1) ** 2)
    impulse = scipy.signal.firwin2(1025, hz, 10 ** (gain_db / 20), fs=SAMPLE_RATE_HZ)
    return scipy.signal.fftconvolve(waveform, impulse, mode="same").astype(np.float32)
