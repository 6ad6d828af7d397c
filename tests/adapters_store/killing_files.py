"""A place that kills the process at a given operation, as a crash would: before it, or in the middle of a batch."""

import os
import signal
from typing import Any

from adapters_store.files import Files

CHANGING = ("write", "claim", "remove")


class KillingFiles:
    """`Files` that sends SIGKILL to itself before the change of this number, from 0."""

    def __init__(self, files: Files, kill_at: int):
        self._files = files
        self._left = kill_at

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
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            self._left -= 1
            return call(*arguments)

        return counted
