"""A measured number, and how a benchmark prints and keeps its numbers."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Figure:
    """One number, against its bar where it has one."""

    name: str
    value: float
    unit: str
    bar: float | None = None
    is_at_most: bool = True
    """Whether less is better."""

    @property
    def holds(self) -> bool | None:
        """Whether the bar is reached; None without one."""
        if self.bar is None:
            return None
        return self.value <= self.bar if self.is_at_most else self.value >= self.bar

    @property
    def aim(self) -> str:
        """The bar in words; empty without one."""
        return "" if self.bar is None else f"{'<=' if self.is_at_most else '>='} {self.bar:g} {self.unit}"


def report(figures: Sequence[Figure], name: str, **about: object) -> None:
    """Print the figures and keep them in `results/{name}.json`, beside what they are `about`."""
    show(figures)
    keep(name, **about, figures=[vars(figure) | {"holds": figure.holds} for figure in figures])


def show(figures: Sequence[Figure]) -> None:
    """Print the figures against their bars."""
    table = Table("figure", "measured", "bar", "")
    for figure in figures:
        verdict = {None: "", True: "ok", False: "MISSED"}[figure.holds]
        table.add_row(figure.name, f"{figure.value:.3g} {figure.unit}", figure.aim, verdict)
    Console(width=120).print(table)


def keep(name: str, **result: object) -> None:
    """Write a result to `results/{name}.json`; its `machine` is described before the measuring, while it is quiet."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n")
