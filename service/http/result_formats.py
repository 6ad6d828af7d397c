"""What a job found file by file, as JSON lines, as CSV and as Audacity's labels."""

import csv
import io
import json
import zipfile
from collections.abc import Iterable, Iterator
from itertools import count, groupby, pairwise
from pathlib import PurePosixPath
from typing import Any, BinaryIO

Row = dict[str, Any]

COLUMNS = ("file", "label", "score", "unknown", "known_score", "duration_s", "silent", "truncated", "damaged", "error")
MAX_NAME_CHARS = 100


def json_lines(rows: Iterable[Row]) -> Iterator[bytes]:
    """One JSON object a file."""
    for row in rows:
        yield json.dumps(row, ensure_ascii=False).encode() + b"\n"


def csv_lines(rows: Iterable[Row]) -> Iterator[bytes]:
    """A head and one line a file (RFC 4180), in UTF-8; `error` is the code of one that could not be used."""
    line = io.StringIO()
    writer = csv.DictWriter(line, COLUMNS, extrasaction="ignore")
    writer.writeheader()
    for row in rows:
        yield _taken(line)
        writer.writerow({**row, "error": row["error"]["code"]} if "error" in row else row)
    yield _taken(line)


def audacity_labels(row: Row) -> str:
    """A label track for a file: start, end and label of each run of windows with one answer, unknown ones left out.

    Windows overlap by half; where the answer changes, the border lies in the middle of what two windows share.
    """
    windows = row.get("windows", [])
    starts = [(window["start_s"] + before["end_s"]) / 2 for before, window in pairwise(windows)]
    bounds = [*(window["start_s"] for window in windows[:1]), *starts, *(window["end_s"] for window in windows[-1:])]
    spans = [(window, *span) for window, span in zip(windows, pairwise(bounds), strict=True)]
    lines = []
    for label, run in groupby(spans, key=lambda span: None if span[0]["unknown"] else span[0]["label"]):
        (_, start_s, end_s), *rest = run
        if label is not None:
            lines.append(f"{start_s:.6f}\t{rest[-1][2] if rest else end_s:.6f}\t{label}\n")
    return "".join(lines)


def audacity_zip(rows: Iterable[Row], file: BinaryIO) -> None:
    """Write a zip of label tracks, one text a file that could be used, called as the file."""
    taken: set[str] = set()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for row in rows:
            if "error" not in row:
                archive.writestr(_member(row["file"], taken), audacity_labels(row))


def _member(name: str, taken: set[str]) -> str:
    """A path within the zip for a file, which is another for each and leads nowhere else."""
    parts = [part for part in PurePosixPath(name.replace("\\", "/")).parts if part not in ("/", "..", ".")]
    stem = "/".join(parts)[-MAX_NAME_CHARS:].lstrip("/") or "file"
    member = next(each for number in count() if (each := f"{stem}{f'-{number}' if number else ''}.txt") not in taken)
    taken.add(member)
    return member


def _taken(line: io.StringIO) -> bytes:
    text = line.getvalue()
    line.seek(0)
    line.truncate()
    return text.encode()
