"""One clip on its way through the engine: its windows, where it stands, and the future of its scores."""

import threading
import time
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from aspl import Adapter, AudioFeatures
from aspl.inference import Scored, reads_stages
from aspl.sound.level import gain
from service.inference.queued import Queued


@dataclass(frozen=True)
class Scores:
    """What the adapter makes of one clip, and how long it took."""

    clip: Scored
    windows: list[Scored]  # W of them; empty unless asked for
    queue_ms: float
    encode_ms: float
    curve: np.ndarray | None = None  # [M] in dB, see aspl.curves; None where nothing sounds


@dataclass(frozen=True, eq=False)
class HeardWindows:
    """What some windows of a clip are heard as."""

    features: AudioFeatures
    curve_sum: np.ndarray  # [M] in dB, over `num_frames` that sound
    num_frames: float


@dataclass(eq=False, kw_only=True)
class QueuedClip(Queued):
    """One clip that waits to be encoded."""

    windows: np.ndarray | torch.Tensor  # [W, 480000]
    adapter: Adapter
    level_db: float | None = None  # as recorded; it is heard at the adapter's, and None as it is
    wants_windows: bool = False
    heard: dict[int, HeardWindows] = field(default_factory=dict, init=False)  # by the number of the first window
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    @property
    def num_units(self) -> int:
        return len(self.windows)

    @property
    def gain(self) -> float:
        """What its windows are to be multiplied by before they are heard."""
        return gain(self.level_db, self.adapter.level_db)

    def add(self, start: int, part: HeardWindows) -> bool:
        """Keep what the windows from `start` on are heard as; returns whether those were the last that were missing.

        Of the features only what its own adapter reads is kept: batches differ in the rest.
        """
        if not reads_stages(self.adapter):
            part = replace(part, features=AudioFeatures(part.features.joint))
        with self._lock:
            self.heard[start] = part
            return sum(len(heard.features) for heard in self.heard.values()) == self.num_units

    def rows(self) -> AudioFeatures:
        """What is to be scored: the clip as a whole, and each of its windows where they are wanted."""
        windows = AudioFeatures.cat([self.heard[start].features for start in sorted(self.heard)])  # W rows
        pooled = windows.pool()
        return AudioFeatures.cat([pooled, windows]) if self.wants_windows else pooled

    def rows_and_adapters(self) -> tuple[AudioFeatures, list[Adapter]]:
        """What is to be scored, and the adapter of each row."""
        rows = self.rows()
        return rows, [self.adapter] * len(rows)

    def succeed(self, clip: Scored, windows: list[Scored]) -> None:
        """Hand the scores to whoever waits."""
        assert self.started_at is not None
        queue_s, encode_s = self.started_at - self.submitted_at, time.monotonic() - self.started_at
        scores = Scores(clip, windows, queue_s * 1e3, encode_s * 1e3, self._curve())
        self.finish(lambda: self.future.set_result(scores))

    def _curve(self) -> np.ndarray | None:
        """Its mean log-mel, `[M]` in dB, over the frames that sound."""
        num_frames = sum(part.num_frames for part in self.heard.values())
        return sum(part.curve_sum for part in self.heard.values()) / num_frames if num_frames else None
