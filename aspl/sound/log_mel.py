"""Waveform to log-mel, batched on the device: the front end of LAION's unfused CLAP (laion-clap 1.1.7)."""

import math
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Tensor, nn
from transformers.audio_utils import mel_filter_bank

# B clips, N samples, T frames, F frequency bins, M mel bins


@dataclass(frozen=True)
class FrontEnd:
    """The settings of the log-mel. Checkpoints were trained with these; they are part of a model's fingerprint."""

    sample_rate_hz: int = 48_000
    window_samples: int = 480_000
    n_fft: int = 1024
    hop_samples: int = 480
    mel_bins: int = 64
    min_hz: float = 50.0
    max_hz: float = 14_000.0
    power_floor: float = 1e-10

    @property
    def floor_db(self) -> float:
        """What digital silence is in the log-mel."""
        return 10 * math.log10(self.power_floor)

    def as_dict(self) -> dict[str, float]:
        return asdict(self)


class LogMel(nn.Module):
    """Power spectrogram (periodic Hann, centred, reflected ends) on Slaney mel bins, in dB, without a range limit."""

    def __init__(self, front_end: FrontEnd | None = None) -> None:
        super().__init__()
        self.front_end = front_end or FrontEnd()
        filters = mel_filter_bank(
            num_frequency_bins=self.front_end.n_fft // 2 + 1,
            num_mel_filters=self.front_end.mel_bins,
            min_frequency=self.front_end.min_hz,
            max_frequency=self.front_end.max_hz,
            sampling_rate=self.front_end.sample_rate_hz,
            norm="slaney",
            mel_scale="slaney",
        )
        self.register_buffer("filters", torch.from_numpy(filters).float(), persistent=False)  # [F, M]
        self.register_buffer("window", torch.hann_window(self.front_end.n_fft, periodic=True), persistent=False)

    @property
    def centres_hz(self) -> np.ndarray:
        """`[M]`, the frequency about which each mel bin gathers power."""
        filters = self.filters.double().cpu().numpy()
        hz = np.linspace(0, self.front_end.sample_rate_hz / 2, len(filters))
        return hz @ filters / filters.sum(0)

    @torch.no_grad()
    def forward(self, waveforms: Tensor) -> Tensor:
        """Return the log-mel in dB, float32 `[B, 1, T, M]`, of waveforms `[B, N]` at 48 kHz within -1..1.

        In float32 whatever the model's dtype is, for a dB scale has no room for half precision: TF32 and autocast are
        to stay off, as torch leaves them.
        """
        front_end = self.front_end
        spectrum = torch.stft(
            waveforms.float(),
            front_end.n_fft,
            hop_length=front_end.hop_samples,
            window=self.window,
            center=True,
            pad_mode="reflect",
            return_complex=True,
        )  # [B, F, T]
        power = spectrum.real.square() + spectrum.imag.square()
        mel = power.transpose(1, 2) @ self.filters  # [B, T, M]
        return mel.clamp_min(front_end.power_floor).log10().mul(10.0).unsqueeze(1)
