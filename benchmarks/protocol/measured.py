"""From rows to a line of the table: means over folds, then seeds, and paired differences with their interval."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.intervals import mean_and_interval
from benchmarks.protocol.runs import Run

Rows = Mapping[Run, dict]


@dataclass(frozen=True)
class Difference:
    """Points that a line is ahead of another on the same clips, and the half-width of the 95 % interval."""

    points: float
    half_width: float
    num_runs: int


def mean_over_folds_then_seeds(rows: Rows, figure: str) -> float | None:
    """Return the mean of a figure in %; None where no row has it."""
    seeds: dict[int, list[float]] = defaultdict(list)
    for run, row in rows.items():
        if row[figure] is not None:
            seeds[run.seed].append(row[figure])
    return 100 * float(np.mean([np.mean(folds) for folds in seeds.values()])) if seeds else None


def deviation_of_seeds(rows: Rows, figure: str) -> float | None:
    """Return the standard deviation, in points, of the seeds' means over folds; None for a single seed."""
    seeds: dict[int, list[float]] = defaultdict(list)
    for run, row in rows.items():
        seeds[run.seed].append(row[figure])
    means = [np.mean(folds) for folds in seeds.values()]
    return 100 * float(np.std(means, ddof=1)) if len(means) > 1 else None


def difference(rows: Rows, others: Rows) -> Difference | None:
    """Return how far rows are ahead of others on equal shots and test clips; None where they share no run.

    Each test clip counts once: its hits are averaged over the seeds, and the interval is over clips, weighted so that
    folds count alike. It says how another sample of test clips might differ; clips of one recording make it too narrow.
    """
    matching = {_drawn(run): row for run, row in others.items()}
    pairs = [(run, row, matching[_drawn(run)]) for run, row in rows.items() if _drawn(run) in matching]
    if not pairs:
        return None
    folds: dict[int | None, list[np.ndarray]] = defaultdict(list)
    for run, row, other in pairs:
        folds[run.fold].append(_hits(row) - _hits(other))
    clips = {fold: np.mean(seeds, axis=0) for fold, seeds in folds.items()}
    total = sum(map(len, clips.values()))
    weighted = np.concatenate([each * total / (len(clips) * len(each)) for each in clips.values()])
    mean, half_width = mean_and_interval(100 * weighted)
    return Difference(mean, half_width, len(pairs))


def rows_of_kind(rows: Rows, kind: tuple) -> dict[Run, dict]:
    """Return the rows of one line of the table."""
    return {run: row for run, row in rows.items() if run.kind == kind}


def _drawn(run: Run) -> Run:
    return replace(run, method="", audio_prompt="", preset=None, crop="")


def _hits(row: dict) -> np.ndarray:
    return np.array([hit == "1" for hit in row["hits"]], float)
