"""One clip on its way through the engine: its windows, where it stands, and the future of its scores."""

import time
from dataclasses import dataclass, field

import numpy as np
import torch

from aspl import Adapter, AudioFeatures
from aspl.inference import Scored, reads_stages
from service.inference.queued import Queued


@dataclass(frozen=True)
class Scores:
    """What the adapter makes of one clip, and how long it took."""

    clip: Scored
    windows: list[Scored]  # W of them; empty unless asked for
    queue_ms: float
    encode_ms: float
    curve: np.ndarray | None = None  # [M] in dB, see aspl.curves; None where nothing sounds


@dataclass(eq=False, kw_only=True)
class QueuedClip(Queued):
    """One clip that waits to be encoded."""

    windows: np.ndarray | torch.Tensor  # [W, 480000]
    adapter: Adapter
    wants_windows: bool = False
    features: list[AudioFeatures] = field(default_factory=list, init=False)
    curve_sum: np.ndarray | float = field(default=0.0, init=False)  # [M] in dB, over `num_frames` that sound
    num_frames: float = field(default=0.0, init=False)

    @property
    def num_units(self) -> int:
        return len(self.windows)

    @property
    def is_encoded(self) -> bool:
        return sum(map(len, self.features)) == self.num_units

    def add(self, features: AudioFeatures) -> None:
        """Keep what its next windows are heard as, so far as its own adapter reads it: batches differ in the rest."""
        self.features.append(features if reads_stages(self.adapter) else AudioFeatures(features.joint))

    def rows(self) -> AudioFeatures:
        """What is to be scored: the clip as a whole, and each of its windows where they are wanted."""
        windows = AudioFeatures.cat(self.features)  # W rows
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
        curve = self.curve_sum / self.num_frames if self.num_frames else None
        scores = Scores(clip, windows, queue_s * 1e3, encode_s * 1e3, curve)
        self.finish(lambda: self.future.set_result(scores))
