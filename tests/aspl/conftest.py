import numpy as np
import pytest
import torch

LABELS = ["low hum", "whistle", "hiss"]


@pytest.fixture(scope="session")
def log_mel(clap):
    generator = torch.Generator().manual_seed(1)
    loudness = torch.tensor([0.5, 0.05, 0.005, 0.1])[:, None]
    noise = torch.randn(4, 480_000, generator=generator) * loudness
    noise[1] += 0.3 * torch.sin(torch.arange(480_000) * 0.05)
    return clap.log_mel(noise.clamp(-1, 1))


@pytest.fixture(scope="session")
def clips() -> tuple[list[np.ndarray], list[str]]:
    """Three one-second clips of each of three sounds that differ in pitch and noise."""
    generator = np.random.default_rng(0)
    time_s = np.arange(48_000) / 48_000
    waveforms, labels = [], []
    for label, pitch_hz, noise in zip(LABELS, (110, 2400, 700), (0.01, 0.01, 0.3), strict=True):
        for _ in range(3):
            tone = np.sin(2 * np.pi * pitch_hz * generator.uniform(0.95, 1.05) * time_s) * (0.4 - noise)
            waveforms.append((tone + noise * generator.standard_normal(48_000)).astype(np.float32))
            labels.append(label)
    return waveforms, labels
