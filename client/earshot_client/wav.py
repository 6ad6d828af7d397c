"""Samples as the bytes of a WAV file, without loss."""

from __future__ import annotations

import struct
from typing import Any

PCM, IEEE_FLOAT = 1, 3


def wav_bytes(samples: Any, rate_hz: int) -> bytes:
    """Write a mono WAV file.

    Args:
        samples: a numpy array [T] or [T, 1]: floating from -1 to 1, or 16-bit integers.
        rate_hz: samples a second, 1 or more.

    Raises:
        ValueError: the array has another shape or type, or the rate is none.
    """
    import numpy

    array = numpy.asarray(samples)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]  # [T, 1] -> [T]
    if array.ndim != 1:
        raise ValueError(f"An array of shape {array.shape} is no mono clip: give one of shape [T], one channel.")
    if not isinstance(rate_hz, int) or rate_hz < 1:
        raise ValueError(f"rate_hz: {rate_hz!r} is no number of samples a second: give an integer, as 48000.")
    if array.dtype == numpy.int16:
        return _file(PCM, array.astype("<i2").tobytes(), rate_hz, width_bytes=2)
    if numpy.issubdtype(array.dtype, numpy.floating):
        return _file(IEEE_FLOAT, array.astype("<f4").tobytes(), rate_hz, width_bytes=4)
    raise ValueError(f"An array of {array.dtype} is no clip: give floating samples from -1 to 1, or int16.")


def _file(kind: int, data: bytes, rate_hz: int, *, width_bytes: int) -> bytes:
    form = struct.pack("<HHIIHH", kind, 1, rate_hz, rate_hz * width_bytes, width_bytes, 8 * width_bytes)
    chunks = b"".join(
        name + struct.pack("<I", len(chunk)) + chunk for name, chunk in ((b"fmt ", form), (b"data", data))
    )
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks
