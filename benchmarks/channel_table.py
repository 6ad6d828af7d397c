"""The table of the channel's benchmark, with its bars."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

MIXED, ONE_LABEL, FOREIGN = ("5 mixed", "15 mixed"), ("8 of one label",), ("15 foreign", "12 of 15 foreign")
LIVE = (*MIXED, *ONE_LABEL, *FOREIGN)
BESIDE = ("AdaBN", "true response undone")
LEAST_LOST = 0.02
Key = tuple[str, int]  # set and seed
Row = Mapping[str, Any]


class Results:
    """Rows by where the clips are heard, the case, and the pair."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self._rows = {(row["microphone"], row["case"], row["set"], row["seed"]): row for row in rows}
        self.pairs: list[Key] = sorted({(key[2], key[3]) for key in self._rows})
        self.sets = sorted({name for name, _ in self.pairs})

    def has(self, case: str) -> list[Key]:
        """Return the pairs for which there is the case, behind the microphone."""
        return [pair for pair in self.pairs if (True, case, *pair) in self._rows]

    def values(self, case: str, pairs: Sequence[Key], what: str = "accuracy", *, behind: bool = True) -> np.ndarray:
        """Return one figure of a case for each of these pairs."""
        return np.array([self._rows[behind, case, *pair][what] for pair in pairs], float)

    def change(self, case: str, pairs: Sequence[Key], *, behind: bool = True) -> np.ndarray:
        """Return by how much the accuracy changes, in points."""
        return 100 * (self.values(case, pairs, behind=behind) - self.values("unchanged", pairs, behind=behind))

    def worst_set(self, case: str, *, behind: bool = True) -> float:
        """Return the change of the set that fares worst."""
        means = [self.change(case, [p for p in self.pairs if p[0] == name], behind=behind).mean() for name in self.sets]
        return float(min(means))


def show(rows: Iterable[Row]) -> None:
    """Print what was found beside the bars."""
    results = Results(rows)
    lost = 100 * (results.values("unchanged", results.pairs, behind=False) - results.values("unchanged", results.pairs))
    losing = [pair for pair, points in zip(results.pairs, lost, strict=True) if points >= 100 * LEAST_LOST]
    others = [pair for pair in results.pairs if pair not in losing]
    _show_accuracies(results)
    table = Table(
        "figure", "measured", "bar", title=f"{len(results.pairs)} pairs of set and microphone", title_justify="left"
    )
    for case, bar in zip((*MIXED, *BESIDE), (">= 60 %", ">= 75 %", "", ""), strict=True):
        table.add_row(
            f"given back by {case}, {len(losing)} pairs that lose 2 points", _given_back(results, case, losing), bar
        )
    for case in MIXED:
        table.add_row(f"{case}, the other {len(others)} pairs, points", _mean(results.change(case, others)), ">= -0.5")
    for case in (*ONE_LABEL, *FOREIGN):
        change = f"{_mean(results.change(case, results.pairs))}; worst set {results.worst_set(case):+.1f}"
        table.add_row(f"{case}, points", change, ">= 0; >= -1")
    for case in LIVE:
        change = results.change(case, results.pairs, behind=False)
        worst = results.worst_set(case, behind=False)
        table.add_row(f"no microphone, {case}, points", f"{_mean(change)}; worst set {worst:+.1f}", ">= -0.3; >= -1")
    for what, name in (("rejected", "known rejected"), ("accepted", "foreign accepted")):
        for case in ("unchanged", *MIXED):
            before = results.values("unchanged", results.pairs, what, behind=False)
            change = 100 * (results.values(case, results.pairs, what) - before)
            table.add_row(f"{name}, {case}, against before the microphone, points", _mean(change), "within 3")
    fixed = results.has("taught behind it, 15 mixed")
    change = results.values("taught behind it, 15 mixed", fixed) - results.values("taught behind it, unchanged", fixed)
    table.add_row("taught behind the microphone too, 15 mixed, points", _mean(100 * change), "0")
    Console(width=130).print(table)
    _show_joint(results)


def _show_accuracies(results: Results) -> None:
    table = Table("accuracy, %; changed", "no microphone", "behind it", *results.sets, title_justify="left")
    for case in ("unchanged", *LIVE, *BESIDE):
        cells = []
        for behind in (False, True):
            if case == BESIDE[1] and not behind:
                cells.append("")
                continue
            applied = ""
            if case in LIVE:
                applied = f"; {100 * results.values(case, results.pairs, 'applied', behind=behind).mean():.0f} %"
            cells.append(f"{100 * results.values(case, results.pairs, behind=behind).mean():.1f}{applied}")
        by_set = [
            100 * results.values(case, [p for p in results.pairs if p[0] == name]).mean() for name in results.sets
        ]
        table.add_row(case, *cells, *(f"{value:.1f}" for value in by_set))
    Console(width=130).print(table)


def _show_joint(results: Results) -> None:
    if not (pairs := results.has("ASPL with labels")):
        return
    print(f"On {len(pairs)} pairs alone, accuracy in %, behind the microphone:")
    for case in ("unchanged", "15 mixed", "PALM, clean clips", "ASPL with labels"):
        print(f"  {case}: {100 * results.values(case, pairs).mean():.1f}")


def _given_back(results: Results, case: str, pairs: Sequence[Key]) -> str:
    if not pairs:
        return "no such pair"
    took = results.values("unchanged", pairs, behind=False) - results.values("unchanged", pairs)
    gave = results.values(case, pairs) - results.values("unchanged", pairs)
    return f"{100 * gave.sum() / took.sum():.0f} %"


def _mean(values: np.ndarray) -> str:
    return f"{values.mean():+.2f}" if len(values) else "no such pair"
