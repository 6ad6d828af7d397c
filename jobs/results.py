"""What jobs found file by file: one file of JSON lines a job, kept as long as the job's record."""

import json
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from jobs.disk import disk_faults
from jobs.errors import ResultsNotFound

NAME = re.compile(r"(?P<job>[0-9a-f]{32})(\.(?P<holder>[0-9a-f]{32}))?\.jsonl")


class Results:
    """The results of one data directory.

    JOB.jsonl            of a job that succeeded
    JOB.HOLDER.jsonl     what an attempt at it has so far; attempts never share a file
    """

    def __init__(self, data_dir: Path):
        self.root = data_dir / "results"

    @contextmanager
    def begun(self, job_id: str, holder: str) -> Iterator["ResultFile"]:
        """This attempt's file, which begins with what the one before it had; raises StagingUnavailable."""
        with disk_faults():
            self.root.mkdir(parents=True, exist_ok=True)
            path = self.root / f"{job_id}.{holder}.jsonl"
            others = [other for other in self.root.glob(f"{job_id}.*.jsonl") if other != path]
            if others:
                shutil.copyfile(max(others, key=_size_bytes), path)
            num_rows = _whole_lines(path)
            with path.open("a", encoding="utf-8") as file:
                yield ResultFile(file, num_rows)

    def finish(self, job_id: str, holder: str) -> None:
        """Let an attempt's file be the job's, whole and on the disk."""
        path = self.root / f"{job_id}.{holder}.jsonl"
        with path.open("rb+") as file:
            os.fsync(file.fileno())
        path.replace(self.root / f"{job_id}.jsonl")
        for other in self.root.glob(f"{job_id}.*.jsonl"):
            other.unlink(missing_ok=True)

    def rows(self, job_id: str) -> Iterator[dict[str, Any]]:
        """The results of a job that succeeded, one a file, in the order of its upload; raises ResultsNotFound."""
        path = self.root / f"{job_id}.jsonl"
        if not NAME.fullmatch(path.name) or not path.is_file():
            raise ResultsNotFound("this job has no results: only an archive that was classified has, until it expires")
        return _read(path)

    def remove(self, job_id: str) -> bool:
        """Remove what there is of a job; whether there was any."""
        paths = list(self.root.glob(f"{job_id}*.jsonl"))
        for path in paths:
            path.unlink(missing_ok=True)
        return bool(paths)

    def sweep(self, states: Callable[[list[str]], dict[str, str]], *, live_states: Iterable[str]) -> list[str]:
        """Remove what no job's record stands for any more, and what attempts at ended jobs left; returns the jobs.

        Args:
            states: takes ids of jobs and returns the state of each whose record is there.
        """
        found = [match for path in self._paths() if (match := NAME.fullmatch(path.name))]
        known = states(sorted({match["job"] for match in found})) if found else {}
        removed = []
        for match in found:
            state = known.get(match["job"])
            if state is None or (match["holder"] and state not in live_states):
                (self.root / match[0]).unlink(missing_ok=True)
                removed.append(match["job"])
        return removed

    def _paths(self) -> list[Path]:
        return list(self.root.iterdir()) if self.root.is_dir() else []


class ResultFile:
    """What an attempt writes.

    Attributes:
        num_rows: how many rows earlier attempts wrote.
    """

    def __init__(self, file: TextIO, num_rows: int):
        self._file = file
        self.num_rows = num_rows

    def add(self, row: dict[str, Any]) -> None:
        """Write one row."""
        self._file.write(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")


def _read(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def _whole_lines(path: Path) -> int:
    """Cut off a line that its writer did not finish, and count the others."""
    if not path.exists():
        return 0
    with path.open("rb+") as file:
        num_lines = size_bytes = 0
        for line in file:
            if line.endswith(b"\n"):
                num_lines += 1
                size_bytes += len(line)
        file.truncate(size_bytes)
    return num_lines


def _size_bytes(path: Path) -> int:
    return path.stat().st_size
