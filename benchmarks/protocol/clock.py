"""How far a run is, and how long it still takes: a bar on a terminal, a line a fit elsewhere."""

import time
from collections.abc import Sequence

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks.protocol.table import in_words


class Clock:
    """Reckons the time left from what fits were planned to take, and how far off the plan was so far.

    Args:
        planned_s: of each fit, in the order in which they are made.
    """

    def __init__(self, console: Console, planned_s: Sequence[float]) -> None:
        self.console, self.planned_s = console, [max(seconds, 1e-3) for seconds in planned_s]
        self.num_done, self._done_s, self._started = 0, 0.0, time.perf_counter()
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[left]}"),
            TimeElapsedColumn(),
        )
        self._bar = Progress(*columns, console=console, disable=not console.is_terminal)
        self._task = self._bar.add_task("", total=sum(self.planned_s), left="")

    def __enter__(self) -> "Clock":
        self._bar.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._bar.stop()

    @property
    def left_s(self) -> float:
        """Seconds to the end, as far as can be told."""
        planned = sum(self.planned_s) - self._done_s
        taken = time.perf_counter() - self._started
        return planned * taken / self._done_s if self._done_s else planned

    def begin(self, name: str) -> None:
        """Say which fit is under way."""
        self._bar.update(self._task, description=name)

    def tell(self, share: float) -> None:
        """Say how much of the fit is done."""
        done = sum(self.planned_s[: self.num_done]) + share * self.planned_s[self.num_done]
        self._done_s = done
        self._bar.update(self._task, completed=done, left=f"{in_words(self.left_s)} left")

    def finish(self, result: str) -> None:
        """Say that the fit is done."""
        self.tell(1.0)
        self.num_done += 1
        left = f"{in_words(self.left_s)} left"
        self._bar.update(self._task, left=left)
        if not self.console.is_terminal:
            self.console.print(f"{self.num_done}/{len(self.planned_s)} {result}; {left}", highlight=False)
