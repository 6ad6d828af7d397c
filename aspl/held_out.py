"""What a fit answered to each clip without having heard it, by which two fits can be compared."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# n clips, K labels


@dataclass(frozen=True)
class HeldOutAnswer:
    """The label that won, and its probability, 0 to 1."""

    label: str
    score: float


def held_out_answers(labels: Sequence[str], logits: np.ndarray) -> tuple[HeldOutAnswer | None, ...]:
    """Return the answer to each clip; None for one that was never held out, whose row of `[n, K]` is NaN."""

    best = np.where(np.isnan(logits), -np.inf, logits).argmax(1)
    scores = 1 / np.exp(logits - logits.max(1, keepdims=True)).sum(1)
    return tuple(
        None if np.isnan(score) else HeldOutAnswer(labels[winner], round(score, 4))
        for winner, score in zip(best.tolist(), scores.tolist(), strict=True)
    )
