"""Plain statistics of a log-mel, which the pooled features are asked to hold: each clip teaches much, and early."""

from itertools import pairwise

import torch
from torch import Tensor

NUM_BANDS = 8
MODULATION_EDGES_HZ = (0.5, 1.5, 3.0, 6.0, 12.0, 25.0, 50.0)
FRAME_RATE_HZ = 100.0

# B clips, T frames, M mel bins


def statistics(log_mel: Tensor) -> Tensor:
    """Return `[B, 3M + 48]`: per bin the mean, deviation and frame-to-frame change in dB, then modulation levels in dB.

    The last are levels of six ranges of modulation frequency in eight bands of bins.
    """
    mean, deviation = log_mel.mean(1), log_mel.std(1)
    change = (log_mel[:, 1:] - log_mel[:, :-1]).abs().mean(1)
    bands = log_mel.unflatten(2, (NUM_BANDS, -1)).mean(3)  # [B, T, bands]
    window = torch.hann_window(bands.shape[1])[:, None]
    spectrum = torch.fft.rfft((bands - bands.mean(1, keepdim=True)) * window, dim=1).abs().square()
    hz = torch.fft.rfftfreq(bands.shape[1], 1 / FRAME_RATE_HZ)
    levels = [
        10 * torch.log10(spectrum[:, (hz >= low) & (hz < high)].mean(1) + 1.0)
        for low, high in pairwise(MODULATION_EDGES_HZ)
    ]
    return torch.cat([mean, deviation, change, *levels], dim=1)
