"""Uploaded files to waveforms and windows, in threads (soundfile and soxr release the GIL)."""

import time
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from aspl.errors import AsplError
from aspl.sound.clip import SILENCE_AMPLITUDE, decode, num_windows, windows
from aspl.sound.level import level_of
from service.inference.account import Charge, Resource
from service.inference.errors import InferenceError
from service.inference.tenant_threads import Check, TenantThreads
from service.metrics import Metrics


@dataclass(frozen=True)
class ClipInfo:
    """What decoding found out about a clip, without its samples."""

    duration_s: float
    spans_s: list[tuple[float, float]]  # start and end of each of the W windows
    is_silent: bool
    silent_windows: list[bool]  # of each of them, whether it is digital silence
    is_truncated: bool
    is_damaged: bool
    level_db: float | None  # None for digital silence
    decode_ms: float


@dataclass(frozen=True)
class DecodedClip:
    """A clip, cut into windows of 10 s."""

    windows: np.ndarray  # [W, 480000]
    info: ClipInfo


class Decoder:
    """Decodes with `num_threads` threads a tenant."""

    def __init__(self, *, num_threads: int, max_clip_s: float, metrics: Metrics):
        self.max_clip_s = max_clip_s
        self._metrics = metrics
        self._threads = TenantThreads(num_threads, name="decode")

    async def decode(self, file: BinaryIO, charge: Charge) -> DecodedClip:
        """Decode one file, of which one window is charged already; its further ones are before they are cut.

        Raises aspl's Audio errors, and what the charge raises.
        """
        return await self._threads.run(charge.tenant, lambda check: self._decode(file, charge, check))

    def close(self) -> None:
        """End the threads once they have finished what they are at."""
        self._threads.close()

    def _decode(self, file: BinaryIO, charge: Charge, check: Check) -> DecodedClip:
        try:
            return self._cut(file, charge, check)
        except (AsplError, InferenceError) as error:
            # Its traceback would keep the samples, uncounted, until the request's other clips are done.
            raise error.with_traceback(None) from None

    def _cut(self, file: BinaryIO, charge: Charge, check: Check) -> DecodedClip:
        def count(seconds: float) -> None:
            check()
            charge.take(Resource.SECONDS, seconds)

        started_at = time.perf_counter()
        clip = decode(file, max_duration_s=self.max_clip_s, on_audio=count)
        charge.take(Resource.WINDOWS, num_windows(len(clip.waveform)) - 1)  # before they are cut, for that is a copy
        cut, spans_s = windows(clip.waveform)
        silent = [bool(np.abs(window).max() < SILENCE_AMPLITUDE) for window in cut]
        level_db = level_of(clip.waveform)
        elapsed_s = time.perf_counter() - started_at
        self._metrics.decode_s.observe(elapsed_s)
        info = ClipInfo(
            duration_s=clip.duration_s,
            spans_s=spans_s,
            is_silent=clip.is_silent,
            silent_windows=silent,
            is_truncated=clip.is_truncated,
            is_damaged=clip.is_damaged,
            level_db=level_db,
            decode_ms=elapsed_s * 1e3,
        )
        return DecodedClip(cut, info)
