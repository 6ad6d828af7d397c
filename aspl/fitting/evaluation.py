"""Folds of clips to hold out, and the temperature and threshold that follow from scores of what was not heard."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from aspl.heads.takes import find_copies, in_two_classes

# n clips, K classes

KNOWN_REJECTION_RATE = 0.05
MIN_CLIPS_FOR_THRESHOLD = 20  # fewer cannot show a rate of one in twenty
TEMPERATURES = np.geomspace(0.05, 20.0, 241)


def negative_log_likelihood(truth: np.ndarray, logits: np.ndarray, *, smoothing: float = 0.0) -> float:
    """Return the mean cross-entropy; `smoothing` spreads that share of each target over all classes."""
    log_probabilities = log_softmax(logits)
    hit = log_probabilities[np.arange(len(truth)), truth]
    return float(-((1 - smoothing) * hit + smoothing * log_probabilities.mean(1)).mean())


def fit_temperature(truth: np.ndarray, logits: np.ndarray) -> float:
    """Return the temperature that makes held-out `logits` most likely (Guo et al. 2017, arXiv 1706.04599).

    Targets are smoothed by 1 in n + 2, as in Platt's scaling, so that a few clips without an error do not ask for
    certainty.
    """
    smoothing = 1 / (len(truth) + 2)
    losses = [negative_log_likelihood(truth, logits / value, smoothing=smoothing) for value in TEMPERATURES]
    return float(TEMPERATURES[int(np.argmin(losses))])


def fit_threshold(probabilities: np.ndarray) -> dict[str, Any]:
    """Return the top score under which an answer is `unknown`, or why there is none.

    Args:
        probabilities: `[n, K]`, calibrated, of held-out clips of the known classes.
    """
    if len(probabilities) < MIN_CLIPS_FOR_THRESHOLD:
        needed = f"{len(probabilities)} clips could be validated; a threshold needs {MIN_CLIPS_FOR_THRESHOLD}"
        return {"threshold": None, "reason": needed}
    top = np.sort(probabilities.max(1))
    threshold = float(top[int(len(top) * KNOWN_REJECTION_RATE)])
    return {
        "threshold": round(threshold, 6),
        "set_for_rejection_rate": KNOWN_REJECTION_RATE,
        "rejection_rate": round(float((top < round(threshold, 6)).mean()), 4),
    }


def stratified_folds(
    classes: np.ndarray, *, max_folds: int, seed: int, digests: Sequence[int] | None = None
) -> list[np.ndarray]:
    """Split clips so that each fold has its share of every class; classes of one clip are never held out.

    Equal clips are never on both sides: those of one class are held out together, those in two classes not at all.

    Args:
        classes: `[n]`, the index of each clip's label.
        digests: n of them, equal for equal clips; None where all differ.

    Returns:
        The held-out clips of each fold, as many folds as the smallest class of two or more different clips allows, at
        most `max_folds` and none where no class has two. With as many folds as clips a class this is leave-one-out.
    """
    digests = list(range(len(classes))) if digests is None else digests
    copies, is_ambiguous = find_copies(classes, digests), in_two_classes(classes, digests)
    things = [np.unique(copies[(classes == index) & ~is_ambiguous]) for index in range(classes.max() + 1)]
    has_others = [len(own) + is_ambiguous[classes == index].any() for index, own in enumerate(things)]
    divisible = [min(len(own), most) for own, most in zip(things, has_others, strict=True) if len(own) and most >= 2]
    if not divisible:
        return []
    num_folds = int(min(max_folds, max(2, min(divisible))))
    generator = np.random.default_rng(seed)
    folds: list[list[int]] = [[] for _ in range(num_folds)]
    start = 0
    for own, most in zip(things, has_others, strict=True):
        if most < 2:
            continue
        for place, thing in enumerate(generator.permutation(own)):
            folds[(start + place) % num_folds] += np.flatnonzero(copies == thing).tolist()
        start += len(own)  # go on where the last class ended: folds stay of one size
    return [np.array(sorted(fold)) for fold in folds if fold]


def log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def softmax(logits: np.ndarray) -> np.ndarray:
    return np.exp(log_softmax(logits))
