"""The results: one JSON object a line, appended as it comes, so that a run that was cut off goes on."""

import json
from collections.abc import Iterable
from pathlib import Path

from benchmarks.protocol.runs import Run


def read_rows(path: Path) -> list[dict]:
    """Return the rows of a file; a last line that was cut short is left out."""
    if not path.exists():
        return []
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return rows


def append_row(path: Path, row: dict) -> None:
    """Write a row at the end of a file, on a line of its own whatever was cut short before it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    is_cut = path.exists() and path.stat().st_size > 0 and not path.read_bytes().endswith(b"\n")
    with path.open("a", encoding="utf-8") as file:
        file.write("\n" * is_cut + json.dumps(row, ensure_ascii=False) + "\n")


def by_run(rows: Iterable[dict]) -> dict[Run, dict]:
    """Return the rows by what they are of; the last of each counts."""
    names = Run.__dataclass_fields__
    return {Run(**{name: row[name] for name in names}): row for row in rows if names.keys() <= row.keys()}
