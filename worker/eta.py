"""How far a job over many files is, and how long it will still take."""

import time
from collections.abc import Callable

from aspl.progress import Progress

INTERVAL_S = 0.2


class Eta:
    """Tells of each file done, not more often than anybody looks.

    Args:
        phase: of the progress.
        total: how many files there are.
        done: how many of them an earlier attempt did.
    """

    def __init__(self, phase: str, total: int, on_progress: Callable[[Progress], None], *, done: int = 0):
        self._phase, self._total, self._done = phase, total, done
        self._begun_with, self._begun_at = done, time.monotonic()
        self._on_progress = on_progress
        self._next_at = 0.0

    def step(self) -> None:
        """Count one file."""
        self._done += 1
        now = time.monotonic()
        if now >= self._next_at or self._done == self._total:
            self._next_at = now + INTERVAL_S
            pace_s = (now - self._begun_at) / (self._done - self._begun_with)
            eta_s = round(pace_s * (self._total - self._done), 1)
            self._on_progress(Progress(self._phase, self._done, self._total, eta_s=eta_s))
