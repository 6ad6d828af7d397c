"""A place that kills the process at a given operation, as a crash would: before it, or in the middle of a batch."""

import os
import signal
from collections.abc import Callable
from itertools import count
from typing import Any

from adapters_store.files import Files

CHANGING = ("write", "claim", "remove")


class KillingFiles:
    """`Files` that sends SIGKILL to itself before a change.

    Args:
        is_time: asked before each change whether it is that one.
    """

    def __init__(self, files: Files, is_time: Callable[[], bool]):
        self._files = files
        self._is_time = is_time

    @classmethod
    def at(cls, files: Files, number: int) -> "KillingFiles":
        """Before the change of this number, from 0."""
        numbers = count()
        return cls(files, lambda: next(numbers) == number)

    def write_many(self, files: dict[str, bytes]) -> None:
        for path, data in files.items():
            self.write(path, data)

    def remove_many(self, paths: list[str]) -> None:
        for path in paths:
            self.remove(path)

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._files, name)
        if name not in CHANGING:
            return call

        def counted(*arguments: Any) -> Any:
            if self._is_time():
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*arguments)

        return counted
