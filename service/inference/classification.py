"""From uploaded files and a choice of adapter to scored results: resolve, decode, queue, collect."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

from adapters_store import AdapterStore, Ref
from aspl import Adapter, FrozenClap
from aspl.errors import AsplError
from service.http.problems import ServiceError, describe
from service.inference.adapter_cache import AdapterCache, StoredKey, ZeroShotKey
from service.inference.decoding import DecodedClip, Decoder, settle
from service.inference.engine import Engine
from service.inference.held_windows import HeldWindows
from service.inference.ticket import Scored, Ticket
from service.metrics import Metrics

# What goes wrong with one file alone; everything else fails the request.
FILE_ERRORS = frozenset({"engine_fault"})


@dataclass(frozen=True)
class NamedFile:
    """An uploaded file and what its client calls it."""

    name: str
    content: BinaryIO


@dataclass(frozen=True)
class Question:
    """What a tenant wants to know about some files."""

    tenant: str
    files: Sequence[NamedFile]
    adapter: str | None  # "name" or "name@3"; None for zero-shot
    labels: tuple[str, ...]
    template: str
    top_k: int | None
    wants_windows: bool


@dataclass(frozen=True)
class Heard:
    """One file's clip and its scores."""

    clip: DecodedClip
    scored: Scored


class Classifier:
    """Answers questions; one for the whole process."""

    def __init__(
        self,
        *,
        clap: FrozenClap,
        store: AdapterStore,
        resolvers: Executor,
        cache: AdapterCache,
        decoder: Decoder,
        held: HeldWindows,
        engine: Engine,
        metrics: Metrics,
        queue_timeout_s: float,
    ):
        self._clap = clap
        self._store = store
        self._resolvers = resolvers
        self._cache = cache
        self._decoder = decoder
        self._held = held
        self._engine = engine
        self._metrics = metrics
        self._queue_timeout_s = queue_timeout_s

    async def answer(self, question: Question) -> dict[str, Any]:
        """The body of the answer; raises what fails the request as a whole."""
        started_at = time.perf_counter()
        self._engine.queue.check_room(question.tenant)
        ref = await self._resolve(question)
        with self._held.of_request(question.tenant) as hold:
            clips = [asyncio.ensure_future(self._decoder.decode(file.content, hold)) for file in question.files]
            try:
                async with self._adapter(question, ref) as adapter:
                    outcomes = await self._hear(question, adapter, clips)
            finally:
                await _cancel(clips)
        for outcome in outcomes:
            self._metrics.clips.labels("unusable" if isinstance(outcome, Exception) else "scored").inc()
        if len(outcomes) == 1 and isinstance(outcomes[0], Exception):
            raise outcomes[0]
        results = [
            _row(file.name, outcome, adapter, question) for file, outcome in zip(question.files, outcomes, strict=True)
        ]
        return {
            "adapter": ref and {"name": ref.name, "version": ref.version, "digest": ref.digest},
            "model": {"name": self._clap.name, "fingerprint": self._clap.fingerprint},
            "results": results,
            "timing_ms": _timing(outcomes, (time.perf_counter() - started_at) * 1e3),
        }

    async def _resolve(self, question: Question) -> Ref | None:
        """The version that the request means; from here on it keeps to it."""
        if question.adapter is None:
            return None
        # Threads of its own: whatever else holds threads up, a slow upload or a hung Redis, must not stop this.
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._resolvers, self._store.resolve, question.tenant, question.adapter)

    def _adapter(self, question: Question, ref: Ref | None) -> AbstractAsyncContextManager[Adapter]:
        if ref is not None:
            return self._cache.use(StoredKey(ref), lambda: Adapter.from_bytes(self._store.read(ref), self._clap))
        key = ZeroShotKey(question.tenant, question.labels, question.template)
        return self._cache.use(key, lambda: Adapter.zero_shot(self._clap, question.labels, template=question.template))

    async def _hear(
        self, question: Question, adapter: Adapter, clips: Sequence["asyncio.Future[DecodedClip]"]
    ) -> list[Heard | Exception]:
        """For each file what was heard, or why that file could not be used."""
        waiting: list[tuple[DecodedClip, asyncio.Future[Scored]] | Exception] = []
        try:
            for decoding in clips:
                try:
                    clip = await decoding
                except AsplError as error:
                    waiting.append(error)
                    continue
                waiting.append((clip, self._submit(question, adapter, clip)))
            return [item if isinstance(item, Exception) else await _heard(*item) for item in waiting]
        finally:
            # Where the request failed or its client left, nothing of it is to be encoded any more.
            await _cancel([item[1] for item in waiting if not isinstance(item, Exception)])

    def _submit(self, question: Question, adapter: Adapter, clip: DecodedClip) -> "asyncio.Future[Scored]":
        deadline = time.monotonic() + self._queue_timeout_s
        ticket = Ticket(question.tenant, clip.windows, adapter, deadline, wants_windows=question.wants_windows)
        scoring = asyncio.wrap_future(self._engine.submit(ticket))
        expiring = asyncio.get_running_loop().call_later(self._queue_timeout_s, self._engine.queue.expire, ticket)
        scoring.add_done_callback(lambda _: expiring.cancel())
        scoring.add_done_callback(lambda _: self._engine.queue.withdraw(ticket))
        return scoring


async def _heard(clip: DecodedClip, scoring: "asyncio.Future[Scored]") -> Heard | Exception:
    try:
        return Heard(clip, await scoring)
    except ServiceError as error:
        if error.code in FILE_ERRORS:
            return error
        raise


async def _cancel(futures: Sequence["asyncio.Future[Any]"]) -> None:
    for future in futures:
        future.cancel()
    await settle(futures)


def _row(name: str, outcome: Heard | Exception, adapter: Adapter, question: Question) -> dict[str, Any]:
    if isinstance(outcome, Exception):
        return {"file": name, "error": describe(outcome)}
    clip, scored = outcome.clip, outcome.scored
    best = _ranked(adapter.labels, scored.clip, question.top_k)
    row: dict[str, Any] = {
        "file": name,
        "duration_s": clip.duration_s,
        **best,
        "unknown": adapter.threshold is not None and best["score"] < adapter.threshold,
        "silent": clip.is_silent,
        "truncated": clip.is_truncated,
        "damaged": clip.is_damaged,
    }
    if question.wants_windows:
        row["windows"] = [
            {"start_s": start_s, "end_s": end_s, **_ranked(adapter.labels, scores, question.top_k)}
            for (start_s, end_s), scores in zip(clip.spans_s, scored.windows, strict=True)
        ]
    return row


def _ranked(labels: Sequence[str], scores: np.ndarray, top_k: int | None) -> dict[str, Any]:
    """The best label and the `top_k` best scores; equal ones stay in the adapter's order."""
    assert len(labels) == len(scores)
    order = np.argsort(-scores, kind="stable")[:top_k]
    ranked = [{"label": labels[index], "score": float(scores[index])} for index in order]
    return {**ranked[0], "scores": ranked}


def _timing(outcomes: Sequence[Heard | Exception], total_ms: float) -> Mapping[str, float]:
    heard = [outcome for outcome in outcomes if isinstance(outcome, Heard)]
    slowest = {
        "decode": max((h.clip.decode_ms for h in heard), default=0.0),
        "queue": max((h.scored.queue_ms for h in heard), default=0.0),
        "encode": max((h.scored.encode_ms for h in heard), default=0.0),
        "total": total_ms,
    }
    return {phase: round(ms, 2) for phase, ms in slowest.items()}
