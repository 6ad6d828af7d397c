"""One clip on its way through the engine: its windows, where it stands, and the future of its scores."""

import time
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field

import numpy as np
import torch

from aspl import Adapter, AudioFeatures
from aspl.inference import Scored


@dataclass(frozen=True)
class Scores:
    """What the adapter makes of one clip, and how long it took."""

    clip: Scored
    windows: list[Scored]  # W of them; empty unless asked for
    queue_ms: float
    encode_ms: float
    curve: np.ndarray | None = None  # [M] in dB, see aspl.curves; None where nothing sounds


@dataclass(eq=False)
class QueuedClip:
    """One clip that waits to be encoded; `deadline` is on `time.monotonic`'s clock."""

    tenant: str
    windows: np.ndarray | torch.Tensor  # [W, 480000]
    adapter: Adapter
    deadline: float
    wants_windows: bool = False
    future: "Future[Scores]" = field(default_factory=Future, init=False)
    submitted_at: float = field(default_factory=time.monotonic, init=False)
    started_at: float | None = field(default=None, init=False)
    num_taken: int = field(default=0, init=False)
    features: list[AudioFeatures] = field(default_factory=list, init=False)
    curve_sum: np.ndarray | float = field(default=0.0, init=False)  # [M] in dB, over `num_frames` that sound
    num_frames: float = field(default=0.0, init=False)

    @property
    def num_windows(self) -> int:
        return len(self.windows)

    @property
    def num_left(self) -> int:
        return self.num_windows - self.num_taken

    def is_expired(self, now: float) -> bool:
        """Whether the clip waited past its deadline; one that has begun is finished."""
        return self.started_at is None and now > self.deadline

    def last_taken(self, count: int, now: float) -> "BatchSlice":
        """The `count` windows that were counted as taken last, to be encoded in one batch."""
        if self.started_at is None:
            self.started_at = now
        return BatchSlice(self, self.num_taken - count, count)

    def succeed(self, clip: Scored, windows: list[Scored]) -> None:
        """Hand the scores to whoever waits."""
        assert self.started_at is not None
        queue_s, encode_s = self.started_at - self.submitted_at, time.monotonic() - self.started_at
        curve = self.curve_sum / self.num_frames if self.num_frames else None
        self._finish(lambda: self.future.set_result(Scores(clip, windows, queue_s * 1e3, encode_s * 1e3, curve)))

    def fail(self, error: Exception) -> None:
        """Hand the error to whoever waits."""
        self._finish(lambda: self.future.set_exception(error))

    def _finish(self, set_outcome: Callable[[], None]) -> None:
        try:
            set_outcome()
        except InvalidStateError:  # the client went away, or an earlier batch of this clip failed
            return


@dataclass(frozen=True)
class BatchSlice:
    """A run of one clip's windows inside a batch."""

    clip: QueuedClip
    start: int
    count: int

    @property
    def windows(self) -> np.ndarray | torch.Tensor:
        return self.clip.windows[self.start : self.start + self.count]
