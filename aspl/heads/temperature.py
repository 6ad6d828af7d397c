"""How sharp a softmax over scores should be, so that its probabilities are those of held-out answers.

Guo et al. 2017 (arXiv 1706.04599), with Platt's smoothed targets, and a prior where there are few clips.
"""

import numpy as np

# n held-out clips, K labels

SHARPNESSES = np.geomspace(0.5, 60.0, 25)
USUAL_SHARPNESS = 8.0  # margins of the closed-form head are 1 between a clip's label and the rest, whatever the model
PRIOR_SHOTS = 2.0


def smoothed_loss(scores: np.ndarray, classes: np.ndarray) -> float:
    """Return the least cross-entropy over SHARPNESSES; targets are smoothed by 1 in n + 2."""
    return _least(scores, classes)[1]


def _least(scores: np.ndarray, classes: np.ndarray) -> tuple[int, float]:
    """Return the place of the best of SHARPNESSES and its loss, which is convex in the sharpness: halve the range."""
    known: dict[int, float] = {}

    def loss(place: int) -> float:
        if place not in known:
            known[place] = _smoothed_loss(scores, classes, SHARPNESSES[place])
        return known[place]

    low, high = 0, len(SHARPNESSES) - 1
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if loss(middle) <= loss(middle + 1) else (middle + 1, high)
    return low, loss(low)


def _smoothed_loss(scores: np.ndarray, classes: np.ndarray, sharpness: float) -> float:
    share, rows = 1 / (len(classes) + 2), np.arange(len(classes))
    logits = scores * sharpness
    top = logits.max(1, keepdims=True)
    logits -= top
    picked, mean = logits[rows, classes], logits.mean(1)
    # In single precision, in which it takes a third of the time; the terms are at most 1, and the sum is of them all.
    normaliser = np.log(np.exp(logits.astype(np.float32)).sum(1, dtype=np.float64))
    return -float(((1 - share) * (picked - normaliser) + share * (mean - normaliser)).mean())


def fit_sharpness(scores: np.ndarray, classes: np.ndarray, *, shots: float) -> float:
    """Return the factor of held-out `scores` `[n, K]` that calibrates their softmax, n from 0.

    Held out, a label of two clips has one left, and what that says is not what two say: the usual value counts as
    PRIOR_SHOTS clips a label.
    """
    if not len(classes) or scores.shape[1] < 2:
        return USUAL_SHARPNESS
    best = SHARPNESSES[_least(scores, classes)[0]]
    seen = shots - 1
    return float(np.exp((seen * np.log(best) + PRIOR_SHOTS * np.log(USUAL_SHARPNESS)) / (seen + PRIOR_SHOTS)))
