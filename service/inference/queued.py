"""What waits for the model's thread: units of work that can be done some at a time, and the future of their result."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor


@dataclass(eq=False, kw_only=True)
class Queued:
    """One piece of work of one tenant; `deadline` is on `time.monotonic`'s clock, and of the work's beginning."""

    tenant: str
    deadline: float
    future: "Future[Any]" = field(default_factory=Future)
    submitted_at: float = field(default_factory=time.monotonic, init=False)
    started_at: float | None = field(default=None, init=False)
    num_taken: int = field(default=0, init=False)

    @property
    def num_units(self) -> int:
        """Windows, or passes of the text encoder."""
        raise NotImplementedError

    @property
    def num_left(self) -> int:
        return self.num_units - self.num_taken

    def is_expired(self, now: float) -> bool:
        """Whether it waited past its deadline; what has begun is finished."""
        return self.started_at is None and now > self.deadline

    def last_taken(self, count: int, now: float) -> "Slice":
        """The `count` units that were counted as taken last, to be done in one step."""
        if self.started_at is None:
            self.started_at = now
        return Slice(self, self.num_taken - count, count)

    def fail(self, error: Exception) -> None:
        """Hand the error to whoever waits."""
        self.finish(lambda: self.future.set_exception(error))

    def finish(self, set_outcome: Callable[[], None]) -> None:
        """Set the outcome, unless the client went away or an earlier step has failed."""
        try:
            set_outcome()
        except InvalidStateError:
            return


@dataclass(frozen=True)
class Slice:
    """A run of the units of one piece of work."""

    work: Any
    start: int
    count: int

    @property
    def stop(self) -> int:
        return self.start + self.count


@dataclass(eq=False, kw_only=True)
class QueuedTexts(Queued):
    """Passes of the text encoder whose results, joined, are handed to `complete`."""

    num_passes: int
    run: Callable[[int, int], Tensor]
    """The results of the passes from one number to another."""
    complete: Callable[[Tensor], None]
    parts: list[Tensor] = field(default_factory=list, init=False)

    @property
    def num_units(self) -> int:
        return self.num_passes

    def advance(self, part: Slice) -> None:
        """Do some of it; raises what the model raises."""
        self.parts.append(self.run(part.start, part.stop))
        if sum(map(len, self.parts)) == self.num_passes:
            self.complete(torch.cat(self.parts))


def total(slices: Sequence[Slice]) -> int:
    """How many units they are."""
    return sum(part.count for part in slices)
