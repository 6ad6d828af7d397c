"""How loud a clip is in each mel bin on average, its curve; and the curves of what an adapter was taught.

A microphone, a room or a codec adds the same to every curve, so these are what tells one channel from another. Digital
silence does not count: padding passed through no microphone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor

# B rows (windows or clips), T frames, M mel bins, n clips, K labels

SILENCE_DB = -90.0  # a frame with every mel bin below is digital silence, 10 dB above the log-mel's floor
TENSORS = ("taught.mean", "taught.deviation")


def curve_sums(log_mels: Tensor) -> tuple[Tensor, Tensor]:
    """Return `[B, M]`, the sum in dB over the frames that sound, and `[B]`, how many they are.

    Args:
        log_mels: `[B, 1, T, M]` in dB.
    """
    frames = log_mels.squeeze(1)  # [B, T, M]
    sounds = (frames.amax(2) > SILENCE_DB).to(frames.dtype)  # [B, T]
    return torch.bmm(sounds.unsqueeze(1), frames).squeeze(1), sounds.sum(1)


def clip_curve(log_mels: Tensor) -> np.ndarray | None:
    """Return `[M]` in dB, a clip's curve over all its windows `[B, 1, T, M]`; None where nothing of it sounds."""
    sums, counts = curve_sums(log_mels)
    num_frames = float(counts.sum())
    return (sums.sum(0).double() / num_frames).cpu().numpy() if num_frames else None


@dataclass(frozen=True, eq=False)
class TaughtCurves:
    """What the clips that an adapter was taught with sounded like, each clip counting once.

    Attributes:
        mean: float32 `[K + 1, M]` in dB, the mean curve of each label, and of all clips in the last row.
        deviation: float32 `[K + 1, M]` in dB, of the clips' curves about those.
    """

    mean: np.ndarray
    deviation: np.ndarray

    @classmethod
    def of(cls, curves: Sequence[np.ndarray | None], classes: np.ndarray) -> Self | None:
        """Return what n curves amount to, None for a silent clip's; None where a label has no clip that sounds.

        Args:
            classes: `[n]`, 0 to K - 1.
        """
        rows = [row for row, curve in enumerate(curves) if curve is not None]
        num_labels = int(classes.max()) + 1
        if len(np.unique(classes[rows])) < num_labels:
            return None
        heard, heard_classes = np.stack([curves[row] for row in rows]), classes[rows]
        groups = [*(heard[heard_classes == label] for label in range(num_labels)), heard]
        mean, deviation = ([getattr(group, name)(0) for group in groups] for name in ("mean", "std"))
        return cls(np.array(mean, np.float32), np.array(deviation, np.float32))

    def reordered(self, places: Sequence[int]) -> Self:
        """Return them with the labels' rows in another order, that of all clips last as ever."""
        rows = [*places, len(self.mean) - 1]
        return type(self)(self.mean[rows], self.deviation[rows])

    def tensors(self) -> dict[str, Tensor]:
        """Return them by the names in an adapter's file."""
        return {"taught.mean": torch.from_numpy(self.mean), "taught.deviation": torch.from_numpy(self.deviation)}

    @classmethod
    def load(cls, tensors: Mapping[str, Tensor]) -> Self | None:
        """Return those of a file, whose shapes and types have been checked; None where it has none."""
        if TENSORS[0] not in tensors:
            return None
        return cls(*(tensors[name].cpu().numpy() for name in TENSORS))

    @classmethod
    def shapes(cls, num_labels: int, mel_bins: int) -> dict[str, tuple[int, ...]]:
        """Return the shape of each of `tensors`."""
        return dict.fromkeys(TENSORS, (num_labels + 1, mel_bins))
