"""Every method on the same draws, through `fit`: `python -m benchmarks.ear_methods DATA`.

`taught`: all labels of a set taught, how often each method is right, and the default, `auto`, against each of the
others. `unknown`: a part of the labels taught, how well each method's known score tells what was never taught; `words`
is zero-shot without any clip. All but `ridge with aspl_star` have their default audio prompt.

Every run is a line of a file, which is gone on with where it is there already: methods that train take their time, and
are run on fewer draws. `--show` prints the tables of what is there.
"""

import argparse
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from aspl import Adapter, AudioFeatures, FrozenClap, TrainingConfig, fit
from aspl.background import MODELS, shipped_library
from aspl.inference import Scored, hear_windows, is_unknown, score
from aspl.sound.clip import windows
from aspl.sound.level import HEARD_AT_DB, at_level
from benchmarks.ear import SETS, area, mean_accuracy, mean_and_interval
from benchmarks.ear_draws import Clips, Draw, RecordingSet, draw, stack
from benchmarks.ear_world import load_set
from benchmarks.figures import RESULTS
from benchmarks.machine import describe_machine

# The draws of each method: one that trains through the text encoder takes minutes for one.
SEEDS = {
    "auto": 10,
    "ridge": 10,
    "palm": 10,
    "words": 10,
    "zero_shot": 3,
    "coop": 3,
    "ridge with aspl_star": 1,
    "cocoop": 1,
}
SHOTS = {"taught": (1, 2, 4, 8, 16), "unknown": (5, 16)}
SHARE = {"taught": 1.0, "unknown": 0.6}
STORE = RESULTS / "ear_methods.jsonl"


@dataclass(frozen=True)
class Run:
    """One method on one draw; `figures` are shares, NaN where there is nothing to measure."""

    part: str
    set: str
    shots: int
    seed: int
    method: str
    audio_prompt: str
    seconds: float
    figures: Mapping[str, float]
    level_db: float | None = None
    """That closed-form adapters hear at; None in runs before there was one."""

    @property
    def key(self) -> tuple[str, str, int, int, str]:
        return self.part, self.set, self.shots, self.seed, self.method


def planned(seeds: Mapping[str, int], parts: Sequence[str]) -> Iterator[tuple[str, str, int, int, str]]:
    """Yield the key of every run, the cheap methods first."""
    for method, part in product(seeds, parts):
        if (part, method) == ("taught", "words"):
            continue
        for seed, shots, name in product(range(seeds[method]), SHOTS[part], SETS):
            yield part, name, shots, seed, method


def run(clap: FrozenClap, sets: Mapping[str, RecordingSet], key: tuple[str, str, int, int, str]) -> Run:
    """Fit one method to one draw, and measure it."""
    part, name, shots, seed, method = key
    drawn = draw(sets, name, shots, seed, share=SHARE[part])
    started = time.process_time()
    adapter = teach(clap, sets, drawn, method)
    seconds = round(time.process_time() - started, 2)
    measure = right if part == "taught" else told_apart
    return Run(*key, adapter.audio_prompt, seconds, measure(Ear(clap, sets, adapter), drawn), HEARD_AT_DB)


def teach(clap: FrozenClap, sets: Mapping[str, RecordingSet], drawn: Draw, method: str) -> Adapter:
    """Return the adapter that a method makes of a draw at its default settings."""
    if method == "words":
        return Adapter.zero_shot(clap, drawn.taught, bank=shipped_library().features(clap, level_db=HEARD_AT_DB).joint)
    waveforms = [sets[place].waveforms[row] for place, row in drawn.train]
    labels = [drawn.taught[index] for index in drawn.train_classes]
    name, _, audio_prompt = method.partition(" with ")
    return fit(clap, waveforms, labels, config=TrainingConfig(method=name, audio_prompt=audio_prompt or "auto"))


@dataclass(frozen=True, eq=False)
class Ear:
    """An adapter, and clips as they are heard under it."""

    clap: FrozenClap
    sets: Mapping[str, RecordingSet]
    adapter: Adapter

    def hear(self, clips: Clips) -> list[Scored]:
        """Return what the adapter makes of clips."""
        if not clips:
            return []
        if self.adapter.prompts is None and self.adapter.level_db == HEARD_AT_DB:
            parts = (torch.from_numpy(stack(self.sets, clips, what)).float() for what in ("joint", "stages"))
            features = AudioFeatures(*parts)
        else:
            heard = [self._anew(self.sets[place].waveforms[row]) for place, row in clips]
            features = AudioFeatures.cat(heard)
        return score(features, [self.adapter] * len(clips))

    def _anew(self, waveform: np.ndarray) -> AudioFeatures:
        cut = windows(at_level(waveform, self.adapter.level_db))[0]
        return hear_windows(self.clap, cut, [self.adapter.prompts] * len(cut), stages=True).pool()

    def answers(self, scored: Sequence[Scored], drawn: Draw) -> np.ndarray:
        """Return the answers as indices of the draw's labels."""
        place = [drawn.taught.index(label) for label in self.adapter.labels]
        return np.array([place[int(each.probabilities.argmax())] for each in scored])


