"""A batch of clips, each under its own adapter, through one pass of the encoder."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from aspl.adapter import Adapter
from aspl.features import AudioFeatures
from aspl.model.clap import FrozenClap
from aspl.prompts.audio import AudioPrompts
from aspl.sound.clip import windows

# B clips, R windows of all clips, N samples of a window, K labels of an adapter


@torch.inference_mode()
def hear_windows(
    clap: FrozenClap,
    waveforms: np.ndarray | Tensor,
    prompts: Sequence[AudioPrompts | None],
    *,
    stages: bool = False,
    batch_size: int = 32,
) -> AudioFeatures:
    """Return the features of 10 s windows `[R, N]`, each under its row's audio prompts.

    Args:
        prompts: one a row; None is the bare model. Rows of different adapters share a pass.
        stages: whether the statistics of the stages are wanted too.
        batch_size: the most windows in one pass.
    """
    waveforms = torch.as_tensor(waveforms)
    if len(waveforms) != len(prompts):
        raise ValueError(f"{len(waveforms)} windows and {len(prompts)} prompts")
    parts = []
    for start in range(0, len(waveforms), batch_size):
        rows = slice(start, start + batch_size)
        stacked = AudioPrompts.stack(prompts[rows]).to(clap.device)
        parts.append(clap.hear(clap.log_mel(waveforms[rows]), stacked, stages=stages))
    return AudioFeatures.cat(parts)


@torch.inference_mode()
def score(clap: FrozenClap, features: AudioFeatures, adapters: Sequence[Adapter]) -> list[np.ndarray]:
    """Return for each of B rows its adapter's probabilities, float32 `[K]` in the order of its labels.

    Rows of one adapter are scored together, which is what CoCoOp's text passes ask for.
    """
    if len(features) != len(adapters):
        raise ValueError(f"{len(features)} rows and {len(adapters)} adapters")
    rows_of: dict[int, list[int]] = {}
    for row, adapter in enumerate(adapters):
        rows_of.setdefault(id(adapter), []).append(row)
    scores: list[np.ndarray] = [np.empty(0, np.float32)] * len(adapters)
    for rows in rows_of.values():
        probabilities = adapters[rows[0]].logits(features[rows]).softmax(-1).float().cpu().numpy()
        for row, probability in zip(rows, probabilities, strict=True):
            scores[row] = probability
    return scores


def classify(clap: FrozenClap, waveforms: Sequence[np.ndarray], adapters: Sequence[Adapter]) -> list[dict[str, float]]:
    """Return for each clip the probability of each of its adapter's labels.

    Args:
        waveforms: 1-D float32 at 48 kHz, of any length from 10 ms.
        adapters: one a clip, mixed freely.
    """
    if len(waveforms) != len(adapters):
        raise ValueError(f"{len(waveforms)} clips and {len(adapters)} adapters")
    if not waveforms:
        return []
    cut = [windows(waveform)[0] for waveform in waveforms]
    prompts = [adapter.prompts for adapter, rows in zip(adapters, cut, strict=True) for _ in rows]
    stages = any(reads_stages(adapter) for adapter in adapters)
    features = hear_windows(clap, np.concatenate(cut), prompts, stages=stages)
    clips = AudioFeatures.cat([rows.pool() for rows in features.split([len(rows) for rows in cut])])
    return [
        dict(zip(adapter.labels, map(float, probabilities), strict=True))
        for adapter, probabilities in zip(adapters, score(clap, clips, adapters), strict=True)
    ]


def reads_stages(adapter: Adapter) -> bool:
    """Say whether an adapter's head reads the statistics of the stages."""
    return "stages" in adapter.head.reads
