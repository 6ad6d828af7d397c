"""What the store asks of the place where its files lie."""

from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Protocol


class Files(Protocol):
    """Whole small files under relative, already validated paths with `/` between their parts.

    Every call raises `StoreUnavailable` or `StoreFull` when the place itself fails.
    """

    def read(self, path: str) -> bytes | None:
        """The file's bytes, or `None` where there is no such file."""
        ...

    def write(self, path: str, data: bytes) -> None:
        """Put `data` there, replacing what was there; readers see the old bytes or the new, and it outlives a crash."""
        ...

    def claim(self, path: str) -> bool:
        """Create an empty file; `False` where it was there before. Of any callers at once, one gets `True`."""
        ...

    def remove(self, path: str) -> None:
        """Remove the file, if it is there."""
        ...

    def children(self, path: str) -> list[str]:
        """The names of the files and directories right under `path`, in no order; none where there is no such path."""
        ...

    def existing(self, paths: Iterable[str]) -> set[str]:
        """Those of `paths` that are files."""
        ...

    def lock(self, path: str) -> AbstractContextManager[None]:
        """Keep other writers of the directory `path` out, as far as the place can."""
        ...

    def check(self) -> None:
        """Write and remove a file, to see whether the place is reachable and writable."""
        ...
