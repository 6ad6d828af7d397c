"""Tones as WAV files, for uploads."""

import io

import numpy as np
import soundfile

RATE_HZ = 48_000


def tone(frequency_hz: float, *, duration_s: float = 0.3, seed: int = 0) -> bytes:
    """A WAV file of a tone in a little noise."""
    generator = np.random.default_rng(seed)
    time_s = np.arange(int(duration_s * RATE_HZ)) / RATE_HZ
    samples = 0.5 * np.sin(2 * np.pi * frequency_hz * time_s) + 0.02 * generator.standard_normal(time_s.size)
    file = io.BytesIO()
    soundfile.write(file, samples.astype(np.float32), RATE_HZ, format="WAV", subtype="PCM_16")
    return file.getvalue()
