"""What the command prints: the sets, the plan, the table of each set, and what was left out."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.protocol.cost import Cost
from benchmarks.protocol.hearing import OURS
from benchmarks.protocol.layout import AudioSet
from benchmarks.protocol.measured import (
    Difference,
    Rows,
    deviation_of_seeds,
    difference,
    mean_over_folds_then_seeds,
    rows_of_kind,
)
from benchmarks.protocol.overlaps import Overlap
from benchmarks.protocol.published import PUBLISHED, PUBLISHED_SHOTS, SOURCE
from benchmarks.protocol.runs import Run

COLUMNS = (
    "method",
    "audio prompt",
    "preset",
    "runs",
    "accuracy, %",
    "of seeds",
    "macro-F1, %",
    "against none, points",
    "not shared, %",
    "published, %",
    "s a fit",
    "CPU s",
)
OTHER_BACKBONE = "Another backbone is another backbone: these figures are no bar for those beside them."


def in_words(seconds: float) -> str:
    """Return a time as a person says it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"


def show_sets(console: Console, sets: Sequence[AudioSet], overlaps: Mapping[str, Sequence[Overlap]]) -> None:
    """Print the sets, and whatever has to be said of their splits."""
    table = Table("set", "labels", "splits", "train clips", "test clips", title="sets")
    for audio_set in sets:
        train, test = ([len(getattr(split, part)) for split in audio_set.splits] for part in ("train", "test"))
        counts = (", ".join(map(str, each)) for each in (train, test))
        labels = str(len(audio_set.splits[0].labels))
        table.add_row(audio_set.name, labels, str(len(audio_set.splits)), *counts)
    console.print(table)
    show_remarks(console, sets)
    for audio_set in sets:
        for split, overlap in zip(audio_set.splits, overlaps[audio_set.name], strict=True):
            fold = "" if split.fold is None else f" fold {split.fold}"
            for flag in overlap.flags(audio_set.name):
                console.print(f"TRAP {audio_set.name}{fold}: {flag}", highlight=False)


def show_remarks(console: Console, sets: Sequence[AudioSet]) -> None:
    """Print how each set differs from what is published."""
    for audio_set in sets:
        for remark in audio_set.remarks:
            console.print(f"{audio_set.name}: {remark}", highlight=False)


def show_plan(console: Console, runs: Sequence[Run], costs: Mapping[tuple, Cost], num_clips: int) -> None:
    """Print what is about to be done, and what it costs."""
    counts: dict[tuple, int] = defaultdict(int)
    for run in runs:
        counts[run.kind] += 1
    table = Table(
        "set", "shots", "method", "audio prompt", "preset", "fits", "audio passes", "text passes", "time", title="plan"
    )
    for kind, cost in costs.items():
        name, shots, _, method, prompt, preset = kind
        passes = (f"{cost.audio_passes:,.0f}", f"{cost.text_passes:,.0f}")
        count = str(counts[kind]) if kind in counts else ""
        table.add_row(name, str(shots), method, prompt, preset or "", count, *passes, in_words(cost.seconds))
    console.print(table)
    total = sum(costs.values(), Cost())
    console.print(
        f"{len(runs)} fits on {num_clips} clips: {total.audio_passes:,.0f} passes of the audio encoder, "
        f"{total.text_passes:,.0f} of the text encoder, about {in_words(total.seconds)} on this device.",
        highlight=False,
    )


def show_results(console: Console, runs: Sequence[Run], rows: Rows) -> None:
    """Print a table for each set, number of shots and crop; `runs` are all that belong into it, done or not."""
    groups = dict.fromkeys((run.set, run.shots, run.crop) for run in runs)
    for name, shots, crop in groups:
        kinds = list(dict.fromkeys(run.kind for run in runs if (run.set, run.shots, run.crop) == (name, shots, crop)))
        own = {run: rows[run] for run in runs if run in rows and run.kind in kinds}
        if own:
            console.print(set_table(name, shots, crop, kinds, runs, rows))
            _tell_shared(console, own)
    _show_means(console, runs, rows)
    if rows:
        console.print(f"published: {SOURCE}. {OTHER_BACKBONE}", highlight=False)


