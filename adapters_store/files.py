"""What the store asks of the place where its files lie."""

from collections.abc import Collection, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Entry:
    """What a place says of a file without reading it: its size, and the seconds since it was last written."""

    size_bytes: int
    age_s: float


class Files(Protocol):
    """Whole small files under relative, already validated paths with `/` between their parts.

    Every call raises `StoreUnavailable` or `StoreFull` when the place itself fails.
    """

    def read(self, path: str) -> bytes | None:
        """The file's bytes, or `None` where there is no such file."""
        ...

    def read_many(self, paths: Iterable[str]) -> dict[str, bytes]:
        """The bytes of those of `paths` that are files, asked for side by side where the place can."""
        ...

    def write(self, path: str, data: bytes) -> None:
        """Put `data` there, replacing what was there; readers see the old bytes or the new, and it outlives a crash."""
        ...

    def write_many(self, files: Mapping[str, bytes]) -> None:
        """As `write`, of several files in no order, side by side where the place can; a crash may leave some."""
        ...

    def claim(self, path: str) -> bool:
        """Create an empty file; `False` where it was there before. Of any callers at once, one gets `True`."""
        ...

    def remove(self, path: str) -> None:
        """Remove the file, if it is there."""
        ...

    def remove_many(self, paths: Collection[str]) -> None:
        """As `remove`, of several files in no order."""
        ...

    def prune(self, path: str) -> None:
        """Remove the directories under `path`, and itself, where the place has any; what lies in them goes too."""
        ...

    def children(self, path: str) -> list[str]:
        """The names of the files and directories right under `path`, in no order; none where there is no such path."""
        ...

    def children_many(self, paths: Iterable[str]) -> dict[str, list[str]]:
        """As `children`, of several paths, asked for side by side where the place can."""
        ...

    def tree(self, path: str) -> dict[str, Entry]:
        """Every file under `path`, however deep, by its path from there; none where there is no such path."""
        ...

    def lock(self, path: str) -> AbstractContextManager[None]:
        """Keep other writers of the directory `path` out, as far as the place can.

        Raises `StoreUnavailable` where another holds it for too long.
        """
        ...

    def check(self) -> None:
        """Write and remove a file, to see whether the place is reachable and writable."""
        ...
