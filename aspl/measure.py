"""What an adapter's answers for labelled clips and for a background are worth, as a report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from aspl.intervals import share_interval
from aspl.report import (
    MAX_MATRIX_LABELS,
    MAX_ROWS,
    BackgroundReport,
    ConfusedPair,
    CurvePoint,
    LabelReport,
    Report,
)

# n clips, m background clips, K labels

CURVE = np.linspace(0.02, 0.98, 49)  # thresholds of the known score
ONE_LABEL = "with one label every answer is right: how it does against the background says what it is worth"
NOTHING_HELD_OUT = "every label has one clip: nothing could be held out"


@dataclass(frozen=True, eq=False)
class Scores:
    """What an adapter makes of clips: `labels` `[n, K]`, of which the highest wins, and `known` `[n]`, 0 to 1, or None
    where it has no known score."""

    labels: np.ndarray
    known: np.ndarray | None = None

    @property
    def answers(self) -> np.ndarray:
        """`[n]`, the winning label of each clip."""
        return self.labels.argmax(1)


def measure(
    labels: Sequence[str],
    truth: np.ndarray,
    clips: Scores,
    *,
    background: Scores | None = None,
    background_hours: float | None = None,
    thresholds: Sequence[float] | None = None,
    shots: Mapping[str, int] | None = None,
    num_folds: int = 0,
) -> Report:
    """Return what the scores of clips that an adapter was not taught with say of it.

    Args:
        labels: K names, the adapter's own order.
        truth: `[n]`, the index of each clip's label, n from 0.
        clips: the scores of these clips.
        background: those of m clips of what was never taught.
        background_hours: how long the background lasts in all, for false alarms an hour.
        thresholds: `[K]`, of the known score where the label wins; None leaves out what stands on them.
        shots: how many clips each label was taught from.
        num_folds: how many fits without a part of the clips the scores are of; 0 where the clips were never taught.
    """
    is_heard = clips.known is not None and background is not None and background.known is not None
    report = Report(num_clips=len(truth), num_folds=num_folds, per_label=_per_label(labels, truth, clips.answers))
    if thresholds is not None or shots:
        report = replace(report, per_label=_with_teaching(report.per_label, thresholds, shots or {}))
    if is_heard:
        report = replace(report, threshold_curve=_curve(clips.known, background.known))
        report = replace(
            report, background=BackgroundReport(len(background.known), _auroc(clips.known, background.known))
        )
    if clips.known is not None and thresholds is not None:
        bars, heard = np.array(thresholds), background if is_heard else None
        report = _with_thresholds(report, truth, clips, heard, background_hours, bars)
    if not len(truth):
        return replace(report, reason=NOTHING_HELD_OUT)
    if len(labels) == 1:
        return replace(report, reason=ONE_LABEL)
    return replace(report, **_answered(labels, truth, clips.answers, is_held_out=num_folds > 0))


def at_thresholds(report: Report, thresholds: Mapping[str, float]) -> Report:
    """Return the report of an adapter with other thresholds, by label.

    What stands on them is read off the curve where they are one number that lies on it, and is left out elsewhere.
    """
    rows = {}
    for label, row in report.per_label.items():
        bar = None if label not in thresholds else _share(thresholds[label])  # an imported report may name others
        moved = replace(row, threshold=bar, misses_per_hundred=None, false_alarms_per_hour=None)
        rows[label] = row if bar == row.threshold else moved
    report = replace(report, per_label=rows)
    if report.background is None:
        return report
    mean, bars = np.mean(list(thresholds.values())), [point.threshold for point in report.threshold_curve]
    shares: dict[str, float | None] = {"rejected": None, "false_acceptance": None}
    if len(set(thresholds.values())) == 1 and bars and bars[0] <= mean <= bars[-1]:
        for name, field in (("rejected", "rejected"), ("false_acceptance", "accepted")):
            shares[name] = _share(np.interp(mean, bars, [getattr(point, field) for point in report.threshold_curve]))
    told = replace(report.background, threshold=_share(mean), false_alarms_per_hour=None, **shares)
    return replace(report, background=told)


def confusion_matrix(truth: np.ndarray, answers: np.ndarray, num_labels: int) -> np.ndarray:
    """Return counts `[K, K]`, a row for each true label and a column for each answer."""
    matrix = np.zeros((num_labels, num_labels), dtype=int)
    np.add.at(matrix, (truth, answers), 1)
    return matrix


def macro_f1(matrix: np.ndarray) -> float:
    """Return the mean F1 of the labels that have clips, of counts `[K, K]`."""
    heard, answered = matrix.sum(1), matrix.sum(0)
    f1 = 2 * np.diag(matrix) / np.maximum(heard + answered, 1)
    return float(f1[heard > 0].mean()) if (heard > 0).any() else 0.0


def _per_label(labels: Sequence[str], truth: np.ndarray, answers: np.ndarray) -> dict[str, LabelReport]:
    matrix = confusion_matrix(truth, answers, len(labels))
    hits, heard, answered = np.diag(matrix), matrix.sum(1), matrix.sum(0)
    shares = (hits / np.maximum(answered, 1), hits / np.maximum(heard, 1), 2 * hits / np.maximum(heard + answered, 1))
    rows = zip(labels, heard, *shares, strict=True)
    return {label: LabelReport(int(count), *(_share(each) for each in row)) for label, count, *row in rows}


def _with_teaching(
    rows: Mapping[str, LabelReport], thresholds: Sequence[float] | None, shots: Mapping[str, int]
) -> dict[str, LabelReport]:
    bars = [None] * len(rows) if thresholds is None else [_share(each) for each in thresholds]
    told = zip(rows.items(), bars, strict=True)
    return {label: replace(row, threshold=bar, shots=shots.get(label)) for (label, row), bar in told}


def _with_thresholds(
    report: Report,
    truth: np.ndarray,
    clips: Scores,
    background: Scores | None,
    hours: float | None,
    thresholds: np.ndarray,  # [K]
) -> Report:
    """Add what the thresholds come to."""
    is_known = clips.known >= thresholds[clips.answers]  # [n]
    is_missed = ~is_known | (clips.answers != truth)
    rows = {}
    for index, (label, row) in enumerate(report.per_label.items()):
        misses = is_missed[truth == index]
        rows[label] = replace(row, misses_per_hundred=round(100 * float(misses.mean()), 2) if len(misses) else None)
    if background is None:
        return replace(report, per_label=rows)
    is_alarm = background.known >= thresholds[background.answers]  # [m]
    for index, (label, row) in enumerate(rows.items()):
        alarms = (background.answers[is_alarm] == index).sum()
        rows[label] = replace(row, false_alarms_per_hour=round(float(alarms) / hours, 3) if hours else None)
    against = replace(
        report.background,
        false_acceptance=_share(is_alarm.mean()) if len(is_alarm) else None,
        rejected=_share((~is_known).mean()) if len(is_known) else None,
        threshold=_share(thresholds.mean()),
        false_alarms_per_hour=round(float(is_alarm.sum()) / hours, 3) if hours else None,
    )
    return replace(report, per_label=rows, background=against)


def _answered(labels: Sequence[str], truth: np.ndarray, answers: np.ndarray, *, is_held_out: bool) -> dict[str, Any]:
    matrix = confusion_matrix(truth, answers, len(labels))
    counts = matrix.sum(1).tolist()

    def interval(value: float, *, of_labels: bool) -> tuple[float, float]:
        low, high = share_interval(value, counts, is_held_out=is_held_out, of_labels=of_labels)
        return _share(low), _share(high)

    accuracy, f1 = float((truth == answers).mean()), macro_f1(matrix)
    return {
        "accuracy": _share(accuracy),
        "accuracy_interval": interval(accuracy, of_labels=False),
        "macro_f1": _share(f1),
        "macro_f1_interval": interval(f1, of_labels=True),
        "confusion": tuple(map(tuple, matrix.tolist())) if len(labels) <= MAX_MATRIX_LABELS else None,
        "most_confused": _most_confused(labels, matrix),
    }


def _most_confused(labels: Sequence[str], matrix: np.ndarray) -> tuple[ConfusedPair, ...]:
    wrong = matrix - np.diag(np.diag(matrix))
    worst = np.argsort(-wrong, axis=None, kind="stable")[:MAX_ROWS]
    pairs = [(*divmod(int(place), len(labels)), int(wrong.flat[place])) for place in worst if wrong.flat[place]]
    return tuple(ConfusedPair(labels[row], labels[column], count) for row, column, count in pairs)


def _curve(known: np.ndarray, background: np.ndarray) -> tuple[CurvePoint, ...]:
    if not len(known) or not len(background):
        return ()
    shares = ((float(bar), (known < bar).mean(), (background >= bar).mean()) for bar in CURVE)
    return tuple(CurvePoint(*map(_share, row)) for row in shares)


def _auroc(known: np.ndarray, background: np.ndarray) -> float | None:
    """The chance that a known clip scores above one of the background (Mann and Whitney 1947)."""
    if not len(known) or not len(background):
        return None
    ranked = np.sort(background)
    below, up_to = (np.searchsorted(ranked, known, side=side) for side in ("left", "right"))
    return _share((below + up_to).mean() / (2 * len(background)))


def _share(value: float) -> float:
    return round(float(value), 4)
