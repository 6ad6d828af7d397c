"""A quiet room, as a sound that is in it is heard: its noise is added to the sound's log-mel."""

from functools import cache

import numpy as np
import torch
from torch import Tensor

from aspl.sound.clip import SAMPLE_RATE_HZ, WINDOW_SAMPLES
from aspl.sound.log_mel import LogMel

# T frames, M mel bins

LOWEST_HZ = 30.0  # below which the noise grows no further


def in_a_room(log_mel: Tensor, below_db: float, *, start: int) -> Tensor:
    """Return a window's log-mel `[1, 1, T, M]` with a room's noise behind it.

    Args:
        below_db: how far the noise is below the window's loudest frame.
        start: the frame of the noise that the window begins with; it begins again where it ends.
    """
    power = 10 ** (log_mel / 10)
    loudest = power.sum(3).max()
    noise = room_noise().roll(start, 0)[: power.shape[2]].to(power)
    return 10 * torch.log10(power + noise * loudest * 10 ** (-below_db / 10))


@cache
def room_noise() -> Tensor:
    """Return the mel power `[T, M]` of a window of pink noise, whose frames have a power of 1 in the mean."""
    log_mel = LogMel()(torch.from_numpy(pink_noise(WINDOW_SAMPLES)).float()[None])[0, 0]
    power = 10 ** (log_mel / 10)
    return power / power.sum(1).mean()


def pink_noise(num_samples: int, *, seed: int = 0) -> np.ndarray:
    """Return noise `[N]` of deviation 1 whose power falls as 1/f, as a room's about does; the same for one seed."""
    white = np.random.default_rng(seed).normal(size=num_samples)
    hz = np.fft.rfftfreq(num_samples, 1 / SAMPLE_RATE_HZ)
    pink = np.fft.irfft(np.fft.rfft(white) / np.sqrt(np.maximum(hz, LOWEST_HZ)), num_samples)
    return pink / pink.std()
