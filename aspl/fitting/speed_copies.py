"""Copies of clips that are few: each is heard again a little faster and a little slower, as if played at that speed.

How fast a sound goes says little of which sound it is, and few clips do not show that by themselves (Ko, Peddinti,
Povey and Khudanpur 2015, speed perturbation). It is done on the log-mel, whose frames and mel bins are stretched (for
the latter Jaitly and Hinton 2013). Many clips show it, and hearing takes its time: so it is done within a bound, of a
long clip with its loudest window alone, and beyond the bound not at all.

In the first copy the window is filled the other way. How long a clip is, or what is around its sound, says little of it
either, but CLAP's window shows it: one of 4.9 s is in it twice, one of 5.1 s once, with silence behind it, which is in
every mean over the window. So a clip that leaves a part of its window silent fills it in its copy, and one that is
repeated is in its copy once, with the noise of a room around it, as it will be where the ear listens. Without such
copies three in four sounds that were taught at 5.001 s are unknown at 4.99 s, and short ones are in a quiet room
(`benchmarks.lengths`).
"""

import numpy as np
import torch
from torch import Tensor

from aspl.fitting.room import in_a_room
from aspl.sound.clip import WINDOW_SAMPLES
from aspl.sound.log_mel import FrontEnd

# W windows, T frames, M mel bins

SPEED = 1.12
MOST_COPIES = 2  # of a clip, one at each speed
MOST_HEARINGS = 100  # of a fit's clips, copies and all, for a copy more than the first
MOST_COPIED = 200  # clips of which there is one
ROOMS_BELOW_DB = (30, 40, 50)  # how far the noise is below the loudest frame, by the clip


def copies_for(num_clips: int) -> int:
    """Return how many copies of each clip are heard for a fit of so many."""
    if num_clips > MOST_COPIED:
        return 0
    return min(MOST_COPIES, max(1, MOST_HEARINGS // max(1, num_clips) - 1))


def copy_of(log_mels: Tensor, number: int, centres_hz: np.ndarray, *, num_samples: int, order: int) -> Tensor:
    """Return `[1, 1, T, M]`, copy `number`, from 0, of a clip's log-mels `[W, 1, T, M]`.

    In the first its window is filled the other way, the second is at the other speed.

    Args:
        centres_hz: `[M]`, of the mel bins.
        num_samples: of the clip's waveform.
        order: the clip's, see `HeardClip`; by it the first copy is the faster one or the slower one, in another room.
    """
    loudest = int(log_mels.mean((1, 2, 3)).argmax())
    window = log_mels[loudest : loudest + 1]
    is_faster = (order % 2 > 0) == (number % 2 == 0)
    speed = SPEED if is_faster else 1 / SPEED
    if number:
        return at_speed(window, speed, centres_hz)
    if num_samples > WINDOW_SAMPLES // 2:
        return at_speed(filled(window), speed, centres_hz)
    below_db = ROOMS_BELOW_DB[order // 2 % len(ROOMS_BELOW_DB)]
    return in_a_room(at_speed(once(window, num_samples), speed, centres_hz), below_db, start=order % window.shape[2])


def filled(log_mel: Tensor) -> Tensor:
    """Return a window's log-mel `[1, 1, T, M]` with the silence at its end replaced by the sound, which begins again.

    Frames of digital silence are equal to the last bit, those of any sound are not; what a channel adds leaves them
    equal.
    """
    num_frames = log_mel.shape[2]
    sounding = (log_mel != log_mel[:, :, -1:]).any(3).flatten().nonzero()
    if not len(sounding) or int(sounding[-1]) > num_frames - 3:
        return log_mel
    return log_mel[:, :, torch.arange(num_frames, device=log_mel.device) % (int(sounding[-1]) + 1)]


def once(log_mel: Tensor, num_samples: int) -> Tensor:
    """Return the log-mel `[1, 1, T, M]` of a window that a clip of so many samples fills again and again, with silence
    in place of all but the first time."""
    alone = log_mel.clone()
    alone[:, :, -(-num_samples * (log_mel.shape[2] - 1) // WINDOW_SAMPLES) :] = FrontEnd().floor_db
    return alone


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
