"""The body of `POST /classify`'s answer, as `service.http.schemas.Classification` describes it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from aspl import FrozenClap
from aspl.inference import Scored
from service.http.problems import describe
from service.inference.classification import ClassifyResult, ScoredClip


def classification(
    result: ClassifyResult, clap: FrozenClap, *, filenames: Sequence[str], top_k: int | None, has_windows: bool
) -> dict[str, Any]:
    """The answer for files of these names; raises the error of a clip that came alone.

    Args:
        filenames: one a clip, in the same order.
        top_k: how many scores to show, >= 1; None for all.
        has_windows: whether to show the scores of each window too.
    """
    if len(result.clips) == 1 and isinstance(result.clips[0], Exception):
        raise result.clips[0]
    rows: list[dict[str, Any]] = []
    for filename, clip in zip(filenames, result.clips, strict=True):
        if isinstance(clip, Exception):
            rows.append({"file": filename, "error": describe(clip)})
        else:
            rows.append({"file": filename, **_row(clip, result.labels, top_k=top_k, has_windows=has_windows)})
    ref = result.ref
    return {
        "adapter": ref and {"name": ref.name, "version": ref.version, "digest": ref.digest},
        "model": {"name": clap.name, "fingerprint": clap.fingerprint},
        "results": rows,
        "timing_ms": _timing_ms(result),
    }


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
        row["windows"] = [
            {"start_s": start_s, "end_s": end_s, **_answer(labels, scored, top_k, is_unknown=is_unknown)}
            for (start_s, end_s), scored, is_unknown in zip(
                info.spans_s, clip.scores.windows, clip.unknown_windows, strict=True
            )
        ]
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
