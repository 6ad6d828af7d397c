"""Bytes -> mono waveform at 48 kHz, and a waveform -> the 10 s windows that the encoder hears.

The same bytes always give the same samples and the same windows: nothing is cropped at random.
"""

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import soxr

from aspl.errors import AsplError, AudioInvalid, AudioTooLong, AudioUndecodable
from aspl.sound.containers import Container, identify
from aspl.sound.decoders import Block, Loss, blocks
from aspl.sound.ends import is_cut_short

SAMPLE_RATE_HZ = 48_000
WINDOW_SAMPLES = 480_000
HOP_SAMPLES = WINDOW_SAMPLES // 2
MIN_DURATION_S = 0.01
MIN_RATE_HZ, MAX_RATE_HZ = 1_000, 768_000
# 120 dB above full scale: past any recording, and low enough for the power spectrum to stay finite.
MAX_AMPLITUDE = 1e6
# One step of 16-bit audio: what lies below it all through is digital silence, or a codec's trace of it, or two
# channels that cancel each other out but for their rounding.
SILENCE_AMPLITUDE = 2.0**-15


@dataclass(frozen=True)
class Clip:
    """A decoded file: mono float32 waveform [N] at 48 kHz, its duration, and what was odd about it.

    `is_truncated`: the file ends before its structure says that it does. `is_damaged`: a part within it could not be
    decoded and is left out.
    """

    waveform: np.ndarray
    duration_s: float
    is_silent: bool
    is_truncated: bool
    is_damaged: bool


def decode(
    data: bytes | BinaryIO, *, max_duration_s: float = 600.0, on_audio: Callable[[float], None] | None = None
) -> Clip:
    """Decode an audio file and bring it to mono (the mean of its channels) at 48 kHz.

    `data` are the file's bytes or a seekable binary file, which is read from its start. The file's header is not
    believed: samples count as they are decoded, and decoding ends at `max_duration_s`. What is damaged is used as far
    as it can be read, past the damage where the codec finds its way again, and flagged. Safe to call from many
    threads, each with its own `data`.

    `on_audio` is called with each further duration that was decoded, in seconds, whatever comes of the file; what it
    raises ends the decoding.

    Raises AudioNotAudio for other types of file, AudioUndecodable where less than 10 ms of a broken file decode,
    AudioInvalid for audio without samples, under 10 ms, or with samples or a sample rate that cannot be used, and
    AudioTooLong.
    """
    stream = data if hasattr(data, "seek") else io.BytesIO(data)
    container = identify(stream)
    waveform = _Waveform(max_duration_s)
    losses: list[Loss] = []
    for item in blocks(stream, container):
        if on_audio is not None:
            on_audio(0.0 if isinstance(item, Loss) else len(item.samples) / item.rate_hz)
        if isinstance(item, Loss):
            losses.append(item)
        else:
            waveform.append(item)
    ends_broken = any(loss.is_end for loss in losses)
    is_cut = is_cut_short(stream, container)
    is_truncated = ends_broken if is_cut is None else is_cut
    is_damaged = any(not loss.is_end for loss in losses) or (ends_broken and not is_truncated)
    if waveform.duration_s < MIN_DURATION_S:
        raise _too_short(waveform.duration_s, container, losses, is_truncated)
    samples = waveform.finish()
    is_silent = bool(np.abs(samples).max() < SILENCE_AMPLITUDE)
    return Clip(samples, waveform.duration_s, is_silent, is_truncated, is_damaged)


def _too_short(duration_s: float, container: Container, losses: list[Loss], is_truncated: bool) -> AsplError:
    heard = f"{duration_s * 1000:.4g} ms" if duration_s else "no samples at all"
    if losses or is_truncated:
        reason = losses[0].reason if losses else "the file ends early"
        return AudioUndecodable(f"The {container.name} file is damaged or cut off, with {heard} to decode: {reason}.")
    return AudioInvalid(f"The audio holds {heard}; at least {MIN_DURATION_S * 1000:g} ms are needed.")


