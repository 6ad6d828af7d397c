"""Copies of clips that are few: each is heard again a little faster and a little slower, as if played at that speed.

How fast a sound goes says little of which sound it is, and few clips do not show that by themselves (Ko, Peddinti,
Povey and Khudanpur 2015, speed perturbation). It is done on the log-mel, whose frames and mel bins are stretched (for
the latter Jaitly and Hinton 2013). Many clips show it, and hearing takes its time: so it is done within a bound, of a
long clip with its loudest window alone, and beyond the bound not at all.

The first copy fills its window. How long a clip is says little of its sound either, but CLAP's window shows it: one of
4.9 s is in it twice, one of 5.1 s once, with silence behind it, which is in every mean over the window. Without such a
copy three in four sounds that were taught at 5.001 s are unknown at 4.99 s (`benchmarks.lengths`).
"""

import numpy as np
import torch
from torch import Tensor

# W windows, T frames, M mel bins

SPEED = 1.12
MOST_COPIES = 2  # of a clip, one at each speed
MOST_HEARINGS = 100  # of a fit's clips, copies and all, for a copy more than the first
MOST_COPIED = 200  # clips of which there is one


def copies_for(num_clips: int) -> int:
    """Return how many copies of each clip are heard for a fit of so many."""
    if num_clips > MOST_COPIED:
        return 0
    return min(MOST_COPIES, max(1, MOST_HEARINGS // max(1, num_clips) - 1))


def copy_of(log_mels: Tensor, number: int, centres_hz: np.ndarray, *, is_faster_first: bool) -> Tensor:
    """Return `[1, 1, T, M]`, copy `number`, from 0, of a clip's log-mels `[W, 1, T, M]`.

    The first fills its window, the second is at the other speed.

    Args:
        centres_hz: `[M]`, of the mel bins.
    """
    loudest = int(log_mels.mean((1, 2, 3)).argmax())
    window = log_mels[loudest : loudest + 1]
    is_faster = is_faster_first == (number % 2 == 0)
    return at_speed(window if number else filled(window), SPEED if is_faster else 1 / SPEED, centres_hz)


def filled(log_mel: Tensor) -> Tensor:
    """Return a window's log-mel `[1, 1, T, M]` with the padding at its end replaced by the sound, which begins again.

    Frames of padding are equal to the last bit, those of any sound are not; what a channel adds leaves them equal.
    """
    num_frames = log_mel.shape[2]
    sounding = (log_mel != log_mel[:, :, -1:]).any(3).flatten().nonzero()
    if not len(sounding) or int(sounding[-1]) > num_frames - 3:
        return log_mel
    return log_mel[:, :, torch.arange(num_frames, device=log_mel.device) % (int(sounding[-1]) + 1)]


def at_speed(log_mels: Tensor, speed: float, centres_hz: np.ndarray) -> Tensor:
    """Return log-mels `[W, 1, T, M]` of the same sound played at `speed`; where it ends it begins again.

    What lies between frames, or between mel bins, is interpolated linearly in dB.

    Args:
        centres_hz: `[M]`, of the mel bins.
    """
    last = log_mels.shape[2] - 1
    frames = np.arange(last + 1) * speed % last
    bins = np.interp(centres_hz / speed, centres_hz, np.arange(len(centres_hz)))
    return _between(_between(log_mels, frames, 2), bins, 3)


def _between(values: Tensor, places: np.ndarray, dim: int) -> Tensor:
    """Return the values at these places along a dimension, from 0 to its last index."""
    before = torch.from_numpy(places.astype(int)).to(values.device)
    after = (before + 1).clamp_max(values.shape[dim] - 1)
    shape = [-1 if each == dim else 1 for each in range(values.ndim)]
    share = torch.from_numpy(places % 1).to(values.device, values.dtype).view(shape)
    return torch.lerp(values.index_select(dim, before), values.index_select(dim, after), share)