def set_table(name: str, shots: int, crop: str, kinds: Sequence[tuple], runs: Sequence[Run], rows: Rows) -> Table:
    """Return the table of one set; see docs/protocol.md for its columns."""
    table = Table(title=f"{name}, {shots} shots, clips heard as {crop}")
    for column in COLUMNS if crop == OURS else (*COLUMNS, "against ours, points"):
        table.add_column(column, justify="left" if column in COLUMNS[:3] else "right")
    for kind in kinds:
        own = rows_of_kind(rows, kind)
        if not own:
            continue
        method, prompt, preset = kind[3:]
        bare = rows_of_kind(rows, (*kind[:4], "none", preset)) or rows_of_kind(rows, (*kind[:4], "none", None))
        gain = difference(own, bare) if prompt != "none" else None
        table.add_row(
            method,
            prompt,
            preset or "",
            f"{len(own)} of {sum(run.kind == kind for run in runs)}",
            _figure(mean_over_folds_then_seeds(own, "accuracy")),
            _figure(deviation_of_seeds(own, "accuracy"), "+- "),
            _figure(mean_over_folds_then_seeds(own, "macro_f1")),
            _points(gain),
            _figure(mean_over_folds_then_seeds(own, "unshared_accuracy")),
            _published(name, shots, *kind[3:]),
            *(f"{np.mean([row[figure] for row in own.values()]):.1f}" for figure in ("fit_s", "fit_cpu_s")),
            *([] if crop == OURS else [_points(difference(own, rows_of_kind(rows, (name, shots, OURS, *kind[3:]))))]),
        )
    return table


def left_out(runs: Iterable[Run], rows: Rows) -> list[str]:
    """Return which lines of the table lack which runs, a sentence each."""
    missing: dict[tuple, list[Run]] = defaultdict(list)
    for run in runs:
        if run not in rows:
            missing[run.kind].append(run)
    told = []
    for (name, shots, crop, *parts), absent in missing.items():
        folds = sorted({run.fold for run in absent if run.fold is not None})
        where = f" of folds {', '.join(map(str, folds))}" if folds else ""
        what = " ".join(part for part in parts if part)
        told.append(f"not run: {name}, {shots} shots, {crop}, {what}: {len(absent)} fits{where}")
    return told


def _figure(value: float | None, sign: str = "") -> str:
    return "" if value is None else f"{sign}{value:.1f}"


def _points(gain: Difference | None) -> str:
    return "" if gain is None else f"{gain.points:+.1f} +- {gain.half_width:.1f}"


def _tell_shared(console: Console, rows: Rows) -> None:
    shared = [row["num_clips"] - row["unshared_num_clips"] for row in rows.values()]
    if any(shared):
        console.print(f"not shared: without the test clips that are the same sound as one taught, up to {max(shared)}")


def _show_means(console: Console, runs: Sequence[Run], rows: Rows) -> None:
    """Print the mean over sets, of lines that all sets have."""
    names = list(dict.fromkeys(run.set for run in runs))
    if len(names) < 2:
        return
    table = Table(
        "shots", "crop", "method", "audio prompt", "preset", "accuracy, %", title=f"mean of {len(names)} sets"
    )
    for kind in dict.fromkeys(run.kind[1:] for run in runs):
        each = [mean_over_folds_then_seeds(rows_of_kind(rows, (name, *kind)), "accuracy") for name in names]
        if None not in each:
            table.add_row(*(str(part or "") for part in kind), f"{np.mean(each):.1f}")
    if table.row_count:
        console.print(table)


def _published(name: str, shots: int, method: str, prompt: str, preset: str | None) -> str:
    """Return the published accuracy of the same method under the same recipe."""
    is_published = shots == PUBLISHED_SHOTS and prompt == "none" and preset in (None, "palm_paper")
    figure = PUBLISHED.get(name, {}).get(method) if is_published else None
    return _figure(figure)
