"""How honest a report is about itself: `python -m benchmarks.ear_report DATA`.

DATA as for `benchmarks.ear`. Prints how often the 95 % intervals hold what the adapter does on unseen clips, beside
Wilson's for as many clips; the calibration of scores; and what the list of suspects finds, clean and spoilt.
"""

import argparse
import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from aspl import FrozenClap
from aspl.background import MODELS
from aspl.fitting.heard_clip import HeardClip, digest_of
from aspl.fitting.suspects import ClipFaults, list_suspects
from aspl.intervals import wilson
from aspl.measure import Scores, confusion_matrix, macro_f1, measure
from aspl.sound.faults import is_clipped, is_silent
from benchmarks.ear import (
    SETS,
    Row,
    World,
    calibration,
    calibration_error,
    find_tenants_suspects,
    load_world,
    mean_accuracy,
    teach,
)
from benchmarks.ear_draws import draw, mislabelled
from benchmarks.machine import describe_machine

SHOTS = 8
DRAWS = 60


def interval(world: World, name: str, shots: int, seed: int) -> Row:
    """Return whether a draw's intervals hold the figures of its test clips, and how wide they are."""
    drawn = draw(world.sets, name, shots, seed)
    tenant = teach(world, drawn)
    fit, rows = tenant.fit, tenant.fit.folds >= 0
    truth, held_out = drawn.train_classes[rows], fit.held_out[rows, :-1]
    report = measure(drawn.taught, truth, Scores(held_out), num_folds=int(fit.folds.max()) + 1)
    answers = tenant.scores(drawn.test)[:, :-1].argmax(1)
    seen = {
        "accuracy": mean_accuracy(answers, drawn.test_classes),
        "macro_f1": macro_f1(confusion_matrix(drawn.test_classes, answers, len(drawn.taught))),
    }
    row: Row = {}
    for figure, value in seen.items():
        told, (low, high) = getattr(report, figure), getattr(report, f"{figure}_interval")
        plain = wilson(told, len(truth))
        row |= {
            f"{figure}, told": told,
            f"{figure}, on unseen clips": value,
            f"{figure}, held": float(low <= value <= high),
            f"{figure}, held by Wilson's": float(plain[0] <= value <= plain[1]),
            f"{figure}, width": high - low,
            f"{figure}, Wilson's width": plain[1] - plain[0],
        }
    return row


def suspects(world: World, name: str, shots: int, seed: int) -> Row:
    """Return what is listed of a clean draw, and of one with a tenth of the labels wrong or of the clips foreign."""
    drawn = draw(world.sets, name, shots, seed)
    right = drawn.train_classes
    spoilt, wrong, rng = mislabelled(drawn, shots, seed)
    num_wrong = len(wrong)
    train = list(drawn.train)
    for clip, other in zip(wrong, rng.permutation(len(drawn.foreign)), strict=False):
        train[clip] = drawn.foreign[other]
    foreign = replace(drawn, train=train)
    row: Row = {}
    for kind, taught, classes in (("clean", drawn, right), ("wrong", drawn, spoilt), ("foreign", foreign, right)):
        found = find_tenants_suspects(teach(world, taught, classes=classes), classes)
        faults = ClipFaults.of([_clip(world, place, clip) for place, clip in taught.train], classes)
        listed = [suspect.clip for suspect in list_suspects(found, faults, classes, taught.taught)]
        if kind == "clean":
            row["listed of clean clips"] = len(listed) / len(classes)
            row["of these for the clip itself"] = len(set(listed) - set(np.flatnonzero(found.is_listed))) / len(classes)
            continue
        row[f"{kind}: among the k worst"] = float(np.isin(found.ranked[:num_wrong], wrong).mean())
        row[f"{kind}: among the first k listed"] = float(np.isin(wrong, listed[:num_wrong]).mean())
        row[f"{kind}: listed"] = float(np.isin(wrong, listed).mean())
    return row


def _clip(world: World, place: str, clip: int) -> HeardClip:
    """Return what tells of a clip's own faults; its features are not looked at for that."""
    waveform, nothing = world.sets[place].waveforms[clip], np.empty(0)
    return HeardClip(nothing, nothing, None, digest_of(waveform), is_silent(waveform), is_clipped(waveform))


def show(title: str, rows: dict[str, list[Row]]) -> None:
    """Print the means of each set's draws, in %."""
    table = Table("figure, %", "mean", *rows, title=title)
    for figure in next(iter(rows.values()))[0]:
        means = [100 * float(np.mean([row[figure] for row in each])) for each in rows.values()]
        table.add_row(figure, f"{np.mean(means):.1f}", *(f"{mean:.1f}" for mean in means))
    Console(width=120).print(table)


def show_intervals(world: World, names: Iterable[str], shots: int) -> None:
    """Print the intervals' figures of 60 draws a set; clips are drawn at random whatever their source."""
    sets = {name: replace(recordings, groups=None) for name, recordings in world.sets.items()}
    mixed = replace(world, sets=sets)
    rows = {name: [interval(mixed, name, shots, seed) for seed in range(DRAWS)] for name in names}
    show(f"intervals, random splits, {shots} shots, {DRAWS} draws", rows)
    for figure in ("accuracy", "macro_f1"):
        for name, each in rows.items():
            width, plain = (np.mean([row[f"{figure}, {kind}"] for row in each]) for kind in ("width", "Wilson's width"))
            print(f"{name}, {shots} shots: the interval of {figure} is {width / plain:.2f}x as wide as Wilson's")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", default=str(MODELS / "tiny-clap"))
    parser.add_argument("--sets", nargs="+", default=SETS)
    parser.add_argument("--seeds", type=int, default=20)
    arguments = parser.parse_args()
    print(json.dumps(describe_machine()))
    world = load_world(FrozenClap.load(arguments.model), arguments.data, arguments.sets)
    names = arguments.sets
    for shots in (4, SHOTS, 16):
        show_intervals(world, names, shots)
    for shots in (5, SHOTS, 16):
        rows = {name: [suspects(world, name, shots, seed) for seed in range(arguments.seeds)] for name in names}
        show(f"suspects, {shots} shots, {arguments.seeds} draws, a tenth spoilt", rows)
    for name in names:
        error = calibration_error(*calibration(world, name, SHOTS, range(DRAWS)))
        print(f"calibration error, {name} at {SHOTS} shots, pooled over {DRAWS} draws, 15 bins: {error:.3f}")


if __name__ == "__main__":
    main()
