"""The body of `POST /classify`'s answer, as `service.http.schemas.Classification` describes it.

A large one is made in a thread and piece by piece: JSON of megabytes in one piece would stop the whole process, for
Python's encoder gives nobody else a turn.
"""

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from starlette.responses import Response

from aspl import FrozenClap
from aspl.inference import Scored
from service.http.problems import describe
from service.inference.classification import ClassifyResult, ScoredClip

MAX_AT_ONCE = 2_000  # scores, in a millisecond or two


async def answer(
    result: ClassifyResult, clap: FrozenClap, *, filenames: Sequence[str], top_k: int | None, has_windows: bool
) -> Response:
    """The answer for files of these names; raises the error of a clip that came alone.

    Args:
        filenames: one a clip, in the same order.
        top_k: how many scores to show, >= 1; None for all.
        has_windows: whether to show the scores of each window too.
    """

    def render() -> bytes:
        said = classification(result, clap, filenames=filenames, top_k=top_k, has_windows=has_windows)
        return b"".join(_pieces(said))

    scored = [clip for clip in result.clips if isinstance(clip, ScoredClip)]
    num_scores = sum(1 + len(clip.unknown_windows) for clip in scored) * min(top_k or MAX_AT_ONCE, len(result.labels))
    body = render() if num_scores <= MAX_AT_ONCE else await asyncio.to_thread(render)
    return Response(body, media_type="application/json")


def classification(
    result: ClassifyResult, clap: FrozenClap, *, filenames: Sequence[str], top_k: int | None, has_windows: bool
) -> dict[str, Any]:
    """What `answer` says, as JSON's terms; its rows, which may be long, come one by one."""
    if len(result.clips) == 1 and isinstance(result.clips[0], Exception):
        raise result.clips[0]
    ref = result.ref
    return {
        "adapter": ref and {"name": ref.name, "version": ref.version, "digest": ref.digest},
        "model": {"name": clap.name, "fingerprint": clap.fingerprint},
        "results": (
            {"file": filename, "error": describe(clip)}
            if isinstance(clip, Exception)
            else {"file": filename, **_row(clip, result.labels, top_k=top_k, has_windows=has_windows)}
            for filename, clip in zip(filenames, result.clips, strict=True)
        ),
        "timing_ms": _timing_ms(result),
    }


def _pieces(value: Any) -> Iterator[bytes]:
    """JSON, cut wherever an iterator is among the values."""
    if isinstance(value, dict) and any(isinstance(item, Iterator) for item in value.values()):
        opening = b"{"
        for name, item in value.items():
            yield opening + _json(name) + b":"
            yield from _pieces(item)
            opening = b","
        yield b"}"
    elif isinstance(value, Iterator):
        opening = b"["
        for item in value:
            yield opening
            yield from _pieces(item)
            opening = b","
        yield b"[]" if opening == b"[" else b"]"
    else:
        yield _json(value)


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def _row(clip: ScoredClip, labels: Sequence[str], *, top_k: int | None, has_windows: bool) -> dict[str, Any]:
    info = clip.info
    row: dict[str, Any] = {
        "duration_s": info.duration_s,
        **_answer(labels, clip.scores.clip, top_k, is_unknown=clip.is_unknown),
        "silent": info.is_silent,
        "truncated": info.is_truncated,
        "damaged": info.is_damaged,
    }
    if has_windows:
        row["windows"] = (
            {"start_s": start_s, "end_s": end_s, **_answer(labels, scored, top_k, is_unknown=is_unknown)}
            for (start_s, end_s), scored, is_unknown in zip(
                info.spans_s, clip.scores.windows, clip.unknown_windows, strict=True
            )
        )
    return row


def _answer(labels: Sequence[str], scored: Scored, top_k: int | None, *, is_unknown: bool) -> dict[str, Any]:
    """The best label and the `top_k` best scores; equal ones stay in the adapter's order."""
    order = np.argsort(-scored.probabilities, kind="stable")[:top_k]
    ranked = [{"label": labels[index], "score": float(scored.probabilities[index])} for index in order]
    return {**ranked[0], "unknown": is_unknown, "known_score": scored.known, "scores": ranked}


def _timing_ms(result: ClassifyResult) -> Mapping[str, float]:
    """The slowest clip's time in each phase: clips are handled beside each other."""
    scored = [clip for clip in result.clips if isinstance(clip, ScoredClip)]
    slowest = {
        "decode": max((clip.info.decode_ms for clip in scored), default=0.0),
        "queue": max((clip.scores.queue_ms for clip in scored), default=0.0),
        "encode": max((clip.scores.encode_ms for clip in scored), default=0.0),
        "total": result.total_ms,
    }
    return {phase: round(ms, 2) for phase, ms in slowest.items()}
