"""Uploaded files to waveforms and windows, in a bounded pool of threads (soundfile and soxr release the GIL)."""

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

from aspl.errors import AsplError
from aspl.sound.clip import decode, num_windows, windows
from service.http.problems import ServiceError
from service.inference.held_windows import Hold
from service.metrics import Metrics


@dataclass(frozen=True)
class DecodedClip:
    """A clip, cut into windows of 10 s."""

    windows: np.ndarray  # [W, 480000]
    spans_s: list[tuple[float, float]]
    duration_s: float
    is_silent: bool
    is_truncated: bool
    is_damaged: bool
    decode_ms: float


class Decoder:
    """Decodes with `num_threads` threads; refuses with "overloaded" when `max_waiting` clips wait already."""

    def __init__(self, *, num_threads: int, max_waiting: int, max_clip_s: float, metrics: Metrics):
        self.max_waiting = max_waiting
        self.max_clip_s = max_clip_s
        self._metrics = metrics
        self._unfinished: set[Future[DecodedClip]] = set()
        self._pool = ThreadPoolExecutor(num_threads, thread_name_prefix="decode")

    async def decode(self, file: BinaryIO, hold: Hold) -> DecodedClip:
        """Decode one file, whose windows the request is to `hold`.

        Raises aspl's Audio errors, and `ServiceError` when too much waits or is held.
        """
        if len(self._unfinished) >= self.max_waiting:
            limit = ("max_decoding", self.max_waiting)
            raise ServiceError("overloaded", "Too many clips wait to be decoded; try again shortly.", limit=limit)
        decoding = self._pool.submit(self._decode, file, hold)
        self._unfinished.add(decoding)
        decoding.add_done_callback(self._unfinished.discard)
        ending = asyncio.wrap_future(decoding)
        try:
            return await asyncio.shield(ending)
        except asyncio.CancelledError:
            # In mid-decoding the file must stay open until the thread has let go of it.
            if not decoding.cancel():
                await settle([ending])
            raise

    def close(self) -> None:
        """End the threads once they have finished what they are at."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _decode(self, file: BinaryIO, hold: Hold) -> DecodedClip:
        try:
            return self._cut(file, hold)
        except (AsplError, ServiceError) as error:
            # Its traceback would keep the samples, uncounted, until the request's other clips are done.
            raise error.with_traceback(None) from None

    def _cut(self, file: BinaryIO, hold: Hold) -> DecodedClip:
        started_at = time.perf_counter()
        clip = decode(file, max_duration_s=self.max_clip_s)
        hold(num_windows(len(clip.waveform)))  # before they are cut, for the cut is a copy
        cut, spans_s = windows(clip.waveform)
        elapsed_s = time.perf_counter() - started_at
        self._metrics.decode_s.observe(elapsed_s)
        return DecodedClip(
            cut, spans_s, clip.duration_s, clip.is_silent, clip.is_truncated, clip.is_damaged, elapsed_s * 1e3
        )


async def settle(futures: Sequence["asyncio.Future[Any]"]) -> None:
    """Wait until all have ended, also where the waiting itself is cancelled: what they use may be taken away after."""
    while pending := [future for future in futures if not future.done()]:
        with suppress(asyncio.CancelledError):
            await asyncio.wait(pending)
    for future in futures:
        if not future.cancelled():
            future.exception()  # counts as seen
