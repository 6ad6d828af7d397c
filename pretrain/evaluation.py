"""What the small CLAP is worth on real recordings that it never heard: zero-shot, a probe, PALM, and its speed."""

import csv
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from aspl import Adapter, AudioFeatures, FrozenClap, TrainingConfig, fit
from aspl.sound.clip import decode, windows

BATCH_CLIPS = 8


@dataclass(frozen=True)
class Recordings:
    """Labelled clips in folds, with their features under one model.

    Attributes:
        waveforms: one-dimensional, 48 kHz.
        labels, folds: one a clip.
        embeddings: `[N, D]` of unit norm; `pooled`: `[N, E]` before the projection.
    """

    waveforms: list[np.ndarray]
    labels: np.ndarray
    folds: np.ndarray
    embeddings: torch.Tensor
    pooled: np.ndarray


@dataclass(frozen=True)
class Accuracy:
    """Mean and standard deviation over folds and draws, as shares of 1."""

    mean: float
    deviation: float
    runs: int

    def __str__(self) -> str:
        return f"{100 * self.mean:.1f} % +- {100 * self.deviation:.1f} ({self.runs} runs)"


def read_recordings(clap: FrozenClap, folder: Path) -> Recordings:
    """Read `clips.csv` (file, fold, label) and `audio/` of `folder`, and embed every clip by its first window."""
    with (folder / "clips.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    waveforms = [decode((folder / "audio" / row["file"]).read_bytes()).waveform for row in rows]
    pooled, embeddings = [], []
    with torch.inference_mode():
        for start in range(0, len(rows), BATCH_CLIPS):
            batch = np.stack([windows(waveform)[0][0] for waveform in waveforms[start : start + BATCH_CLIPS]])
            pooled.append(clap.pool_audio(clap.log_mel(torch.from_numpy(batch))))
            embeddings.append(clap.project_audio(pooled[-1]))
    labels, folds = np.array([row["label"] for row in rows]), np.array([int(row["fold"]) for row in rows])
    return Recordings(waveforms, labels, folds, torch.cat(embeddings), torch.cat(pooled).numpy())


def zero_shot(clap: FrozenClap, recordings: Recordings) -> tuple[float, dict[str, float]]:
    """Return the accuracy over all clips and by label, the labels' names in the usual template being the classes."""
    labels = sorted(set(recordings.labels.tolist()))
    adapter = Adapter.zero_shot(clap, labels)
    right = _answers(recordings, adapter, np.arange(len(recordings.labels))) == recordings.labels
    return float(right.mean()), {label: float(right[recordings.labels == label].mean()) for label in labels}


def probe(recordings: Recordings, *, shots: int, draws: int) -> Accuracy:
    """Return the accuracy of a logistic regression on pooled features, `shots` clips a class from the other folds."""

    def answers(train: np.ndarray, test: np.ndarray, _seed: int) -> np.ndarray:
        classifier = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000))
        return classifier.fit(recordings.pooled[train], recordings.labels[train]).predict(recordings.pooled[test])

    return _over_folds(recordings, shots, draws, answers)


def palm(clap: FrozenClap, recordings: Recordings, *, shots: int, draws: int) -> Accuracy:
    """Return the accuracy of PALM without an audio prompt, on the folds and draws of `probe`."""

    def answers(train: np.ndarray, test: np.ndarray, seed: int) -> np.ndarray:
        config = TrainingConfig(method="palm", audio_prompt="none", preset="fast", seed=seed)
        waveforms = [recordings.waveforms[row] for row in train]
        adapter = fit(clap, waveforms, [str(label) for label in recordings.labels[train]], config=config)
        return _answers(recordings, adapter, test)

    return _over_folds(recordings, shots, draws, answers)


def embedding_ms(clap: FrozenClap, *, repeats: int = 5) -> float:
    """Return the best time in ms a clip from a batch of 10 s waveforms to embeddings, decoding left out."""
    waveforms = 0.1 * torch.randn(BATCH_CLIPS, 480_000, generator=torch.Generator().manual_seed(0))
    times = []
    with torch.inference_mode():
        for _ in range(repeats + 1):
            started = time.perf_counter()
            clap.encode_audio(clap.log_mel(waveforms))
            times.append(time.perf_counter() - started)
    return 1000 * min(times[1:]) / BATCH_CLIPS


def draw_shots(recordings: Recordings, shots: int, draws: int) -> Iterator[tuple[np.ndarray, np.ndarray, int]]:
    """Yield (rows to learn from, rows to test on, draw): each fold is tested on in turn, the shots from the others."""
    for fold in sorted(set(recordings.folds)):
        for draw in range(draws):
            rng = np.random.default_rng([int(fold), draw])
            others = [
                np.flatnonzero((recordings.labels == each) & (recordings.folds != fold))
                for each in sorted(set(recordings.labels.tolist()))
            ]
            train = np.concatenate([rng.choice(rows, min(shots, len(rows)), replace=False) for rows in others])
            yield train, np.flatnonzero(recordings.folds == fold), draw


def _over_folds(
    recordings: Recordings, shots: int, draws: int, answers: Callable[[np.ndarray, np.ndarray, int], np.ndarray]
) -> Accuracy:
    scores = [
        float(np.mean(answers(train, test, draw) == recordings.labels[test]))
        for train, test, draw in draw_shots(recordings, shots, draws)
    ]
    return Accuracy(float(np.mean(scores)), float(np.std(scores, ddof=1)) if len(scores) > 1 else 0.0, len(scores))


def _answers(recordings: Recordings, adapter: Adapter, rows: np.ndarray) -> np.ndarray:
    scores, _ = adapter.scores(AudioFeatures(recordings.embeddings[torch.from_numpy(rows)]))
    return np.array(adapter.labels)[scores.argmax(1).cpu().numpy()]
