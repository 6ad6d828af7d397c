"""Uploaded files to waveforms and windows, in a bounded pool of threads (soundfile and soxr release the GIL)."""

import asyncio
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from aspl.errors import AsplError
from aspl.sound.clip import SILENCE_AMPLITUDE, decode, num_windows, windows
from service.inference.errors import InferenceError, Overloaded
from service.inference.futures import wait_for_all
from service.inference.window_budget import Reserve
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
    decode_ms: float


@dataclass(frozen=True)
class DecodedClip:
    """A clip, cut into windows of 10 s."""

    windows: np.ndarray  # [W, 480000]
    info: ClipInfo


class Decoder:
    """Decodes with `num_threads` threads; raises Overloaded when `max_waiting` clips wait already."""

    def __init__(self, *, num_threads: int, max_waiting: int, max_clip_s: float, metrics: Metrics):
        self.max_waiting = max_waiting
        self.max_clip_s = max_clip_s
        self._metrics = metrics
        self._unfinished: set[Future[DecodedClip]] = set()
        self._pool = ThreadPoolExecutor(num_threads, thread_name_prefix="decode")

    async def decode(self, file: BinaryIO, reserve: Reserve) -> DecodedClip:
        """Decode one file; `reserve` is called with the number of its windows before they are cut.

        Raises aspl's Audio errors, Overloaded when too much waits, and what `reserve` raises.
        """
        if len(self._unfinished) >= self.max_waiting:
            limit = ("max_decoding", self.max_waiting)
            raise Overloaded("Too many clips wait to be decoded; try again shortly.", limit=limit)
        decoding = self._pool.submit(self._decode, file, reserve)
        self._unfinished.add(decoding)
        decoding.add_done_callback(self._unfinished.discard)
        ending = asyncio.wrap_future(decoding)
        try:
            return await asyncio.shield(ending)
        except asyncio.CancelledError:
            # In mid-decoding the file must stay open until the thread has let go of it.
            if not decoding.cancel():
                await wait_for_all([ending])
            raise

    def close(self) -> None:
        """End the threads once they have finished what they are at."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _decode(self, file: BinaryIO, reserve: Reserve) -> DecodedClip:
        try:
            return self._cut(file, reserve)
        except (AsplError, InferenceError) as error:
            # Its traceback would keep the samples, uncounted, until the request's other clips are done.
            raise error.with_traceback(None) from None

    def _cut(self, file: BinaryIO, reserve: Reserve) -> DecodedClip:
        started_at = time.perf_counter()
        clip = decode(file, max_duration_s=self.max_clip_s)
        reserve(num_windows(len(clip.waveform)))  # before they are cut, for the cut is a copy
        cut, spans_s = windows(clip.waveform)
        silent = [bool(np.abs(window).max() < SILENCE_AMPLITUDE) for window in cut]
        elapsed_s = time.perf_counter() - started_at
        self._metrics.decode_s.observe(elapsed_s)
        info = ClipInfo(
            duration_s=clip.duration_s,
            spans_s=spans_s,
            is_silent=clip.is_silent,
            silent_windows=silent,
            is_truncated=clip.is_truncated,
            is_damaged=clip.is_damaged,
            decode_ms=elapsed_s * 1e3,
        )
        return DecodedClip(cut, info)
