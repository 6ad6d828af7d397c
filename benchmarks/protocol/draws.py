"""The clips of one draw, taught and tested, as the model hears them: bare, and with its batch norm adapted to them."""

from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from aspl import AudioFeatures, AudioPrompts, FrozenClap
from aspl.fitting.clip_features import ClipFeatures, trained_windows
from benchmarks.adabn import with_adapted_batch_norm
from benchmarks.protocol.layout import AudioSet, Split
from benchmarks.protocol.listener import HeardClip, Listener
from benchmarks.protocol.overlaps import SharedClips
from benchmarks.protocol.sampling import draw_shots


class DrawnClips:
    """The shots of a seed and the test clips of a split.

    Attributes:
        truth: `[n_test]`, indexes of `labels`.
        is_shared: `[n_test]`, whether a test clip is the same sound as one that is taught.
    """

    def __init__(
        self, listener: Listener, audio_set: AudioSet, split: Split, shared: SharedClips, *, shots: int, seed: int
    ) -> None:
        self.listener, self.seed, self.labels = listener, seed, split.labels
        self.taught = [split.train[row] for row in draw_shots(split.train, shots=shots, seed=seed)]
        self.tested = split.test
        self._folder = audio_set.folder
        index = {label: number for number, label in enumerate(self.labels)}
        self.truth = np.array([index[clip.label] for clip in self.tested])
        self.is_shared = np.array(shared.shared(self.tested, self.taught))

    @property
    def taught_labels(self) -> list[str]:
        return [clip.label for clip in self.taught]

    @property
    def taught_paths(self) -> list[Path]:
        return [self._folder / clip.path for clip in self.taught]

    @property
    def tested_paths(self) -> list[Path]:
        return [self._folder / clip.path for clip in self.tested]

    @cached_property
    def taught_log_mels(self) -> list[Tensor]:
        """The log-mels of the taught clips, of the windows that a fit hears."""
        log_mels = [self.listener.log_mel(path, self.seed) for path in self.taught_paths]
        return [log_mel[trained_windows(len(log_mel))] for log_mel in log_mels]

    @cached_property
    def taught_clips(self) -> list[HeardClip]:
        return self.listener.clips(self.taught_paths, self.seed)

    @property
    def taught_features(self) -> AudioFeatures:
        """What the bare model hears of the taught clips, a row each."""
        clips = [clip.features for clip in self.taught_clips]
        return AudioFeatures.cat([rows[torch.from_numpy(trained_windows(len(rows)))].pool() for rows in clips])

    @cached_property
    def tested_features(self) -> AudioFeatures:
        """What the bare model hears of the test clips, a row each."""
        clips = self.listener.clips(self.tested_paths, self.seed)
        return AudioFeatures.cat([clip.features.pool() for clip in clips])

    @cached_property
    def adapted(self) -> FrozenClap:
        """The model with its batch norm adapted to the taught clips (AdaBN)."""
        return with_adapted_batch_norm(self.listener.clap, torch.cat(self.taught_log_mels))

    @cached_property
    def tested_adapted(self) -> AudioFeatures:
        """What that model hears of the test clips."""
        return self.heard_under(self.adapted, AudioPrompts())

    @cached_property
    def _taught_adapted(self) -> AudioFeatures:
        return self.listener.under(self.adapted, AudioPrompts(), self.taught_log_mels)

    def heard_under(self, clap: FrozenClap, prompts: AudioPrompts) -> AudioFeatures:
        """Return what a model hears of the test clips under an audio prompt."""
        log_mels = (self.listener.log_mel(path, self.seed) for path in self.tested_paths)
        return self.listener.under(clap, prompts, log_mels)

    def clips(self, *, is_adapted: bool) -> ClipFeatures:
        """Return the taught clips as a fit takes them."""
        clips = ClipFeatures.of_log_mels(self.adapted if is_adapted else self.listener.clap, self.taught_log_mels)
        clips.bare = self._taught_adapted if is_adapted else self.taught_features
        return clips
