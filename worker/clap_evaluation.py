"""What versions of adapters are worth on labelled clips and on background that they were not taught with."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from aspl import Adapter, FrozenClap, Progress
from aspl.errors import AsplError
from aspl.inference import is_unknown
from aspl.measure import Scores, measure
from aspl.paired import compare
from aspl.report import Report
from jobs.uploaded_clip import EvaluationClips
from worker.clip_scorer import ClipScorer, ScoredClip
from worker.eta import Eta

# n labelled clips, m background clips, K labels

MAX_NAMED = 50
NO_CLIPS = "there are no clips of labels that it was taught"
SILENT = -1.0  # below every threshold


@dataclass(frozen=True, eq=False)
class Heard:
    """What an adapter makes of one clip.

    Attributes:
        probabilities: `[K]`.
        known: the known score; of an adapter that has none the best probability, of which its threshold is.
    """

    probabilities: np.ndarray
    label: str
    known: float
    is_unknown: bool


def evaluate(
    clap: FrozenClap,
    adapters: Sequence[Adapter],
    clips: EvaluationClips,
    taught: Sequence[Collection[str]],
    *,
    max_clip_s: float,
    on_progress: Callable[[Progress], None],
    check: Callable[[], None],
) -> dict[str, Any]:
    """Return `report`, `not_taught`, `overlap` and, of a second adapter, `against` and `comparison`, in JSON's terms.

    A clip whose label an adapter was not taught is to be unknown to it, as the background is. `overlap` is of clips
    that an adapter was taught with, which say little of others; None where there are none. The comparison's `new_clips`
    are those that neither was taught with.

    Args:
        adapters: the one that is evaluated, and perhaps another to hold it against.
        taught: of each adapter the ids of what it was taught with.
        check: called now and then; what it raises ends the evaluation.
    """
    paths = [*(path for path, _ in clips.clips), *clips.background]
    eta = Eta("evaluate", len(paths), on_progress)
    scorer = ClipScorer(clap, adapters, max_clip_s=max_clip_s)
    found: list[ScoredClip] = []
    for clip in scorer.scored(paths, check=check):
        if isinstance(clip, AsplError):
            raise clip  # it was decoded once, when it came
        found.append(clip)
        eta.step()
    truth = [label for _, label in clips.clips]
    heard = [[_heard(adapter, clip, number) for clip in found] for number, adapter in enumerate(adapters)]
    is_taught = [np.array([clip in ids for clip in clips.ids], dtype=bool) for ids in taught]
    told = [_told(*each, found, truth) for each in zip(adapters, heard, is_taught, strict=True)]
    values = {**told[0], "against": None, "comparison": None}
    if len(adapters) > 1:
        values["against"] = told[1]
        values["comparison"] = _comparison(adapters, heard, truth, is_new=~(is_taught[0] | is_taught[1]))
    return values


def _heard(adapter: Adapter, clip: ScoredClip, number: int) -> Heard:
    scored, is_silent = clip.scores[number].clip, clip.sound.is_silent
    best = float(scored.probabilities.max())
    known = SILENT if is_silent else best if scored.known is None else scored.known
    label = adapter.labels[int(scored.probabilities.argmax())]
    return Heard(scored.probabilities, label, known, is_unknown(adapter, scored, is_silent=is_silent))


def _told(
    adapter: Adapter, heard: list[Heard], is_taught: np.ndarray, found: list[ScoredClip], truth: list[str]
) -> dict[str, Any]:
    """How one adapter did, alone."""
    index = {label: place for place, label in enumerate(adapter.labels)}
    taught = [place for place, label in enumerate(truth) if label in index]
    background = list(range(len(truth), len(found)))
    hours = sum(found[place].sound.duration_s for place in background) / 3600
    report = measure(
        adapter.labels,
        np.array([index[truth[place]] for place in taught], dtype=int),
        _scores(adapter, [heard[place] for place in taught]),
        background=_scores(adapter, [heard[place] for place in background]) if background else None,
        background_hours=hours or None,
        thresholds=_thresholds(adapter),
        shots=adapter.shots,
    )
    if not taught:
        report = replace(report, reason=NO_CLIPS)
    others = [place for place in taught if not is_taught[place]]
    right = [index[truth[place]] for place in others]
    rest = measure(adapter.labels, np.array(right, dtype=int), _scores(adapter, [heard[place] for place in others]))
    return {
        "report": report.to_json(),
        "not_taught": _not_taught(heard, truth, index),
        "overlap": _overlap(is_taught, len(truth), rest) if is_taught.any() else None,
    }


def _overlap(is_taught: np.ndarray, num_labelled: int, rest: Report) -> dict[str, Any]:
    """How many of the clips it was taught with, and how it did on the others."""
    return {
        "num_clips": int(is_taught[:num_labelled].sum()),
        "num_background": int(is_taught[num_labelled:].sum()),
        "others": {
            "num_clips": rest.num_clips,
            "accuracy": rest.accuracy,
            "accuracy_interval": rest.accuracy_interval and list(rest.accuracy_interval),
        },
    }


def _scores(adapter: Adapter, heard: list[Heard]) -> Scores:
    probabilities = np.array([each.probabilities for each in heard]).reshape(len(heard), len(adapter.labels))
    return Scores(probabilities, np.array([each.known for each in heard]))


def _thresholds(adapter: Adapter) -> list[float]:
    if adapter.known is not None:
        return list(adapter.known.thresholds)
    return [adapter.threshold or 0.0] * len(adapter.labels)


def _not_taught(heard: list[Heard], truth: list[str], index: Mapping[str, int]) -> dict[str, Any]:
    """By label that the adapter does not know: how many of its clips are unknown, and what the others are taken for."""
    rows: dict[str, dict[str, Any]] = {}
    for each, label in zip(heard, truth, strict=False):
        if label not in index:
            row = rows.setdefault(label, {"num_clips": 0, "unknown": 0, "taken_for": {}})
            row["num_clips"] += 1
            if each.is_unknown:
                row["unknown"] += 1
            else:
                row["taken_for"][each.label] = row["taken_for"].get(each.label, 0) + 1
    return dict(list(rows.items())[:MAX_NAMED])


def _comparison(
    adapters: Sequence[Adapter], heard: Sequence[list[Heard]], truth: list[str], *, is_new: np.ndarray
) -> dict[str, Any]:
    """Both on the same clips, as a tenant would find them: right is the label, or unknown where neither knows it."""
    either = {label for adapter in adapters for label in adapter.labels}
    wanted = [label if label in either else None for label in truth] + [None] * (len(is_new) - len(truth))
    right = [np.array([_is_right(*pair) for pair in zip(each, wanted, strict=True)], dtype=bool) for each in heard]
    counted = np.arange(len(is_new)) < len(truth)
    parts = {"clips": counted, "background": ~counted, "new_clips": counted & is_new}
    compared = {part: asdict(compare(right[0][rows], right[1][rows])) for part, rows in parts.items()}
    return {
        part: {_NAMES.get(name, name): value for name, value in values.items()} for part, values in compared.items()
    }


_NAMES = {"only_first": "only_adapter", "only_second": "only_against"}


def _is_right(heard: Heard, wanted: str | None) -> bool:
    return heard.is_unknown if wanted is None else not heard.is_unknown and heard.label == wanted
