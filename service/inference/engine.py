"""The model's threads: each takes what waits, encodes it in one mixed batch, scores every clip with its own adapter.

None waits for a batch to fill: an idle engine starts at once with what is there, a busy one finds more when it comes
back. On a CPU there are two such lanes. One that is busy alone computes on all cores; when both are, each computes on
half of them, since a core that waits for the others at the end of every operation does nothing in between.
"""

import math
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import TypeVar

import numpy as np
import structlog
import torch

from aspl import FrozenClap
from aspl.curves import curve_sums
from aspl.errors import LabelsInvalid
from aspl.inference import Scored, hear_windows, num_text_passes, reads_stages, score
from service.inference.errors import ModelFailed, NotReady
from service.inference.queued import Queued, QueuedTexts, Slice, total
from service.inference.queued_clip import HeardWindows, QueuedClip, Scores
from service.inference.tenant_queue import TenantQueue
from service.inference.text_steps import Pace, texts_of
from service.metrics import Metrics

MEASURE_LIMIT_S = 3.0
MEASURE_ROUNDS = 6

Item = TypeVar("Item")
Result = TypeVar("Result")
log = structlog.get_logger(__name__)


class Engine:
    """Owns the model's threads. Callers `submit` clips, or ask to `encode_texts`, and wait on the future.

    The first lane takes turns: a batch of windows, then as many passes of the text encoder as take a tenth of a second.
    The others do nothing but windows.
    """

    def __init__(self, clap: FrozenClap, *, batch_windows: int, metrics: Metrics, num_lanes: int = 1):
        self.clap = clap
        self.batch_windows = batch_windows  # >= 1
        self._changed = threading.Condition()
        self.queue = TenantQueue(self._changed)
        self.texts = TenantQueue(self._changed)
        self._pace = Pace()
        self._metrics = metrics
        self._last_forward_at: float | None = None
        self._step_started_at: dict[int, float] = {}  # by lane, of those that are at one
        self._num_cores = torch.get_num_threads()
        self._is_stopping = False
        self._lanes = [
            threading.Thread(target=self._run, args=(lane,), name=f"inference-{lane}", daemon=True)
            for lane in range(num_lanes)
        ]

    def start(self) -> None:
        """Start the threads."""
        for lane in self._lanes:
            lane.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Finish the running steps, fail what waits, end the threads."""
        with self._changed:
            self._is_stopping = True
            self._changed.notify_all()
        deadline = time.monotonic() + timeout_s
        for lane in self._lanes:
            if lane.ident is not None:
                lane.join(max(deadline - time.monotonic(), 0))
        self._fail_all(NotReady("The service is shutting down; try again."))

    def submit(self, clip: QueuedClip) -> "Future[Scores]":
        """Queue a clip; raises NotReady."""
        self._check_running()
        self.queue.put(clip)
        return clip.future

    def encode_texts(self, tenant: str, texts: Sequence[str], *, timeout_s: float) -> QueuedTexts:
        """Queue texts, of which `future` will have the embeddings `[K, D]`; raises NotReady."""
        self._check_running()
        work = QueuedTexts(
            tenant=tenant,
            deadline=time.monotonic() + timeout_s,
            num_passes=len(texts),
            run=torch.no_grad()(lambda start, stop: self.clap.encode_text(texts[start:stop])),
            complete=lambda embeddings: work.finish(lambda: work.future.set_result(embeddings)),
        )
        self.texts.put(work)
        return work

    def is_fresh(self, max_age_s: float) -> bool:
        """Whether a forward pass has succeeded within `max_age_s`, and none has failed since."""
        last = self._last_forward_at
        return self._is_alive() and last is not None and time.monotonic() - last <= max_age_s

    def is_stuck(self, max_batch_s: float) -> bool:
        """Whether some step will never end: a thread has died, or has been at one for longer than `max_batch_s`."""
        now = time.monotonic()
        is_late = any(now - started_at > max_batch_s for started_at in list(self._step_started_at.values()))
        return is_late or not self._is_alive()

    def _is_alive(self) -> bool:
        return all(lane.is_alive() for lane in self._lanes)

    def _check_running(self) -> None:
        if not self._is_alive():
            raise NotReady("The model is not running.")

    def _fail_all(self, error: Exception) -> None:
        for work in self.queue.drain() + self.texts.drain():
            work.fail(error)

    def _run(self, lane: int) -> None:
        has_texts = lane == 0
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._is_stopping or self.queue or (has_texts and self.texts))
            if self._is_stopping:
                return
            self._step(lane, lambda: self.queue.take(self.batch_windows), self._serve)
            if has_texts:
                self._step(lane, lambda: self.texts.take(self._pace.num_units), self._advance)

    def _step(self, lane: int, take: Callable[[], list[Slice]], serve: Callable[[list[Slice]], None]) -> None:
        slices: list[Slice] = []
        try:
            if slices := take():
                self._step_started_at[lane] = time.monotonic()
                torch.set_num_threads(max(1, self._num_cores // len(self._step_started_at)))  # of this lane alone
                serve(slices)
        except Exception:
            # Nothing that one clip brings along ends up here: the state of the engine itself is in doubt.
            self._last_forward_at = None
            log.exception("engine_fault", num_clips=len(slices))
            self._metrics.engine_faults.inc()
            error = ModelFailed("The model failed; try again.")
            for part in slices:
                part.work.fail(error)
            self._fail_all(error)
        finally:
            self._step_started_at.pop(lane, None)

    def _report_waits(self, rows: list[Slice]) -> None:
        for row in rows:
            if row.start == 0:  # a long clip is taken in several batches, and waits for the first of them
                self._metrics.queue_s.observe(row.work.started_at - row.work.submitted_at)

    def _serve(self, rows: list[Slice]) -> None:
        self._report_waits(rows)
        started_at = time.monotonic()
        encoded = each_or_error(rows, self._encode)
        complete = []
        for row, heard in zip(rows, encoded, strict=True):
            if isinstance(heard, Exception):
                self._refuse(row.work, heard)
            elif row.work.add(row.start, heard):
                complete.append(row.work)
        scored = [result for clip in complete for result in each_or_error([clip], self._score)]
        has_failed = any(isinstance(result, Exception) for result in (*encoded, *scored))
        self._last_forward_at = None if has_failed else time.monotonic()
        for clip, scores in zip(complete, scored, strict=True):
            if isinstance(scores, Exception):
                self._refuse(clip, scores)
            elif scores:
                clip.succeed(scores[0], scores[1:])
            else:
                self.texts.put(texts_of(clip))
        self._metrics.batch_windows.observe(total(rows))
        self._metrics.batch_s.observe(time.monotonic() - started_at)

    def _advance(self, parts: list[Slice]) -> None:
        started_at = time.monotonic()
        for part in parts:
            try:
                part.work.advance(part)
            except LabelsInvalid as error:
                part.work.fail(error)
            except Exception as error:
                self._refuse(part.work, error)
        self._pace.note(total(parts), time.monotonic() - started_at)

    def _encode(self, rows: Sequence[Slice]) -> list[HeardWindows]:
        parts = [torch.as_tensor(row.work.windows[row.start : row.stop]) for row in rows]
        windows = torch.cat(parts)  # [R, 480000]
        gains = [row.work.gain for row in rows for _ in range(row.count)]
        windows *= torch.tensor(gains).unsqueeze(1)
        prompts = [row.work.adapter.heard_under for row in rows for _ in range(row.count)]
        sums: list[tuple[torch.Tensor, torch.Tensor]] = []
        features = hear_windows(
            self.clap,
            windows,
            prompts,
            stages=any(reads_stages(row.work.adapter) for row in rows),
            batch_size=len(windows),
            on_log_mel=lambda log_mels: sums.append(curve_sums(log_mels)),
        )
        assert len(features) == len(windows)
        counts = [row.count for row in rows]
        curves, frames = (
            np.split(torch.cat(part).cpu().numpy(), np.cumsum(counts)[:-1]) for part in zip(*sums, strict=True)
        )
        return [
            HeardWindows(part, curve.sum(0), float(num.sum()))
            for part, curve, num in zip(features.split(counts), curves, frames, strict=True)
        ]

    def _score(self, clips: Sequence[QueuedClip]) -> list[list[Scored]]:
        """For each clip the scores of the whole, then those of its windows where they are wanted.

        None at all where they take passes of the text encoder, which are a step of their own.
        """
        return [[] if num_text_passes(clip.adapter) else score(*clip.rows_and_adapters()) for clip in clips]

    def _refuse(self, work: Queued, error: Exception) -> None:
        log.error("clip_failed", tenant=work.tenant, error=repr(error))
        work.fail(ModelFailed("The model failed on this clip."))


def each_or_error(items: Sequence[Item], handle: Callable[[Sequence[Item]], list[Result]]) -> list[Result | Exception]:
    """Handle all items in one call; if that fails, one by one, so that a faulty one fails alone."""
    if not items:
        return []
    try:
        return list(handle(items))
    except Exception as error:
        if len(items) == 1:
            return [error]
    return [result for item in items for result in each_or_error([item], handle)]


def noise_windows(count: int) -> torch.Tensor:
    """Seeded noise to warm up and to probe with: [count, 480000]."""
    return torch.randn(count, 480_000, generator=torch.Generator().manual_seed(0)) * 0.1


def measure_batch_windows(clap: FrozenClap, candidates: Sequence[int]) -> int:
    """Time batches of each size and return the one with the most windows a second; a smaller one wins within 5%.

    The sizes take turns and the best time of each counts: the first time of a shape pays for its preparation, and a
    moment in which the machine had other work should decide nothing. After `MEASURE_LIMIT_S` no batch is begun: a busy
    machine should start late by seconds, not by a minute.
    """
    hear_windows(clap, noise_windows(1), [None])
    deadline = time.perf_counter() + MEASURE_LIMIT_S
    seconds = dict.fromkeys(candidates, math.inf)
    for count in [*candidates] * MEASURE_ROUNDS:
        if time.perf_counter() > deadline:
            break
        seconds[count] = min(seconds[count], _encode_s(clap, count))
    best = candidates[0]
    for count in candidates:
        if count / seconds[count] > 1.05 * best / seconds[best]:
            best = count
    return best


def _encode_s(clap: FrozenClap, count: int) -> float:
    windows = noise_windows(count)
    started_at = time.perf_counter()
    hear_windows(clap, windows, [None] * count, batch_size=count).joint.cpu()
    return time.perf_counter() - started_at
