"""A batch of clips, each under its own adapter, through one pass of the encoder."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from aspl.adapter import Adapter
from aspl.features import AudioFeatures
from aspl.heads.cocoop import CoCoOpHead
from aspl.heads.guarded import GuardedHead
from aspl.heads.head import Head
from aspl.model.clap import FrozenClap
from aspl.prompts.audio import AudioPrompts
from aspl.sound.clip import SILENCE_AMPLITUDE, windows
from aspl.sound.level import at_level

# B clips, R windows of all clips, N samples of a window, K labels of an adapter


@torch.inference_mode()
def hear_windows(
    clap: FrozenClap,
    waveforms: np.ndarray | Tensor,
    prompts: Sequence[AudioPrompts | None],
    *,
    stages: bool = False,
    batch_size: int = 32,
    on_log_mel: Callable[[Tensor], None] | None = None,
) -> AudioFeatures:
    """Return the features of 10 s windows `[R, N]`, each under its row's audio prompts.

    Args:
        prompts: one a row; None is the bare model. Rows of different adapters share a pass.
        stages: whether the statistics of the stages are wanted too.
        batch_size: the most windows in one pass.
        on_log_mel: given the log-mels `[B, 1, T, M]` of each pass in turn, for who wants to know more of them.
    """
    waveforms = torch.as_tensor(waveforms)
    if len(waveforms) != len(prompts):
        raise ValueError(f"{len(waveforms)} windows and {len(prompts)} prompts")
    parts = []
    for start in range(0, len(waveforms), batch_size):
        rows = slice(start, start + batch_size)
        stacked = AudioPrompts.stack(prompts[rows]).to(clap.device)
        log_mels = clap.log_mel(waveforms[rows])
        if on_log_mel is not None:
            on_log_mel(log_mels)
        parts.append(clap.hear(log_mels, stacked, stages=stages))
    return AudioFeatures.cat(parts)


@dataclass(frozen=True)
class Scored:
    """What an adapter makes of one row: probabilities, float32 `[K]` in the order of its labels, and the known score.

    The known score, 0 to 1, is None under an adapter that has no rule for it.
    """

    probabilities: np.ndarray
    known: float | None


@dataclass(frozen=True)
class Answer:
    """The answer for one clip.

    Attributes:
        label, score: the best label and its probability.
        scores: the probability of every label.
        known: how much more it sounds like what was taught than like the background, 0 to 1; None where the adapter's
            file is of the first release.
        is_unknown: whether it is to be taken for something that was never taught.
    """

    label: str
    score: float
    scores: dict[str, float]
    known: float | None
    is_unknown: bool


@torch.inference_mode()
def score(features: AudioFeatures, adapters: Sequence[Adapter]) -> list[Scored]:
    """Return for each of B rows what its adapter makes of it.

    Rows of one adapter are scored together, which is what CoCoOp's text passes ask for.
    """
    if len(features) != len(adapters):
        raise ValueError(f"{len(features)} rows and {len(adapters)} adapters")
    rows_of: dict[int, list[int]] = {}
    for row, adapter in enumerate(adapters):
        rows_of.setdefault(id(adapter), []).append(row)
    scored: list[Scored | None] = [None] * len(adapters)
    for rows in rows_of.values():
        for row, result in zip(rows, _score_alike(adapters[rows[0]], features[rows]), strict=True):
            scored[row] = result
    return [result for result in scored if result is not None]


@torch.inference_mode()
def score_between(adapter: Adapter, features: AudioFeatures, start: int, stop: int) -> Tensor:
    """Return the scores `start` to `stop` of the B x K of a head that runs the text encoder, a pass each."""
    head = _answering(adapter)
    assert isinstance(head, CoCoOpHead)
    return head.prompt.cosines_between(features.joint, start, stop)


@torch.inference_mode()
def rate(adapter: Adapter, scores: Tensor, features: AudioFeatures) -> list[Scored]:
    """Return what the adapter makes of B rows whose scores `[B, K]` have come part by part."""
    lead = adapter.head.hearing.scores(features)[1] if isinstance(adapter.head, GuardedHead) else None
    return _rated(adapter, scores, lead)


def num_text_passes(adapter: Adapter) -> int:
    """Return how many passes of the text encoder each row costs: K under CoCoOp, none under any other."""
    return len(adapter.labels) if isinstance(_answering(adapter), CoCoOpHead) else 0


def _answering(adapter: Adapter) -> Head:
    """Return the head that gives the labels' scores."""
    return adapter.head.answering if isinstance(adapter.head, GuardedHead) else adapter.head


