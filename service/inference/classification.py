"""From clips and a choice of adapter to scores: resolve, decode, queue, collect."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import BinaryIO

from adapters_store import Ref
from aspl import Adapter
from aspl.errors import AsplError
from aspl.inference import is_unknown, num_text_passes
from service.inference.account import Charge, Resource
from service.inference.adapter_loader import AdapterLoader
from service.inference.decoding import ClipInfo, DecodedClip, Decoder
from service.inference.drift import DriftMonitor
from service.inference.engine import Engine
from service.inference.errors import ModelFailed, ThresholdsInvalid
from service.inference.futures import cancel_all
from service.inference.queued_clip import QueuedClip, Scores
from service.inference.tenant_queue import result_of


@dataclass(frozen=True)
class ClassifyRequest:
    """What a tenant wants to have classified, and by what."""

    charge: Charge
    clips: Sequence[BinaryIO]  # encoded audio
    adapter: str | None  # "name" or "name@3"; None for zero-shot, where `labels` and `template` count
    labels: tuple[str, ...]
    template: str
    wants_windows: bool
    threshold: float | None = None  # of every label, in place of the adapter's own
    thresholds: Mapping[str, float] = field(default_factory=dict)  # by label, before `threshold`

    @property
    def tenant(self) -> str:
        return self.charge.tenant

    def thresholds_for(self, adapter: Adapter) -> dict[str, float]:
        """The thresholds in place of the adapter's own, by its labels; raises ThresholdsInvalid for one it has not."""
        return check_thresholds(adapter.labels, self.threshold, self.thresholds)


@dataclass(frozen=True)
class ScoredClip:
    """One clip, what the adapter makes of it, and whether it and each of its windows is unknown."""

    info: ClipInfo
    scores: Scores
    is_unknown: bool
    unknown_windows: tuple[bool, ...]  # empty unless windows were asked for


@dataclass(frozen=True)
class ClassifyResult:
    """Each clip's scores, in the order of the request, or the error that concerns this clip alone."""

    ref: Ref | None  # None for zero-shot
    labels: tuple[str, ...]
    clips: list[ScoredClip | Exception]
    total_ms: float


class Classifier:
    """Classifies clips; one for the whole process."""

    def __init__(
        self,
        adapters: AdapterLoader,
        decoder: Decoder,
        engine: Engine,
        *,
        queue_timeout_s: float,
        drift: DriftMonitor,
    ):
        self.queue_timeout_s = queue_timeout_s
        self._drift = drift
        self._adapters = adapters
        self._decoder = decoder
        self._engine = engine
        self._metrics = drift.metrics

    async def classify(self, request: ClassifyRequest) -> ClassifyResult:
        """Score all clips of a request.

        Raises what fails the request as a whole: errors of the store and of the adapter, and every InferenceError
        but ModelFailed.
        """
        started_at = time.perf_counter()
        request.charge.take(Resource.WINDOWS, len(request.clips))  # as few as they can make
        ref = None
        decoding = [asyncio.ensure_future(self._decoder.decode(clip, request.charge)) for clip in request.clips]
        try:
            if request.adapter is not None:
                # Meanwhile, and from here on it keeps to this version.
                ref = await self._adapters.resolve(request.tenant, request.adapter)
            async with self._adapter(request, ref) as adapter:
                clips = await self._score(request, adapter, decoding)
                if ref is not None:
                    self._note(ref, adapter, clips)
        finally:
            await cancel_all(decoding)
        for clip in clips:
            self._metrics.clips.labels("unusable" if isinstance(clip, Exception) else "scored").inc()
        return ClassifyResult(ref, adapter.labels, clips, total_ms=(time.perf_counter() - started_at) * 1e3)

    def _adapter(self, request: ClassifyRequest, ref: Ref | None) -> AbstractAsyncContextManager[Adapter]:
        if ref is not None:
            return self._adapters.stored(ref)
        return self._adapters.zero_shot(request.charge, request.labels, request.template)

    def _note(self, ref: Ref, adapter: Adapter, clips: Sequence[ScoredClip | Exception]) -> None:
        for clip in clips:
            if isinstance(clip, ScoredClip) and clip.scores.curve is not None:
                self._drift.note(ref, adapter, clip.scores.curve, clip.scores.clip)

    async def _score(
        self, request: ClassifyRequest, adapter: Adapter, decoding: Sequence["asyncio.Future[DecodedClip]"]
    ) -> list[ScoredClip | Exception]:
        thresholds = request.thresholds_for(adapter)
        waiting: list[tuple[ClipInfo, asyncio.Future[Scores]] | Exception] = []
        try:
            for future in decoding:
                try:
                    clip = await future
                except AsplError as error:
                    waiting.append(error)
                    continue
                waiting.append((clip.info, self._submit(request, adapter, clip)))
            return [
                item if isinstance(item, Exception) else await _scored(adapter, thresholds, *item) for item in waiting
            ]
        finally:
            # Where the request failed or its client left, nothing of it is to be encoded any more.
            await cancel_all([item[1] for item in waiting if not isinstance(item, Exception)])

    def _submit(self, request: ClassifyRequest, adapter: Adapter, decoded: DecodedClip) -> "asyncio.Future[Scores]":
        clip = QueuedClip(
            tenant=request.tenant,
            windows=decoded.windows,
            adapter=adapter,
            level_db=decoded.info.level_db,
            deadline=time.monotonic() + self.queue_timeout_s,
            wants_windows=request.wants_windows,
        )
        num_rows = 1 + (len(decoded.windows) if request.wants_windows else 0)
        if num_passes := num_rows * num_text_passes(adapter):
            request.charge.take(Resource.TEXT_PASSES, num_passes)
        self._engine.submit(clip)
        return result_of(clip, self._engine.queue)


def check_thresholds(
    labels: Sequence[str], threshold: float | None, thresholds: Mapping[str, float]
) -> dict[str, float]:
    """The thresholds of a request by label: `thresholds`, and of other labels `threshold`; raises ThresholdsInvalid."""
    if unheard := [label for label in thresholds if label not in labels]:
        raise ThresholdsInvalid(unheard, labels)
    common = {} if threshold is None else dict.fromkeys(labels, threshold)
    return {**common, **thresholds}


async def _scored(
    adapter: Adapter, thresholds: Mapping[str, float], info: ClipInfo, scoring: "asyncio.Future[Scores]"
) -> ScoredClip | ModelFailed:
    try:
        scores = await scoring
    except ModelFailed as error:
        return error
    assert len(adapter.labels) == len(scores.clip.probabilities)
    silent = info.silent_windows if scores.windows else []
    return ScoredClip(
        info,
        scores,
        is_unknown(adapter, scores.clip, is_silent=info.is_silent, thresholds=thresholds),
        tuple(
            is_unknown(adapter, scored, is_silent=is_silent, thresholds=thresholds)
            for scored, is_silent in zip(scores.windows, silent, strict=True)
        ),
    )