def windows(waveform: np.ndarray) -> tuple[np.ndarray, list[tuple[float, float]]]:
    """Cut a waveform [N] at 48 kHz into the 10 s windows that the encoder hears.

    Up to 10 s: one window, the clip repeated floor(480000 / N) times and zeros behind it, as LAION CLAP's `repeatpad`.
    Longer: windows that overlap by half, the last one flush with the end.

    Returns float32 [W, 480000] and the span of each window in the clip, in seconds.
    """
    waveform = np.asarray(waveform, dtype=np.float32)
    num_samples = len(waveform)
    if waveform.ndim != 1 or not num_samples:
        raise ValueError(f"a waveform of shape [N] with N >= 1 is needed, not {list(waveform.shape)}")
    if num_samples <= WINDOW_SAMPLES:
        repeated = np.tile(waveform, WINDOW_SAMPLES // num_samples)
        padded = np.pad(repeated, (0, WINDOW_SAMPLES - len(repeated)))
        return padded[None], [(0.0, num_samples / SAMPLE_RATE_HZ)]
    last = num_samples - WINDOW_SAMPLES
    starts = [*range(0, last, HOP_SAMPLES), last]
    assert len(starts) == num_windows(num_samples)
    cut = np.stack([waveform[start : start + WINDOW_SAMPLES] for start in starts])
    return cut, [(start / SAMPLE_RATE_HZ, (start + WINDOW_SAMPLES) / SAMPLE_RATE_HZ) for start in starts]


def num_windows(num_samples: int) -> int:
    """How many windows `windows` cuts a waveform of so many samples into."""
    return 1 + max(0, -(-(num_samples - WINDOW_SAMPLES) // HOP_SAMPLES))


class _Waveform:
    """Checks, mixes down and resamples block by block, so that only the mono waveform at 48 kHz is ever held."""

    def __init__(self, max_duration_s: float) -> None:
        self._max_duration_s = max_duration_s
        self._pieces: list[np.ndarray] = []
        self._resampler: soxr.ResampleStream | None = None
        self._rate_hz = 0
        self._num_frames = 0  # at the present rate
        self._earlier_s = 0.0  # at the rates before it: chained streams may change theirs

    @property
    def duration_s(self) -> float:
        return self._earlier_s + (self._num_frames / self._rate_hz if self._rate_hz else 0.0)

    def append(self, block: Block) -> None:
        if block.rate_hz != self._rate_hz:
            self._change_rate(block.rate_hz)
        self._num_frames += len(block.samples)
        if self.duration_s > self._max_duration_s:
            raise AudioTooLong(f"The audio is longer than the limit of {self._max_duration_s:g} s.")
        mono = _mix_down(block.samples)
        self._pieces.append(self._resampler.resample_chunk(mono) if self._resampler else mono)

    def finish(self) -> np.ndarray:
        self._pieces.extend(self._flush())
        return np.concatenate(self._pieces)

    def _change_rate(self, rate_hz: int) -> None:
        if not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
            raise AudioInvalid(
                f"The audio's sample rate is {rate_hz} Hz; {MIN_RATE_HZ} Hz to {MAX_RATE_HZ} Hz can be used."
            )
        self._pieces.extend(self._flush())
        self._earlier_s, self._num_frames, self._rate_hz = self.duration_s, 0, rate_hz
        is_resampled = rate_hz != SAMPLE_RATE_HZ
        self._resampler = soxr.ResampleStream(rate_hz, SAMPLE_RATE_HZ, 1, dtype="float32") if is_resampled else None

    def _flush(self) -> Iterator[np.ndarray]:
        if self._resampler:
            yield self._resampler.resample_chunk(np.empty(0, dtype=np.float32), last=True)


def _mix_down(samples: np.ndarray) -> np.ndarray:
    """Average the channels [n, channels] -> [n], after a check that every sample can be used."""
    peak = np.abs(samples).max(initial=0.0)  # NaN where any sample is
    if not peak <= MAX_AMPLITUDE:
        found = "NaN" if np.isnan(peak) else "infinite" if np.isinf(peak) else f"{peak:.3g}"
        raise AudioInvalid(f"The audio has samples that cannot be used ({found}); full scale is 1.")
    mono = samples[:, 0].copy()
    for channel in samples.T[1:]:  # many times faster than a mean over an axis of two
        mono += channel
    return mono / np.float32(samples.shape[1])
