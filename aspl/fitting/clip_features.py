"""The clips of a fit as the model hears them, and what of that may be kept: log-mels, embeddings, stage 1's tokens."""

from collections.abc import Callable, Sequence
from typing import Self

import numpy as np
import torch
from torch import Tensor

from aspl.curves import TaughtCurves, clip_curve
from aspl.errors import TrainingDataInvalid
from aspl.features import AudioFeatures
from aspl.fitting.live_clip import LiveClip, shift_of, waveform_of
from aspl.model.clap import FrozenClap
from aspl.prompts.audio import AudioPrompts
from aspl.sound.clip import windows
from aspl.sound.level import at_level

# n clips, R windows of all clips, T frames or tokens, M mel bins, C channels, D joint width

MAX_WINDOWS = 8  # of a clip: a long recording is heard at eight evenly spaced places, not at its whole length
MAX_TOKEN_CACHE_BYTES = 2**30
CPU_MICRO_BATCH, GPU_MICRO_BATCH = 4, 64  # on a CPU the activations of more clips leave the cache


class ClipFeatures:
    """Log-mels of every clip, brought to `level_db` first, and the encoder on them.

    Attributes:
        log_mels: float32 `[R, 1, T, M]` in dB, on the CPU; those of a `LiveClip` brought back.
        bare: the features of all clips under no audio prompt, once `keep_bare` was asked for them.
        micro_batch: the most windows in one pass with gradients; halved when the device runs out of memory.
    """

    def __init__(
        self,
        clap: FrozenClap,
        waveforms: Sequence[np.ndarray | LiveClip],
        *,
        level_db: float | None = None,
        tick: Callable[[], None],
    ) -> None:
        log_mels = []
        for clip in waveforms:
            tick()
            cut = windows(at_level(waveform_of(clip), level_db))[0]
            log_mels.append(clap.log_mel(torch.from_numpy(cut[trained_windows(len(cut))])).cpu())
        self._hold(clap, log_mels)
        for row, clip in enumerate(waveforms):
            self._bring_back(row, shift_of(clip))

    @classmethod
    def of_log_mels(cls, clap: FrozenClap, log_mels: Sequence[Tensor]) -> Self:
        """Return clips whose log-mels are known: of each `[W, 1, T, M]` in dB, of `trained_windows`."""
        clips = cls.__new__(cls)
        clips._hold(clap, log_mels)
        return clips

    def _hold(self, clap: FrozenClap, log_mels: Sequence[Tensor]) -> None:
        self.clap = clap
        self.micro_batch = GPU_MICRO_BATCH if clap.device.type == "cuda" else CPU_MICRO_BATCH
        self._starts = [0, *np.cumsum([len(rows) for rows in log_mels]).tolist()]
        self.log_mels = torch.cat(list(log_mels))
        self._shifts: dict[int, Tensor] = {}
        self.bare: AudioFeatures | None = None
        self._tokens: Tensor | None = None

    def _bring_back(self, clip: int, shift: np.ndarray | None) -> None:
        if shift is None:
            return
        if len(shift) != self.clap.mel_bins:
            raise TrainingDataInvalid(f"a channel of {len(shift)} mel bins; {self.clap.name} has {self.clap.mel_bins}")
        self._shifts[clip] = torch.from_numpy(np.ascontiguousarray(shift, np.float32))
        self.log_mels_of(clip).add_(self._shifts[clip])

    def __len__(self) -> int:
        return len(self._starts) - 1

    def log_mels_of(self, clip: int) -> Tensor:
        """Return `[W, 1, T, M]`, those of one clip."""
        rows = self.windows_of(clip)
        return self.log_mels[rows.start : rows.stop]

    def windows_of(self, clip: int) -> range:
        return range(self._starts[clip], self._starts[clip + 1])

    def taught_curves(self, classes: np.ndarray) -> TaughtCurves | None:
        """Return the curves of all clips by their class `[n]`, for the adapter that is taught with them."""
        return TaughtCurves.of(self.curves(), classes)

    def curves(self) -> list[np.ndarray | None]:
        """Return each clip's curve `[M]` in dB, None for a silent one; see `clip_curve`."""
        return [self.curve(clip) for clip in range(len(self))]

    def curve(self, clip: int) -> np.ndarray | None:
        """Return the curve of one clip."""
        log_mels, shift = self.log_mels_of(clip), self._shifts.get(clip)
        if shift is None:
            return clip_curve(log_mels)
        # What is digital silence is told from the clip as it came.
        curve = clip_curve(log_mels - shift)
        return None if curve is None else curve + shift.double().numpy()

    def statistics(self, rows: Sequence[int], prompts: AudioPrompts) -> AudioFeatures:
        """Return the features of windows under `prompts`, the statistics of the stages among them."""
        log_mels = self.log_mels[torch.as_tensor(rows)].to(self.clap.device)
        return self.clap.hear(log_mels, prompts, stages=True)

    def encode(self, rows: Sequence[int], prompts: AudioPrompts) -> Tensor:
        """Return embeddings `[len(rows), D]` of windows under `prompts`, with their gradient."""
        index = torch.as_tensor(rows)
        if self._tokens is not None and prompts.spectral is None and prompts.token is None:
            tokens = self._tokens[index].to(self.clap.device)
        else:
            tokens = self.clap.audio_head(self.log_mels[index].to(self.clap.device), prompts)
        return self.clap.project_audio(self.clap.audio_tail(tokens, prompts))

    @torch.no_grad()
    def hear(
        self, clips: Sequence[int], prompts: AudioPrompts, *, stages: bool = False, tick: Callable[[], None]
    ) -> AudioFeatures:
        """Return the features of clips under `prompts`, each pooled over its windows.

        Args:
            stages: whether the statistics of the stages are wanted too.
        """
        counts = [len(self.windows_of(clip)) for clip in clips]
        rows = [row for clip in clips for row in self.windows_of(clip)]
        parts = []
        for start in range(0, len(rows), self.micro_batch):
            tick()
            part = rows[start : start + self.micro_batch]
            heard = self.statistics(part, prompts) if stages else AudioFeatures(self.encode(part, prompts))
            parts.append(heard)
        return AudioFeatures.cat([windows.pool() for windows in AudioFeatures.cat(parts).split(counts)])

    def keep_bare(self, *, tick: Callable[[], None]) -> None:
        """Hear all clips under no audio prompt, and keep that."""
        self.bare = self.hear(range(len(self)), AudioPrompts(), stages=True, tick=tick)

    @torch.no_grad()
    def keep_tokens(self, *, tick: Callable[[], None]) -> None:
        """Keep stage 1's output, for fits of the structural stage alone; skipped where it would take over 1 GiB."""
        sample = self.clap.audio_head(self.log_mels[:1].to(self.clap.device), AudioPrompts())
        if sample.numel() * sample.element_size() * len(self.log_mels) > MAX_TOKEN_CACHE_BYTES:
            return
        parts = []
        for start in range(0, len(self.log_mels), self.micro_batch):
            tick()
            part = self.log_mels[start : start + self.micro_batch].to(self.clap.device)
            parts.append(self.clap.audio_head(part, AudioPrompts()).cpu())
        self._tokens = torch.cat(parts)


def trained_windows(num_windows: int) -> np.ndarray:
    """Return which of a clip's windows a fit hears: all of them, or `MAX_WINDOWS` at even distances."""
    return np.unique(np.linspace(0, num_windows - 1, min(num_windows, MAX_WINDOWS)).round().astype(int))
