"""One clip on its way through the engine: its windows, where it stands, and the future of its scores."""

import time
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field

import numpy as np
import torch

from aspl import Adapter


@dataclass(frozen=True)
class Scored:
    """The probabilities of one clip in the adapter's label order, and how long it took."""

    clip: np.ndarray  # [C]
    windows: list[np.ndarray]  # W times [C]; empty unless asked for
    queue_ms: float
    encode_ms: float


@dataclass(eq=False)
class Ticket:
    """One clip that waits to be encoded; `deadline` is on `time.monotonic`'s clock."""

    tenant: str
    windows: np.ndarray | torch.Tensor  # [W, 480000]
    adapter: Adapter
    deadline: float
    wants_windows: bool = False
    future: "Future[Scored]" = field(default_factory=Future)
    submitted_at: float = field(default_factory=time.monotonic)
    started_at: float | None = None
    num_taken: int = 0
    embeddings: list[torch.Tensor] = field(default_factory=list)

    @property
    def num_windows(self) -> int:
        return len(self.windows)

    @property
    def num_left(self) -> int:
        return self.num_windows - self.num_taken

    def is_expired(self, now: float) -> bool:
        """Whether the clip waited past its deadline; one that has begun is finished."""
        return self.started_at is None and now > self.deadline

    def last_taken(self, count: int, now: float) -> "Rows":
        """The `count` windows that were counted as taken last, to be encoded in one batch."""
        if self.started_at is None:
            self.started_at = now
        return Rows(self, self.num_taken - count, count)

    def resolve(self, clip: np.ndarray, windows: list[np.ndarray]) -> None:
        """Hand the scores to whoever waits."""
        assert self.started_at is not None
        queue_s, encode_s = self.started_at - self.submitted_at, time.monotonic() - self.started_at
        self._finish(lambda: self.future.set_result(Scored(clip, windows, queue_s * 1e3, encode_s * 1e3)))

    def fail(self, error: Exception) -> None:
        """Hand the error to whoever waits."""
        self._finish(lambda: self.future.set_exception(error))

    def _finish(self, settle: Callable[[], None]) -> None:
        try:
            settle()
        except InvalidStateError:  # the client went away, or an earlier batch of this clip failed
            return


@dataclass(frozen=True)
class Rows:
    """A run of one clip's windows inside a batch."""

    ticket: Ticket
    start: int
    count: int

    @property
    def windows(self) -> np.ndarray | torch.Tensor:
        return self.ticket.windows[self.start : self.start + self.count]
