"""A batch of clips, each under its own adapter, through one pass of the encoder."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from aspl.adapter import Adapter
from aspl.model.clap import FrozenClap
from aspl.prompts.audio import AudioPrompts
from aspl.sound.clip import windows

# B clips, R windows of all clips, N samples of a window, D joint width, K labels of an adapter


@torch.inference_mode()
def encode_windows(
    clap: FrozenClap, waveforms: np.ndarray | Tensor, prompts: Sequence[AudioPrompts | None], *, batch_size: int = 32
) -> Tensor:
    """Return embeddings of unit norm, float32 `[R, D]`, of 10 s windows `[R, N]`, each under its row's audio prompts.

    Args:
        prompts: one a row; None is the bare model. Rows of different adapters share a pass.
        batch_size: the most windows in one pass.
    """
    waveforms = torch.as_tensor(waveforms)
    if len(waveforms) != len(prompts):
        raise ValueError(f"{len(waveforms)} windows and {len(prompts)} prompts")
    rows = []
    for start in range(0, len(waveforms), batch_size):
        part = slice(start, start + batch_size)
        stacked = AudioPrompts.stack(prompts[part]).to(clap.device)
        rows.append(clap.encode_audio(clap.log_mel(waveforms[part]), stacked))
    return torch.cat(rows)


def pool(embeddings: Tensor) -> Tensor:
    """Return a clip's embedding `[D]`, the mean over its windows `[W, D]` brought back to unit norm."""
    return F.normalize(embeddings.mean(0), dim=-1)


@torch.inference_mode()
def score(clap: FrozenClap, embeddings: Tensor, adapters: Sequence[Adapter]) -> list[np.ndarray]:
    """Return for each embedding of `[B, D]` its adapter's probabilities, float32 `[K]` in the order of its labels.

    Rows of one adapter are scored together, which is what CoCoOp's text passes ask for.
    """
    if len(embeddings) != len(adapters):
        raise ValueError(f"{len(embeddings)} embeddings and {len(adapters)} adapters")
    rows_of: dict[int, list[int]] = {}
    for row, adapter in enumerate(adapters):
        rows_of.setdefault(id(adapter), []).append(row)
    scores: list[np.ndarray] = [np.empty(0, np.float32)] * len(adapters)
    for rows in rows_of.values():
        probabilities = adapters[rows[0]].logits(embeddings[rows]).softmax(-1).float().cpu().numpy()
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
    embeddings = encode_windows(clap, np.concatenate(cut), prompts)
    clips = torch.stack([pool(rows) for rows in embeddings.split([len(rows) for rows in cut])])
    return [
        dict(zip(adapter.labels, map(float, probabilities), strict=True))
        for adapter, probabilities in zip(adapters, score(clap, clips, adapters), strict=True)
    ]
