"""Sounds as WAV files."""

import io

import numpy as np
import soundfile

RATE_HZ = 48_000


def wav(samples: np.ndarray) -> bytes:
    """A 16-bit WAV file of mono samples at 48 kHz."""
    file = io.BytesIO()
    soundfile.write(file, samples.astype(np.float32), RATE_HZ, format="WAV", subtype="PCM_16")
    return file.getvalue()


def tone(frequency_hz: float, *, duration_s: float = 0.5) -> bytes:
    """A WAV file of a tone."""
    time_s = np.arange(int(duration_s * RATE_HZ)) / RATE_HZ
    return wav(0.5 * np.sin(2 * np.pi * frequency_hz * time_s))
