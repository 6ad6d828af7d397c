"""What is said to people, on standard error, and what is asked for, on standard output."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from earshot_client.record import Record

said = Console(stderr=True, highlight=False, soft_wrap=True)
shown = Console(highlight=False, soft_wrap=True)


def complain(text: str) -> None:
    """Say what is wrong."""
    said.print(f"[red]earshot:[/] {escape(text)}")


def note(text: str) -> None:
    """Say something by the way."""
    said.print(escape(text), style="dim")


def tell(text: str) -> None:
    """Say what came of it."""
    shown.print(escape(text))


def print_json(records: Iterable[Record]) -> None:
    """One JSON object a line, as the service told it."""
    for record in records:
        print(json.dumps(record.raw, ensure_ascii=False))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """A table, or where nobody looks at a terminal lines with tabs."""
    if not shown.is_terminal:
        for row in rows:
            print("\t".join(map(_text, row)))
        return
    table = Table(*columns, box=None, header_style="bold", pad_edge=False)
    for row in rows:
        table.add_row(*(escape(_text(cell)) for cell in row))
    shown.print(table)


def progress_bar() -> Progress:
    """A bar on a terminal, nothing elsewhere."""
    columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[state]}"), TimeElapsedColumn()
    return Progress(*columns, console=said, transient=True, disable=not said.is_terminal)


def _text(cell: Any) -> str:
    if cell is None:
        return ""
    return f"{cell:.3f}" if isinstance(cell, float) else str(cell)
