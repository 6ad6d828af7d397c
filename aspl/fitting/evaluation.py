"""Folds of clips to hold out, and the temperature and threshold that follow from scores of what was not heard."""

from typing import Any

import numpy as np

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


def stratified_folds(classes: np.ndarray, *, max_folds: int, seed: int) -> list[np.ndarray]:
    """Split clips so that each fold has its share of every class; classes of one clip are never held out.

    Args:
        classes: `[n]`, the index of each clip's label.

    Returns:
        The held-out clips of each fold, as many folds as the smallest class of two or more clips allows, at most
        `max_folds` and none where no class has two clips. With as many folds as clips a class this is leave-one-out.
    """
    counts = np.bincount(classes)
    divisible = counts[counts >= 2]
    if not len(divisible):
        return []
    num_folds = int(min(max_folds, divisible.min()))
    generator = np.random.default_rng(seed)
    folds: list[list[int]] = [[] for _ in range(num_folds)]
    start = 0
    for index in np.flatnonzero(counts >= 2):
        members = generator.permutation(np.flatnonzero(classes == index))
        for place, clip in enumerate(members):
            folds[(start + place) % num_folds].append(int(clip))
        start += len(members)  # go on where the last class ended: folds stay of one size
    return [np.array(sorted(fold)) for fold in folds]


def log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def softmax(logits: np.ndarray) -> np.ndarray:
    return np.exp(log_softmax(logits))
