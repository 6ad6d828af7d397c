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

    def answer(row: np.ndarray) -> HeldOutAnswer:
        return HeldOutAnswer(labels[int(row.argmax())], round(float(1 / np.exp(row - row.max()).sum()), 4))

    return tuple(None if np.isnan(row).any() else answer(row) for row in logits)
