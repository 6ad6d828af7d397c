"""Classifying any number of clips, in batches that the service takes."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypedDict

from earshot_client.clips import Clip
from earshot_client.errors import EarshotError
from earshot_client.fault import Fault
from earshot_client.form import OVERHEAD_BYTES, Form
from earshot_client.heard import AdapterRef, Heard
from earshot_client.request import post
from earshot_client.session import Session
from earshot_client.steps import Flow, Together

TOO_MUCH = frozenset({"body_too_large", "too_many_files", "too_many_windows"})
FILES_PER_BATCH = 16  # few enough to see progress, many enough to fill the model's batches


class ClassifyOptions(TypedDict, total=False):
    """What a classification may be told besides its clips."""

    labels: Sequence[str]  # without an adapter: what it may be
    template: str  # the sentence around each label, with one {}
    top_k: int  # how many scores to have; all by default
    threshold: float  # below it an answer is unknown, 0 to 1
    thresholds: Mapping[str, float]  # the same by label
    rate_hz: int  # of clips that are arrays
    windows: bool  # whether to have each window's scores too


@dataclass(frozen=True)
class Classified:
    """How far a classification of many clips is; `results` are the newest."""

    num_done: int
    num_clips: int
    results: Sequence[Heard]


class Classification:
    """One call of `classify`."""

    def __init__(self, session: Session, adapter: str | None, options: ClassifyOptions, at_once: int):
        self._session = session
        self._texts = _texts(adapter, **options)
        self._at_once = at_once

    def one(self, clip: Clip) -> Flow[Heard]:
        """What is heard in one clip; raises EarshotError where it cannot be used."""
        (heard,) = yield from self._send([clip])
        return heard

    def many(self, clips: Sequence[Clip], on_progress: Callable[[Classified], None] | None) -> Flow[list[Heard]]:
        """What is heard in each, in order; one that cannot be used has `error`."""
        batches = split_into_batches(clips, (yield from self._session.info()).limits or {})
        num_done = 0

        def tell(results: list[Heard]) -> None:
            nonlocal num_done
            num_done += len(results)
            if on_progress:
                on_progress(Classified(num_done, len(clips), results))

        found = yield Together([self._batch(batch) for batch in batches], self._at_once, tell)
        return [heard for results in found for heard in results]

    def _batch(self, batch: Sequence[Clip]) -> Flow[list[Heard]]:
        try:
            return (yield from self._send(batch))
        except EarshotError as error:
            if len(batch) > 1 and error.code in TOO_MUCH:
                middle = len(batch) // 2
                first = yield from self._batch(batch[:middle])
                return first + (yield from self._batch(batch[middle:]))
            if len(batch) > 1 or not (error.code.startswith("audio_") or error.code in TOO_MUCH):
                raise
            return [Heard(file=batch[0].name, error=Fault(error.code, error.detail))]

    def _send(self, batch: Sequence[Clip]) -> Flow[list[Heard]]:
        form = Form()
        for field, text in self._texts.items():
            form.add(field, text)
        for clip in batch:
            form.add_clip("audio", clip)
        answer = (yield from self._session.send(post("classify", body=form, may_repeat=True))).json()
        ref = AdapterRef.from_json(answer["adapter"]) if answer.get("adapter") else None
        return [replace(Heard.from_json(result), adapter=ref) for result in answer["results"]]


def split_into_batches(clips: Sequence[Clip], limits: Mapping[str, float]) -> list[list[Clip]]:
    """Batches within the service's limits of files and bytes; a clip that is too large by itself is one."""
    max_files = min(limits.get("max_files", FILES_PER_BATCH), FILES_PER_BATCH)
    max_bytes = limits.get("max_request_bytes", float("inf"))
    batches: list[list[Clip]] = []
    size_bytes = 0
    for clip in clips:
        added = clip.size_bytes + OVERHEAD_BYTES
        if not batches or size_bytes + added > max_bytes or len(batches[-1]) >= max_files:
            batches.append([])
            size_bytes = 0
        batches[-1].append(clip)
        size_bytes += added
    return batches


def _texts(
    adapter: str | None,
    *,
    labels: Sequence[str] = (),
    template: str | None = None,
    top_k: int | None = None,
    threshold: float | None = None,
    thresholds: Mapping[str, float] | None = None,
    windows: bool = False,
) -> dict[str, Any]:
    return {
        "adapter": adapter,
        "labels": json.dumps(list(labels)) if labels else None,
        "template": template,
        "top_k": top_k,
        "threshold": threshold,
        "thresholds": json.dumps(dict(thresholds)) if thresholds else None,
        "windows": "true" if windows else None,
    }
