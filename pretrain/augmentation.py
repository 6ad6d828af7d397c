"""What a stored log-mel goes through before each look at it: a cut, a microphone, a room's noise, another sound."""

import torch
import torch.nn.functional as F
from torch import Tensor

FLOOR_DB = -100.0

# B clips, T frames, M mel bins


def cut(log_mel: Tensor, frames: int, generator: torch.Generator) -> Tensor:
    """Return `frames` frames of each clip `[B, 1001, M]`, 0.85 to 1.18 times as fast, from where something sounds.

    The clip goes round at its end. Of eight places the loudest is taken, most of the time: a chunk of silence between
    two barks says nothing of dogs.
    """
    num_clips, total, mel_bins = log_mel.shape
    loudness = log_mel.mean(2)  # [B, T]
    window = torch.cumsum(F.pad(torch.cat([loudness, loudness], 1), (1, 0)), 1)
    sums = window[:, frames:] - window[:, :-frames]
    starts = torch.randint(total, (num_clips, 8), generator=generator)
    best = sums.gather(1, starts).argmax(1)
    best = torch.where(torch.rand(num_clips, generator=generator) < 0.85, best, 0)
    start = starts.gather(1, best[:, None])
    rate = torch.exp(torch.empty(num_clips, 1).uniform_(-0.165, 0.165, generator=generator))
    index = (start + rate * torch.arange(frames)).long() % total
    return log_mel.gather(1, index[:, :, None].expand(-1, -1, mel_bins))


def augment(log_mel: Tensor, generator: torch.Generator) -> Tensor:
    """Return log-mels `[B, T, M]` in dB under a random gain, equaliser, noise floor, mixture and masks."""
    num_clips, _, mel_bins = log_mel.shape

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    def uniform(low: float, high: float) -> Tensor:
        return torch.empty(num_clips, 1, 1).uniform_(low, high, generator=generator)

    x = _shift_bins(log_mel, generator)
    curve = F.interpolate(normal(num_clips, 1, 7), mel_bins, mode="linear", align_corners=True)
    x = torch.clamp_min(x + curve * uniform(0, 7) + uniform(-18, 8), FLOOR_DB)
    level = x[:, ::8].flatten(1).quantile(0.95, dim=1)[:, None, None]  # of every eighth frame: sorting all is slow
    other, other_level = x.roll(1, 0), level.roll(1, 0)
    is_mixed = uniform(0, 1) < 0.35
    x = _add_power(x, torch.where(is_mixed, other + level - other_level - uniform(8, 30), FLOOR_DB))
    # Digital silence stays so in most clips: real recordings have both.
    wave = F.interpolate(3 * normal(num_clips, 1, 5), mel_bins, mode="linear", align_corners=True)
    tilt = torch.linspace(0, 1, mel_bins) * uniform(-30, 5) + wave
    floor = level - uniform(18, 75) + tilt + 4.0 * normal(*x.shape)
    x = _add_power(x, torch.where(uniform(0, 1) < 0.4, floor, FLOOR_DB)).clamp_min(FLOOR_DB)
    return _mask(x, generator)


def _add_power(x: Tensor, y: Tensor) -> Tensor:
    """Add two levels in dB as powers of independent sounds."""
    higher, lower = torch.maximum(x, y), torch.minimum(x, y)
    return higher + 10.0 / torch.log(torch.tensor(10.0)) * torch.log1p(torch.exp((lower - higher) * 0.2302585))


def _shift_bins(x: Tensor, generator: torch.Generator) -> Tensor:
    """Move half of the clips up or down by up to three mel bins: another size of the same source."""
    mel_bins = x.shape[2]
    shift = torch.randint(-3, 4, (len(x), 1), generator=generator)
    shift = torch.where(torch.rand(len(x), 1, generator=generator) < 0.5, shift, 0)
    index = (torch.arange(mel_bins) + shift).clamp(0, mel_bins - 1)
    return x.gather(2, index[:, None].expand_as(x))


def _mask(x: Tensor, generator: torch.Generator) -> Tensor:
    """Hide a few bins of some clips and a few frames of others behind the clip's mean."""
    num_clips, frames, mel_bins = x.shape
    mean = x.mean((1, 2), keepdim=True)
    for axis, size, widest in ((2, mel_bins, 10), (1, frames, 40)):
        width = torch.randint(widest + 1, (num_clips, 1), generator=generator)
        width = torch.where(torch.rand(num_clips, 1, generator=generator) < 0.3, width, 0)
        start = torch.randint(size, (num_clips, 1), generator=generator)
        place = torch.arange(size)
        hidden = (place >= start) & (place < start + width)
        x = torch.where(hidden[:, None, :] if axis == 2 else hidden[:, :, None], mean, x)
    return x
