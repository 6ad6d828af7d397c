"""A clip that came through a channel, with what brings it back to the one that was taught."""

from dataclasses import dataclass

import numpy as np

# N samples, M mel bins


@dataclass(frozen=True, eq=False)
class LiveClip:
    """A clip to be taught as it is heard behind a channel; see `aspl.channel`.

    Attributes:
        waveform: float32 `[N]` at 48 kHz.
        shift: float32 `[M]` in dB, added to its log-mel, as an adapter's `channel` is.
    """

    waveform: np.ndarray
    shift: np.ndarray


def waveform_of(clip: np.ndarray | LiveClip) -> np.ndarray:
    """Return the samples of a clip, wherever it came from."""
    return clip.waveform if isinstance(clip, LiveClip) else clip


def shift_of(clip: np.ndarray | LiveClip) -> np.ndarray | None:
    """Return what is added to a clip's log-mel; None for nothing."""
    return clip.shift if isinstance(clip, LiveClip) else None
