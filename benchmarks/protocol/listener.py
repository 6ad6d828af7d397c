"""Clips as a model hears them, log-mels and features kept on disk by what the file holds."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from aspl import AudioFeatures, AudioPrompts, FrozenClap
from aspl.fitting.clip_features import CPU_MICRO_BATCH, GPU_MICRO_BATCH
from aspl.fitting.heard_clip import digest_of
from aspl.sound.clip import windows
from benchmarks.protocol.cache import DiskCache
from benchmarks.protocol.hearing import hear_file

# W windows of a clip, T frames, M mel bins, D joint width, F stage statistics


@dataclass(frozen=True, eq=False)
class HeardClip:
    """What the bare model hears of a clip's windows, `[W, D]` and `[W, F]`, its place in an order, and its samples."""

    features: AudioFeatures
    order: int
    num_samples: int


@dataclass(frozen=True, eq=False)
class Listened:
    """A clip that was read and waits to be heard: what it is kept under, `[W, 1, T, M]` in dB, and as in HeardClip."""

    name: str
    log_mel: Tensor
    order: int
    num_samples: int


class Listener:
    """Hears the clips of a set's folder.

    Args:
        crop: see `benchmarks.protocol.hearing`.
    """

    def __init__(self, clap: FrozenClap, cache: DiskCache, crop: str) -> None:
        self.clap, self.cache, self.crop = clap, cache, crop
        self.micro_batch = GPU_MICRO_BATCH if clap.device.type == "cuda" else CPU_MICRO_BATCH
        self._digests: dict[Path, str] = {}
        self._heard: dict[str, HeardClip] = {}

    def forget(self) -> None:
        """Let go of what is in memory, before the next set."""
        self._digests.clear()
        self._heard.clear()

    def is_heard(self, path: Path, seed: int) -> bool:
        """Say whether the features of a clip are at hand."""
        return any(self._features_name(name) in self.cache for name in self._names(path, seed))

    def log_mel(self, path: Path, seed: int) -> Tensor:
        """Return the log-mel `[W, 1, T, M]` in dB of a clip, on the CPU."""
        for name in self._names(path, seed):
            if kept := self.cache.get(name):
                return torch.from_numpy(kept["log_mel"])
        return self._listen(path, seed).log_mel

    def clips(self, paths: Sequence[Path], seed: int) -> list[HeardClip]:
        """Return what the bare model hears of clips."""
        unheard = [path for path in dict.fromkeys(paths) if self._known(path, seed) is None]
        waiting: list[Listened] = []
        for path in unheard:
            waiting.append(self._listen(path, seed))
            if sum(len(clip.log_mel) for clip in waiting) >= self.micro_batch:
                self._hear(waiting)
                waiting = []
        self._hear(waiting)
        heard = [self._known(path, seed) for path in paths]
        return [clip for clip in heard if clip is not None]

    @torch.no_grad()
    def under(self, clap: FrozenClap, prompts: AudioPrompts, log_mels: Iterable[Tensor]) -> AudioFeatures:
        """Return the features of clips `log_mels`, each pooled over its windows, under an audio prompt."""
        pooled, waiting = [], []
        for log_mel in log_mels:
            waiting.append(log_mel)
            if sum(map(len, waiting)) >= self.micro_batch:
                pooled += self._pool(clap, prompts, waiting)
                waiting = []
        return AudioFeatures.cat(pooled + self._pool(clap, prompts, waiting))

    def _pool(self, clap: FrozenClap, prompts: AudioPrompts, log_mels: Sequence[Tensor]) -> list[AudioFeatures]:
        if not log_mels:
            return []
        windows_heard = clap.hear(torch.cat(list(log_mels)).to(clap.device), prompts)
        return [rows.pool() for rows in windows_heard.split([len(rows) for rows in log_mels])]

    def _names(self, path: Path, seed: int) -> tuple[str, str]:
        """Return what a clip is kept under where it does not depend on the seed, and where it does."""
        if path not in self._digests:
            self._digests[path] = sha256(path.read_bytes()).hexdigest()[:32]
        name = f"{self._digests[path]}-{self.crop}"
        return name, f"{name}-{seed}"

    def _features_name(self, name: str) -> str:
        clap, dtype = self.clap, str(self.clap.dtype).removeprefix("torch.")
        return f"{name}-{clap.fingerprint[:16]}-{dtype}-{clap.statistics_width}-2"  # the first kept no lengths

    def _known(self, path: Path, seed: int) -> HeardClip | None:
        for name in self._names(path, seed):
            if name not in self._heard and (kept := self.cache.get(self._features_name(name))):
                joint, stages = (torch.from_numpy(kept[part]).to(self.clap.device) for part in ("joint", "stages"))
                self._heard[name] = HeardClip(AudioFeatures(joint, stages), *kept["place"].tolist())
            if name in self._heard:
                return self._heard[name]
        return None

    def _listen(self, path: Path, seed: int) -> Listened:
        """Read a clip from its file, and keep the log-mel."""
        waveform, is_drawn = hear_file(path.read_bytes(), self.crop, seed=seed)
        name = self._names(path, seed)[is_drawn]
        log_mel = self.clap.log_mel(torch.from_numpy(windows(waveform)[0])).cpu()
        self.cache.put(name, {"log_mel": log_mel.numpy()})
        return Listened(name, log_mel, digest_of(waveform), len(waveform))

    @torch.no_grad()
    def _hear(self, waiting: Sequence[Listened]) -> None:
        if not waiting:
            return
        log_mels = torch.cat([clip.log_mel for clip in waiting]).to(self.clap.device)
        parts = [self.clap.hear(part, stages=True) for part in log_mels.split(self.micro_batch)]
        rows = AudioFeatures.cat(parts).split([len(clip.log_mel) for clip in waiting])
        for clip, features in zip(waiting, rows, strict=True):
            self._heard[clip.name] = HeardClip(features, clip.order, clip.num_samples)
            arrays = {"joint": features.joint, "stages": features.stages}
            kept = {key: value.float().cpu().contiguous().numpy() for key, value in arrays.items()}
            place = np.array([clip.order, clip.num_samples])
            self.cache.put(self._features_name(clip.name), kept | {"place": place})
