"""Two ways to hear a file: ours, and as the releases do (`paper`).

Ours averages the channels and hears the whole clip. Theirs lays the channels end to end and takes seven seconds: of
less, it is repeated and cut; of more, one piece at random, in the test too. The piece follows from the seed here, and
stays the same through a fit, where the releases take another at every pass.
"""

import io
from hashlib import sha256

import numpy as np
import soxr

from aspl import decode
from aspl.sound.clip import SAMPLE_RATE_HZ
from aspl.sound.containers import identify
from aspl.sound.decoders import Block, blocks

OURS, PAPER = "ours", "paper"
CROPS = (OURS, PAPER)
PAPER_SAMPLES = 7 * SAMPLE_RATE_HZ


def hear_file(data: bytes, crop: str, *, seed: int) -> tuple[np.ndarray, bool]:
    """Return the waveform `[N]` at 48 kHz of a file's bytes, and whether it depends on the seed."""
    if crop == OURS:
        return decode(data).waveform, False
    return paper_crop(channels_end_to_end(data), key=[seed, int.from_bytes(sha256(data).digest()[:7], "big")])


def channels_end_to_end(data: bytes) -> np.ndarray:
    """Return all of the first channel, then all of the second, and so on, `[N]` at 48 kHz."""
    stream = io.BytesIO(data)
    decoded = [item for item in blocks(stream, identify(stream)) if isinstance(item, Block)]
    rate_hz = decoded[0].rate_hz
    samples = np.concatenate([block.samples for block in decoded])  # [n, channels]
    if rate_hz != SAMPLE_RATE_HZ:
        samples = soxr.resample(samples, rate_hz, SAMPLE_RATE_HZ)
    return np.ascontiguousarray(samples.T, np.float32).reshape(-1)


def paper_crop(waveform: np.ndarray, *, key: list[int]) -> tuple[np.ndarray, bool]:
    """Return seven seconds of a waveform, and whether they were drawn, by `key`, from more."""
    if len(waveform) <= PAPER_SAMPLES:
        return np.resize(waveform, PAPER_SAMPLES), False
    start = int(np.random.default_rng(key).integers(len(waveform) - PAPER_SAMPLES))
    return waveform[start : start + PAPER_SAMPLES], True