def _score_alike(adapter: Adapter, features: AudioFeatures) -> list[Scored]:
    return _rated(adapter, *adapter.scores(features))


def _rated(adapter: Adapter, scores: Tensor, lead: Tensor | None) -> list[Scored]:
    probabilities = (scores * adapter.scale).softmax(-1).float().cpu().numpy()
    known: Sequence[float | None] = [None] * len(scores)
    if adapter.known is not None:
        over = None if lead is None else lead.double().cpu().numpy()
        known = adapter.known.scores(scores.double().cpu().numpy(), over).tolist()
    return [Scored(*row) for row in zip(probabilities, known, strict=True)]


def is_unknown(
    adapter: Adapter, scored: Scored, *, is_silent: bool = False, thresholds: Mapping[str, float] | None = None
) -> bool:
    """Say whether a clip is to be taken for something that was never taught; digital silence always is.

    Args:
        thresholds: by label, in place of the adapter's own. They are of the known score, and of the best label's
            probability where the adapter knows no other.
    """
    winner = int(scored.probabilities.argmax())
    measure = float(scored.probabilities[winner]) if scored.known is None else scored.known
    own = adapter.threshold if adapter.known is None else adapter.known.thresholds[winner]
    least = (thresholds or {}).get(adapter.labels[winner], own)
    return is_silent or (least is not None and measure < least)


def classify(clap: FrozenClap, waveforms: Sequence[np.ndarray], adapters: Sequence[Adapter]) -> list[Answer]:
    """Return the answer for each clip.

    Args:
        waveforms: 1-D float32 at 48 kHz, of any length from 10 ms.
        adapters: one a clip, mixed freely.
    """
    if len(waveforms) != len(adapters):
        raise ValueError(f"{len(waveforms)} clips and {len(adapters)} adapters")
    if not waveforms:
        return []
    levelled = (at_level(waveform, each.level_db) for waveform, each in zip(waveforms, adapters, strict=True))
    cut = [windows(waveform)[0] for waveform in levelled]
    prompts = [adapter.heard_under for adapter, rows in zip(adapters, cut, strict=True) for _ in rows]
    stages = any(reads_stages(adapter) for adapter in adapters)
    features = hear_windows(clap, np.concatenate(cut), prompts, stages=stages)
    clips = AudioFeatures.cat([rows.pool() for rows in features.split([len(rows) for rows in cut])])
    silent = [bool(np.abs(waveform).max() < SILENCE_AMPLITUDE) for waveform in waveforms]
    return [
        _answer(adapter, scored, is_silent=is_silent)
        for adapter, scored, is_silent in zip(adapters, score(clips, adapters), silent, strict=True)
    ]


def _answer(adapter: Adapter, scored: Scored, *, is_silent: bool) -> Answer:
    scores = dict(zip(adapter.labels, map(float, scored.probabilities), strict=True))
    label = adapter.labels[int(scored.probabilities.argmax())]
    return Answer(label, scores[label], scores, scored.known, is_unknown(adapter, scored, is_silent=is_silent))


def reads_stages(adapter: Adapter) -> bool:
    """Say whether an adapter's head reads the statistics of the stages."""
    return "stages" in adapter.head.reads
