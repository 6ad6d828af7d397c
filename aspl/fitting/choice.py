"""Which candidate to keep, from what each said of clips that it had not heard: plain numbers, no model."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from aspl.fitting.evaluation import fit_temperature, log_softmax

# h held-out clips, K classes


@dataclass(frozen=True)
class Choice:
    """The candidate to keep, and of each the mean held-out loss and accuracy; none where nothing was held out."""

    candidate: str
    losses: Mapping[str, float]
    accuracies: Mapping[str, float] = field(default_factory=dict)


def choose(truth: np.ndarray, held_out: Mapping[str, np.ndarray], margins: Mapping[str, float]) -> Choice:
    """Return the simplest candidate that no later one beats.

    Args:
        truth: `[h]`, the index of each clip's label; where it is empty, the first candidate is kept.
        held_out: logits `[h, K]` of each candidate, the simplest first.
        margins: by how many standard errors of the gain a candidate must lower the loss to be kept. One with many
            numbers to train must clear the noise; one that trains no more than the first need not.
    """
    best, *others = held_out
    if not len(truth):
        return Choice(best, {})
    losses = {name: calibrated_losses(truth, logits) for name, logits in held_out.items()}
    for name in others:
        gain = losses[best] - losses[name]
        if gain.mean() > margins[name] * gain.std() / np.sqrt(len(truth)):
            best = name
    accuracies = {name: float((logits.argmax(1) == truth).mean()) for name, logits in held_out.items()}
    return Choice(best, {name: float(values.mean()) for name, values in losses.items()}, accuracies)


def calibrated_losses(truth: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """Return each clip's cross-entropy `[h]` under the temperature that suits these logits `[h, K]` best."""
    temperature = fit_temperature(truth, logits)
    return -log_softmax(logits / temperature)[np.arange(len(truth)), truth]
