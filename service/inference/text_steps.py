"""Passes of the text encoder as steps of the model's thread, each short enough for the clips behind it."""

import math

import torch

from aspl.inference import num_text_passes, rate, score_between
from service.inference.queued import QueuedTexts
from service.inference.queued_clip import QueuedClip

STEP_S = 0.1
FIRST_STEP = 4
MAX_STEP = 128


class Pace:
    """How many units make a step that takes `step_s`, by how long the steps before took."""

    def __init__(self, step_s: float = STEP_S):
        self._step_s = step_s
        self.num_units = FIRST_STEP

    def note(self, num_units: int, elapsed_s: float) -> None:
        """Learn from a step; one that was too long halves the next at least as far as it must."""
        fitting = int(num_units * self._step_s / max(elapsed_s, 1e-6))
        self.num_units = max(1, min(fitting, 2 * self.num_units, MAX_STEP))


def texts_of(clip: QueuedClip) -> QueuedTexts:
    """What is left to do of an encoded clip whose head runs the text encoder."""
    rows, num_labels = clip.rows(), num_text_passes(clip.adapter)

    def complete(scores: torch.Tensor) -> None:
        scored = rate(clip.adapter, scores.view(len(rows), num_labels), rows)
        clip.succeed(scored[0], scored[1:])

    return QueuedTexts(
        tenant=clip.tenant,
        deadline=math.inf,
        future=clip.future,
        num_passes=len(rows) * num_labels,
        run=lambda start, stop: score_between(clip.adapter, rows, start, stop),
        complete=complete,
    )