def right(ear: Ear, drawn: Draw) -> dict[str, float]:
    """Return the mean of the labels' accuracies."""
    return {"accuracy": mean_accuracy(ear.answers(ear.hear(drawn.test), drawn), drawn.test_classes)}


def told_apart(ear: Ear, drawn: Draw) -> dict[str, float]:
    """Return how the known score tells what was never taught, and what the adapter's own thresholds make of it."""
    test, near, foreign = (ear.hear(clips) for clips in (drawn.test, drawn.near, drawn.foreign))
    known, close, far = (np.array([each.known for each in scored]) for scored in (test, near, foreign))
    rejected, accepted = (np.mean([is_unknown(ear.adapter, each) for each in scored]) for scored in (test, foreign))
    return {
        "accuracy": mean_accuracy(ear.answers(test, drawn), drawn.test_classes),
        "AUROC foreign": area(known, far),
        "AUROC near": area(known, close),
        "foreign accepted": float(1 - accepted),
        "known rejected": float(rejected),
    }


def read(store: Path) -> list[Run]:
    """Return the runs of a file; none where there is none."""
    lines = store.read_text().splitlines() if store.exists() else []
    return [Run(**json.loads(line)) for line in lines if '"part"' in line]


def show(runs: Sequence[Run]) -> None:
    """Print the tables."""
    console = Console(width=140)
    for title, figure, part in (
        ("all labels taught: accuracy, %", "accuracy", "taught"),
        ("all labels taught: auto less each method on the same draws, points", "paired", "taught"),
    ):
        shots_of = [shots for shots in SHOTS[part] if any(each.part == part and each.shots == shots for each in runs)]
        table = Table("method", "draws", *(f"{shots} shots" for shots in shots_of), title=title)
        for method in SEEDS:
            cells = [_cell(runs, method, shots, is_paired=figure == "paired") for shots in shots_of]
            count = len({each.key for each in runs if (each.part, each.method) == (part, method)})
            if count and not (figure == "paired" and method == "auto"):
                table.add_row(method, str(count), *cells)
        console.print(table)
    for shots in SHOTS["unknown"]:
        console.print(_unknown_table([each for each in runs if (each.part, each.shots) == ("unknown", shots)], shots))


def _cell(runs: Sequence[Run], method: str, shots: int, *, is_paired: bool) -> str:
    """Return mean and 95 % interval over the draws of all sets."""
    taught = [each for each in runs if (each.part, each.shots) == ("taught", shots)]
    of = {name: {each.key[:4]: each.figures["accuracy"] for each in taught if each.method == name} for name in SEEDS}
    draws = of[method].keys() & of["auto"].keys() if is_paired else of[method].keys()
    values = [100 * (of["auto"][key] - of[method][key] if is_paired else of[method][key]) for key in sorted(draws)]
    return _mean(values, sign="+" if is_paired else "")


def _unknown_table(runs: Sequence[Run], shots: int) -> Table:
    figures = list(runs[0].figures) if runs else []
    table = Table("method", "draws", *figures, title=f"known and unknown, {shots} shots, %")
    for method in SEEDS:
        rows = [each.figures for each in runs if each.method == method]
        if rows:
            table.add_row(method, str(len(rows)), *(_mean([100 * row[name] for row in rows]) for name in figures))
    return table


def _mean(values: Sequence[float], *, sign: str = "") -> str:
    known = [value for value in values if not np.isnan(value)]
    if len(known) < 2:
        return f"{known[0]:{sign}.1f}" if known else ""
    mean, half = mean_and_interval(known)
    return f"{mean:{sign}.1f} +- {half:.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--store", type=Path, default=STORE, help="a line a run; none is made twice")
    parser.add_argument("--methods", nargs="*", choices=list(SEEDS), default=list(SEEDS))
    parser.add_argument("--seeds", type=int, help="draws a set, in place of each method's own number")
    parser.add_argument("--parts", nargs="*", choices=list(SHOTS), default=list(SHOTS))
    parser.add_argument("--show", action="store_true", help="measure nothing, print what is there")
    arguments = parser.parse_args()
    if not arguments.show:
        torch.set_num_threads(1)
        seeds = {name: arguments.seeds or SEEDS[name] for name in arguments.methods}
        done = {each.key for each in read(arguments.store) if each.level_db == HEARD_AT_DB}
        left = [key for key in planned(seeds, arguments.parts) if key not in done]
        clap = FrozenClap.load(MODELS / "tiny-clap")
        sets = {name: load_set(clap, arguments.data / name) for name in SETS} if left else {}
        with arguments.store.open("a", encoding="utf-8") as file:
            if not done:
                file.write(json.dumps({"machine": describe_machine()}) + "\n")
            for key in left:
                file.write(json.dumps(asdict(run(clap, sets, key))) + "\n")
                file.flush()
    runs = read(arguments.store)
    show([each for each in runs if each.level_db == runs[-1].level_db])  # others are not to be compared with the last


if __name__ == "__main__":
    main()
