"""Results as CSV and as Audacity's label tracks, as the service writes those of a folder."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable
from itertools import count, groupby, pairwise
from pathlib import Path, PurePosixPath

from earshot_client.heard import Heard

COLUMNS = ("file", "label", "score", "unknown", "known_score", "duration_s", "silent", "truncated", "damaged", "error")


def print_csv(results: Iterable[Heard]) -> None:
    """A head and one line a file (RFC 4180); `error` is the code of one that could not be used."""
    writer = csv.DictWriter(sys.stdout, COLUMNS, extrasaction="ignore")
    writer.writeheader()
    for heard in results:
        writer.writerow({"file": heard.file, "error": heard.error.code} if heard.error else heard.raw)


def label_track(heard: Heard) -> str:
    """Start, end and label of each run of windows with one answer, unknown ones left out.

    Windows overlap by half; where the answer changes, the border lies in the middle of what two windows share.
    """
    windows = heard.windows or ()
    starts = [(window.start_s + before.end_s) / 2 for before, window in pairwise(windows)]
    bounds = [*(window.start_s for window in windows[:1]), *starts, *(window.end_s for window in windows[-1:])]
    spans = [(window, *span) for window, span in zip(windows, pairwise(bounds), strict=True)]
    lines = []
    for label, run in groupby(spans, key=lambda span: None if span[0].unknown else span[0].label):
        (_, start_s, end_s), *rest = run
        if label is not None:
            lines.append(f"{start_s:.6f}\t{rest[-1][2] if rest else end_s:.6f}\t{label}\n")
    return "".join(lines)


def write_label_tracks(results: Iterable[Heard], folder: Path) -> list[Path]:
    """Write a text for each file that could be used, called after the file; returns where they are."""
    folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    for heard in results:
        if heard.error is None:
            name = PurePosixPath(heard.file.replace("\\", "/")).name or "file"
            names = (f"{name}{f'-{number}' if number else ''}.txt" for number in count())
            path = next(path for each in names if (path := folder / each) not in written)
            path.write_text(label_track(heard), encoding="utf-8")
            written.append(path)
    return written
