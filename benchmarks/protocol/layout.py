"""A data set as PALM's and ASPL's releases lay it out, read and checked.

ROOT/<Name>/audios/...            the clips
ROOT/<Name>/train.csv, test.csv   the lists of a single split, or
ROOT/<Name>/csv_files/train_1.csv, test_1.csv ...   the lists of each fold

The releases copy a fold's lists to the top before each run and leave the last there: those of `csv_files` come first.
"""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from benchmarks.protocol.facts import FACTS

FOLDS_FOLDER = "csv_files"
ABOUT = "ABOUT.txt"  # not the releases': a sentence on what lies here, where it is not what is published


class LayoutInvalid(Exception):
    """A set that is not laid out as it has to be; the message says what was found and what to do."""


@dataclass(frozen=True)
class ListedClip:
    """A row of a list: the clip's path under the set's folder, and its label."""

    path: str
    label: str


@dataclass(frozen=True)
class Split:
    """The lists of one fold; `fold` is None for a single split."""

    fold: int | None
    train: tuple[ListedClip, ...]
    test: tuple[ListedClip, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels, sorted; the same of both lists."""
        return tuple(sorted({clip.label for clip in self.train}))

    @property
    def digest(self) -> str:
        """What the lists are, in 12 hex digits."""
        rows = [f"{clip.path}\0{clip.label}" for clip in (*self.train, ListedClip("", ""), *self.test)]
        return sha256("\n".join(rows).encode()).hexdigest()[:12]


@dataclass(frozen=True)
class AudioSet:
    """A set, its splits, and remarks on how it differs from what is published."""

    name: str
    folder: Path
    splits: tuple[Split, ...]
    remarks: tuple[str, ...]


def find_sets(root: Path) -> list[str]:
    """Return the names of the folders of `root` that hold lists, the published ones first."""
    if not root.is_dir():
        raise LayoutInvalid(f"{root} is no folder; it has to hold a folder for each set")
    named = [path.name for path in sorted(root.iterdir()) if (path / "train.csv").exists() or _folds(path)]
    return [name for name in FACTS if name in named] + [name for name in named if name not in FACTS]


def read_set(root: Path, name: str) -> AudioSet:
    """Read the lists of a set.

    Raises:
        LayoutInvalid: lists that are missing or of other columns, labels that differ between train and test, or clips
            that are not there.
    """
    folder = root / name
    if not folder.is_dir():
        raise LayoutInvalid(f"{name}: there is no folder {folder}")
    if folds := _folds(folder):
        places = [(fold, folder / FOLDS_FOLDER / f"train_{fold}.csv") for fold in folds]
    else:
        places = [(None, folder / "train.csv")]
    splits = tuple(_read_split(name, fold, place) for fold, place in places)
    _check_clips(name, folder, splits)
    return AudioSet(name, folder, splits, tuple(_remarks(name, folder, splits)))


def read_list(path: Path) -> tuple[ListedClip, ...]:
    """Return the rows of a list; raises LayoutInvalid."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            columns = reader.fieldnames or []
            if not {"path", "classname"} <= set(columns):
                raise LayoutInvalid(f"{path} has the columns {', '.join(columns)}; path and classname are needed")
            rows = tuple(ListedClip(row["path"] or "", row["classname"] or "") for row in reader)
    except OSError as error:
        raise LayoutInvalid(f"{path} cannot be read: {error.strerror}") from error
    if not rows:
        raise LayoutInvalid(f"{path} lists no clips")
    if empty := next((number for number, row in enumerate(rows, 2) if not row.path or not row.label), None):
        raise LayoutInvalid(f"{path}, line {empty}: a path and a classname are needed")
    return rows


def _folds(folder: Path) -> list[int]:
    found = [re.fullmatch(r"train_(\d+)\.csv", path.name) for path in (folder / FOLDS_FOLDER).glob("train_*.csv")]
    return sorted(int(match.group(1)) for match in found if match)


def _read_split(name: str, fold: int | None, train: Path) -> Split:
    test = train.with_name(train.name.replace("train", "test"))
    split = Split(fold, read_list(train), read_list(test))
    tested = {clip.label for clip in split.test}
    if differing := tested ^ set(split.labels):
        side = train.name if differing & tested else test.name
        raise LayoutInvalid(
            f"{name}: {train.name} and {test.name} have to name the same labels; {min(differing)!r} is not in {side}"
        )
    return split


def _check_clips(name: str, folder: Path, splits: Sequence[Split]) -> None:
    paths = sorted({clip.path for split in splits for clip in (*split.train, *split.test)})
    missing = [path for path in paths if not (folder / path).is_file()]
    if missing:
        raise LayoutInvalid(
            f"{name}: {len(missing)} of {len(paths)} clips are missing, the first {missing[0]}; "
            f"paths are relative to {folder}"
        )


def _remarks(name: str, folder: Path, splits: Sequence[Split]) -> list[str]:
    remarks = [(folder / ABOUT).read_text(encoding="utf-8").strip()] if (folder / ABOUT).exists() else []
    if splits[0].fold is not None and (folder / "train.csv").exists():
        copied = [split.fold for split in splits if _is_copied(folder, split)]
        what = f"a copy of fold {copied[0]}'s" if copied else "of no fold"
        remarks.append(f"train.csv and test.csv at the top are {what}: not read")
    if (facts := FACTS.get(name)) is None:
        return [*remarks, "not one of the published sets"]
    if len(splits[0].labels) != facts.num_labels:
        remarks.append(f"{len(splits[0].labels)} labels; {facts.num_labels} are published")
    if (num_tests := tuple(len(split.test) for split in splits)) != facts.num_tests:
        published = ", ".join(map(str, facts.num_tests))
        remarks.append(f"{', '.join(map(str, num_tests))} test clips; published are {published}")
    return remarks


def _is_copied(folder: Path, split: Split) -> bool:
    try:
        return all(read_list(folder / f"{part}.csv") == getattr(split, part) for part in ("train", "test"))
    except LayoutInvalid:
        return False
