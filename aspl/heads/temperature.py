"""How sharp a softmax over scores should be, so that its probabilities are those of held-out answers.

Guo et al. 2017 (arXiv 1706.04599), with Platt's smoothed targets, and a prior where there are few clips.
"""

import numpy as np

# n held-out clips, K labels

SHARPNESSES = np.geomspace(0.5, 60.0, 25)
USUAL_SHARPNESS = 8.0  # margins of the closed-form head are 1 between a clip's label and the rest, whatever the model
PRIOR_SHOTS = 2.0


def smoothed_losses(scores: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return the cross-entropy at each of SHARPNESSES; targets are smoothed by 1 in n + 2."""
    share = 1 / (len(classes) + 2)
    rows = np.arange(len(classes))
    losses = []
    for sharpness in SHARPNESSES:
        logits = scores * sharpness
        logits = logits - logits.max(1, keepdims=True)
        logits = logits - np.log(np.exp(logits).sum(1, keepdims=True))
        losses.append(-float(((1 - share) * logits[rows, classes] + share * logits.mean(1)).mean()))
    return np.array(losses)


def smoothed_loss(scores: np.ndarray, classes: np.ndarray) -> float:
    """Return the least cross-entropy over SHARPNESSES."""
    return float(smoothed_losses(scores, classes).min())


def fit_sharpness(scores: np.ndarray, classes: np.ndarray, *, shots: float) -> float:
    """Return the factor of held-out `scores` `[n, K]` that calibrates their softmax, n from 0.

    Held out, a label of two clips has one left, and what that says is not what two say: the usual value counts as
    PRIOR_SHOTS clips a label.
    """
    if not len(classes) or scores.shape[1] < 2:
        return USUAL_SHARPNESS
    best = SHARPNESSES[int(np.argmin(smoothed_losses(scores, classes)))]
    seen = shots - 1
    return float(np.exp((seen * np.log(best) + PRIOR_SHOTS * np.log(USUAL_SHARPNESS)) / (seen + PRIOR_SHOTS)))
