"""Files of a folder classified, as `POST /classify` classifies those of one request."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from aspl import Adapter, FrozenClap
from aspl.errors import AsplError
from aspl.inference import Scored, is_unknown
from worker.clip_scorer import ClipScorer, ScoredClip


def classify(
    clap: FrozenClap,
    adapter: Adapter,
    paths: Sequence[Path],
    *,
    max_clip_s: float,
    top_k: int,
    thresholds: Mapping[str, float],
    check: Callable[[], None],
) -> Iterator[dict[str, Any]]:
    """Yield a row for each file, in JSON's terms: its answer, and that of each of its windows, or its error.

    Args:
        top_k: how many scores a row has.
        thresholds: by label, in place of the adapter's own.
        check: called now and then; what it raises ends it.
    """
    for clip in ClipScorer(clap, [adapter], max_clip_s=max_clip_s).scored(paths, check=check):
        if isinstance(clip, AsplError):
            yield {"error": {"code": clip.code, "detail": str(clip)}}
        else:
            yield _row(adapter, clip, thresholds, top_k)


def _row(adapter: Adapter, clip: ScoredClip, thresholds: Mapping[str, float], top_k: int) -> dict[str, Any]:
    sound, scores = clip.sound, clip.scores[0]
    order = np.argsort(-scores.clip.probabilities, kind="stable")[:top_k]
    ranked = [{"label": adapter.labels[index], "score": float(scores.clip.probabilities[index])} for index in order]
    silence = zip(scores.windows, sound.silent_windows, strict=True)
    windows = [_answer(adapter, scored, thresholds, is_silent=is_silent) for scored, is_silent in silence]
    spans = [{"start_s": start_s, "end_s": end_s} for start_s, end_s in sound.spans_s]
    return {
        "duration_s": sound.duration_s,
        **_answer(adapter, scores.clip, thresholds, is_silent=sound.is_silent),
        "silent": sound.is_silent,
        "truncated": sound.is_truncated,
        "damaged": sound.is_damaged,
        "scores": ranked,
        "windows": [span | window for span, window in zip(spans, windows, strict=True)],
    }


def _answer(adapter: Adapter, scored: Scored, thresholds: Mapping[str, float], *, is_silent: bool) -> dict[str, Any]:
    best = int(scored.probabilities.argmax())
    return {
        "label": adapter.labels[best],
        "score": float(scored.probabilities[best]),
        "unknown": is_unknown(adapter, scored, is_silent=is_silent, thresholds=thresholds),
        "known_score": scored.known,
    }
