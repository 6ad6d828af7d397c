"""The published few-shot protocol on its eleven sets: `python -m benchmarks.protocol ROOT`; see docs/protocol.md.

ROOT holds a folder for each set, laid out as PALM's and ASPL's releases read it. The sets are checked and what they
share between train and test is told; the cost is reckoned; then each fit is made and appended to the results, and a run
that was cut off goes on. `--dry-run` checks the sets alone, `--show` prints the table of what is done.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from rich.console import Console

from aspl import FrozenClap
from aspl.background import MODELS, shipped_library
from aspl.methods import METHODS
from benchmarks.machine import describe_machine
from benchmarks.protocol.cache import DiskCache
from benchmarks.protocol.clock import Clock
from benchmarks.protocol.cost import LISTENING, cost_of, measure_rates, plan_costs
from benchmarks.protocol.draws import DrawnClips
from benchmarks.protocol.fits import Fitting, measures, scores_of
from benchmarks.protocol.hearing import CROPS, OURS
from benchmarks.protocol.layout import AudioSet, LayoutInvalid, find_sets, read_set
from benchmarks.protocol.listener import Listener
from benchmarks.protocol.overlaps import SharedClips
from benchmarks.protocol.rows import append_row, by_run, read_rows
from benchmarks.protocol.runs import AUDIO_PROMPTS, PRESETS, Choice, Run, all_runs, asked_for_now, split_of
from benchmarks.protocol.table import left_out, show_plan, show_remarks, show_results, show_sets

RESULTS = Path("benchmarks/results/protocol.jsonl")
CACHE = Path("data/protocol")
QUICK_S = 30.0
WIDTH = 180


@dataclass(frozen=True)
class Sets:
    """The sets that could be read, and what their clips share."""

    sets: list[AudioSet]
    shared: dict[str, SharedClips]
    is_complete: bool
    """Whether every set that was asked for is among them."""


def read_sets(console: Console, root: Path, names: list[str] | None) -> Sets:
    """Read and check the sets, and print them; one that cannot be used is named and left out."""
    sets, faults = [], 0
    for name in names or find_sets(root):
        try:
            sets.append(read_set(root, name))
        except LayoutInvalid as error:
            faults += 1
            console.print(f"LEFT OUT {error}", highlight=False)
    shared = {}
    for audio_set in sets:
        shared[audio_set.name] = SharedClips(audio_set, tell=lambda text, name=audio_set.name: print(name, text))
    overlaps = {each.name: [shared[each.name].overlap(split) for split in each.splits] for each in sets}
    show_sets(console, sets, overlaps)
    return Sets(sets, shared, is_complete=not faults)


def make_fits(runs: list[Run], sets: Sets, listener: Listener, fitting: Fitting, results: Path, clock: Clock) -> None:
    """Make the fits, each a row of the results; those of one draw share what is heard."""
    drawn: DrawnClips | None = None
    draw: tuple | None = None
    for run in runs:
        if run.draw != draw:
            if draw and draw[0] != run.set:
                listener.forget()
            audio_set, split = split_of(run, sets.sets)
            shared = sets.shared[run.set]
            drawn = DrawnClips(listener, audio_set, split, shared, shots=run.shots, seed=run.seed)
            draw = run.draw
        fold = "" if run.fold is None else f" fold {run.fold}"
        parts = (run.method, run.audio_prompt, run.preset or "")
        name = f"{run.set}{fold} seed {run.seed} {run.shots} shots {' '.join(filter(None, parts))}"
        clock.begin(name)
        started, started_cpu = time.perf_counter(), time.process_time()
        figures = measures(scores_of(run, drawn, fitting, tell=clock.tell), drawn)
        times = {"fit_s": time.perf_counter() - started, "fit_cpu_s": time.process_time() - started_cpu}
        row = run.row() | figures | {name: round(seconds, 2) for name, seconds in times.items()}
        append_row(results, row)
        clock.finish(f"{name}: {100 * row['accuracy']:.1f} % in {row['fit_s']} s")


def show(results: Path, everything: list[Run], sets: Sequence[AudioSet], about: str) -> None:
    """Print the table of what is done, heard in either way, and keep it beside the rows."""
    done = by_run(read_rows(results))
    heard = [replace(run, crop=crop) for crop in CROPS for run in everything]
    crops = {run.crop for run in heard if run in done}
    wanted = [run for run in heard if run.crop in crops]
    rows = {run: done[run] for run in wanted if run in done}
    kept = Console(record=True, width=WIDTH)
    kept.print(about, highlight=False)
    show_results(kept, wanted, rows)
    show_remarks(kept, sets)
    for sentence in left_out(wanted, rows):
        kept.print(sentence, highlight=False)
    results.with_suffix(".txt").write_text(kept.export_text(), encoding="utf-8")


def parse(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="a folder with a folder for each set")
    parser.add_argument("--sets", nargs="+", help="names of sets; all that are there without")
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=list(METHODS))
    parser.add_argument("--audio-prompts", nargs="+", choices=AUDIO_PROMPTS, default=list(AUDIO_PROMPTS))
    parser.add_argument("--presets", nargs="+", choices=PRESETS, default=["palm_paper", "paper"])
    parser.add_argument("--shots", nargs="+", type=int, default=[16])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--crop", choices=CROPS, default=OURS, help="how a file is heard")
    parser.add_argument(
        "--learnt-once", action="store_true", help="learn audio prompts on the first fold and seed alone"
    )
    parser.add_argument("--model", default=str(MODELS / "tiny-clap"))
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--results", type=Path, default=RESULTS, help="rows; the table goes beside it as .txt")
    parser.add_argument("--cache", type=Path, default=CACHE, help="a folder for log-mels and features")
    parser.add_argument("--cache-gib", type=float, default=8.0, help="the most that it may hold")
    parser.add_argument("--dry-run", action="store_true", help="check the sets alone")
    parser.add_argument("--show", action="store_true", help="print the table of what is done, and fit nothing")
    return parser.parse_args(words)


def main(words: Sequence[str] | None = None) -> int:
    """Run the command of these words, those it was started with by default; return its exit status."""
    arguments, console = parse(words), Console(width=WIDTH)
    try:
        sets = read_sets(console, arguments.root, arguments.sets)
    except LayoutInvalid as error:
        console.print(f"LEFT OUT {error}", highlight=False)
        return 1
    if arguments.dry_run or not sets.sets:
        return 0 if sets.is_complete and sets.sets else 1
    about = json.dumps(describe_machine())
    clap = FrozenClap.load(arguments.model, device=arguments.device)
    choice = Choice(**{name: getattr(arguments, name) for name in Choice.__dataclass_fields__})
    everything = all_runs(sets.sets, choice, model=clap.fingerprint[:16])
    if not arguments.show:
        done = by_run(read_rows(arguments.results))
        runs = [run for run in asked_for_now(everything, sets.sets, choice) if run not in done]
        run_all(console, runs, sets, clap, arguments)
    show(arguments.results, everything, sets.sets, f"{clap.name} on {clap.device}; {about}")
    return 0 if sets.is_complete else 1


def run_all(console: Console, runs: list[Run], sets: Sets, clap: FrozenClap, arguments: argparse.Namespace) -> None:
    """Tell what the fits cost, and make them: quick ones draw by draw, then the others, the cheapest first."""
    limit_bytes = int(arguments.cache_gib * 2**30)
    listener = Listener(clap, DiskCache(arguments.cache / "clips", limit_bytes=limit_bytes), arguments.crop)
    fitting = Fitting(shipped_library(arguments.cache), arguments.cache)
    named = {run.set for run in runs}
    rates = {each.name: measure_rates(listener, each) for each in sets.sets if each.name in named}
    planned = {run: cost_of(run, split_of(run, sets.sets)[1], rates[run.set]).seconds for run in runs}
    runs = sorted(runs, key=lambda run: planned[run] if planned[run] > QUICK_S else 0.0)
    num_clips = sum(len({c.path for s in each.splits for c in (*s.train, *s.test)}) for each in sets.sets)
    costs = plan_costs(runs, sets.sets, rates, listener)
    show_plan(console, runs, costs, num_clips)
    for kind, cost in costs.items():
        if LISTENING in kind:  # the first fit of a set waits for its clips
            planned[next(run for run in runs if run.set == kind[0])] += cost.seconds
    with Clock(console, [planned[run] for run in runs]) as clock:
        make_fits(runs, sets, listener, fitting, arguments.results, clock)


if __name__ == "__main__":
    sys.exit(main())
