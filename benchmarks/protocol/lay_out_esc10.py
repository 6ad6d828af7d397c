"""Lay out ESC-10 as the releases lay out `ESC50-Actions`: `python -m benchmarks.protocol.lay_out_esc10 FOLDER ROOT`.

FOLDER holds `clips.csv`, with the columns file, fold and label, and the files in `audio/`. ESC-10 has ten labels and
five folds of 80 clips, as ESC50-Actions has; its labels are others. The clips are linked to, not copied.
"""

import argparse
import csv
import os
from pathlib import Path

from benchmarks.protocol.layout import ABOUT

NAME = "ESC50-Actions"


def lay_out(folder: Path, root: Path) -> Path:
    """Write the set's folder under `root`, and return it."""
    with (folder / "clips.csv").open(encoding="utf-8", newline="") as file:
        clips = list(csv.DictReader(file))
    place = root / NAME
    (place / "audios").mkdir(parents=True, exist_ok=True)
    (place / "csv_files").mkdir(exist_ok=True)
    for clip in clips:
        link = place / "audios" / clip["file"]
        link.unlink(missing_ok=True)
        os.symlink((folder / "audio" / clip["file"]).resolve(), link)
    (place / ABOUT).write_text("these are ESC-10's clips, not the published set's\n", encoding="utf-8")
    for fold in sorted({clip["fold"] for clip in clips}):
        for part in ("train", "test"):
            with (place / "csv_files" / f"{part}_{fold}.csv").open("w", encoding="utf-8", newline="") as file:
                rows = csv.writer(file)
                rows.writerow(["path", "classname"])
                rows.writerows(
                    [f"audios/{clip['file']}", clip["label"]]
                    for clip in clips
                    if (clip["fold"] == fold) == (part == "test")
                )
    return place


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("root", type=Path)
    arguments = parser.parse_args()
    print(lay_out(arguments.folder, arguments.root))


if __name__ == "__main__":
    main()
