"""The closed-form head: ridge regression against the background, a Gaussian beside it, and words where they help.

    score_c = (1 - a) ridge_c + a gaussian_c + b (cosine_c - its mean over the background)
    score_background = (1 - a) ridge_0 + a gaussian_0

with a = min(1/2, s / (s + 8)) for s clips a label. Ridge knows best what is foreign, the Gaussian what is nearly right,
and it wants clips for it. All three are linear in the scaled features, so one matrix and a bias remain of them. What a
clip is known by is the highest score of a label less the background's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Self

import numpy as np

from aspl.heads.feature_scale import FeatureScale
from aspl.heads.gaussian import GaussianFit, fit_gaussian
from aspl.heads.ridge import RidgeFit, fit_ridge
from aspl.heads.takes import find_takes, make_folds
from aspl.heads.temperature import fit_sharpness, smoothed_loss
from aspl.stage_layout import StageLayout

# n clips, o background clips of the tenant's own, m of the bank, K labels, D joint width,
# F features: what the stages give, then the joint embedding

GAUSSIAN_CLIPS = 8.0
LOWEST_BACKGROUND_WEIGHT = 0.05
OWN_BACKGROUND_WEIGHT = 1.0
OWN_BACKGROUND_SHARE = 0.5  # of the mean that the Gaussian takes for the background
TEXT_WEIGHTS = (0.0, 0.05, 0.1, 0.2, 0.4, 0.8)
TEXT_PRIOR = 0.5  # the weight of words expected at s clips a label is this by s + 1
TEXT_PRIOR_STRENGTH = 2.0  # nats for a factor of e


@dataclass(frozen=True, eq=False)
class Bank:
    """The background's clips under one base model, and the scale that they set.

    Attributes:
        scaled: `[m, F]`; joint: `[m, D]`.
        num_clips: which the last rows are what is judged by; rows before them are the same clips in the same order,
            heard otherwise.
    """

    scale: FeatureScale
    scaled: np.ndarray
    joint: np.ndarray
    num_clips: int

    @cached_property
    def whitened(self) -> np.ndarray:
        """`[m, F]`, which is the same for every fit on one model."""
        return self.scale.whitened(self.scaled)

    @property
    def judged(self) -> slice:
        """Return which rows say how what was never taught scores."""
        return slice(len(self.scaled) - self.num_clips, None)

    @property
    def clips(self) -> np.ndarray:
        """Return `[m]`, equal numbers for rows of one clip."""
        return np.arange(len(self.scaled)) % self.num_clips

    @classmethod
    def of_features(cls, stages: np.ndarray, joint: np.ndarray, families: np.ndarray, layout: StageLayout) -> Self:
        """Return the bank of these features; see `FeatureScale.of_background`."""
        scale = FeatureScale.of_background(stages, joint, families, layout)
        return cls(scale, scale.scaled(stages, joint), joint.astype(np.float64), len(joint))

    def and_heard(self, stages: np.ndarray, joint: np.ndarray) -> Self:
        """Return the bank with its clips heard in another way too, `[num_clips, S]` and `[num_clips, D]`, by which it
        is judged."""
        scaled = np.concatenate([self.scaled, self.scale.scaled(stages, joint)])
        return replace(self, scaled=scaled, joint=np.concatenate([self.joint, joint.astype(np.float64)]))


@dataclass(frozen=True, eq=False)
class Teaching:
    """What a fit hears.

    Attributes:
        scaled: `[n, F]`; `classes`: `[n]`, 0 to K - 1, each at least once; `order`: `[n]`, from the clips' digests.
        own: `[o, F]`, the tenant's own background, o from 0.
        joint: `[n, D]`; `texts`: `[K, D]`, unit text embeddings of the labels, None for no words.
        copies: `[n, F]` each, of every clip another version, held out with it. In ridge a clip counts once, copies and
            all; for the Gaussian's scatter each counts, which tells what varies in one sound.
    """

    scaled: np.ndarray
    classes: np.ndarray
    order: np.ndarray
    own: np.ndarray
    joint: np.ndarray
    texts: np.ndarray | None = None
    copies: Sequence[np.ndarray] = ()

    @property
    def versions(self) -> int:
        """Return how many there are of each clip, itself among them."""
        return 1 + len(self.copies)


@dataclass(frozen=True, eq=False)
class RidgeHead:
    """`matrix` `[K + 1, F]` and `bias` `[K + 1]`, words folded in with `text_weight`; the background's row is last."""

    matrix: np.ndarray
    bias: np.ndarray
    text_weight: float = 0.0

    def scores(self, logged: np.ndarray) -> np.ndarray:
        """Return `[B, K + 1]` of features `[B, F]`, see `FeatureScale.logged`."""
        return logged @ self.matrix.T + self.bias


@dataclass(frozen=True, eq=False)
class HeadFit:
    """A head and what it would have said without the clips in question.

    Attributes:
        folds: `[n]`, -1 where nothing of the label would remain; those rows of `held_out` mean nothing.
        held_out: `[n, K + 1]`, without a clip of every label: unbiased where clips are drawn at random.
        held_apart: `[n, K + 1]`, also without the clip's other takes: for thresholds.
        bank: `[num_clips, K + 1]`, each background clip's scores without it.
        sharpness: of the softmax over the labels' scores.
        penalty: ridge's.
        text_trials: of each weight of the words that competed, the held-out loss and accuracy.
    """

    head: RidgeHead
    folds: np.ndarray
    held_out: np.ndarray
    held_apart: np.ndarray
    bank: np.ndarray
    sharpness: float
    penalty: float
    text_trials: Mapping[float, tuple[float, float]] = field(default_factory=dict)

    @property
    def held_out_logits(self) -> np.ndarray:
        """`[n, K]`, NaN where nothing was held out."""
        return np.where(self.folds[:, None] < 0, np.nan, self.sharpness * self.held_out[:, :-1])


def fit_ridge_head(teaching: Teaching, bank: Bank, *, text_weights: Sequence[float] = TEXT_WEIGHTS) -> HeadFit:
    """Fit the head in closed form; see the module's equations."""
    classes, versions = teaching.classes, teaching.versions
    whitened = bank.scale.whitened(np.concatenate([teaching.scaled, *teaching.copies]))
    shots = len(classes) / (classes.max() + 1)
    share = min(0.5, shots / (shots + GAUSSIAN_CLIPS))
    single = np.arange(len(classes))
    folds = make_folds(classes, single, teaching.order)
    apart = make_folds(classes, find_takes(whitened[: len(classes)], classes), teaching.order)
    fits = ridge, gaussian = _fit(teaching, bank, whitened, folds)
    rest = _rest(teaching, bank)
    num_clips = len(classes)

    def mix(ridge_scores: np.ndarray, gaussian_scores: np.ndarray) -> np.ndarray:
        return (1 - share) * ridge_scores + share * gaussian_scores

    def without(folds: np.ndarray, by_ridge: np.ndarray) -> np.ndarray:
        return mix(by_ridge[:num_clips], gaussian.held_out(np.tile(folds, versions))[:num_clips])

    by_ridge = ridge.held_out(_alone(folds, versions, rest))
    held_out = without(folds, by_ridge)
    if np.array_equal(apart, folds):
        held_apart = held_out.copy()
    else:
        held_apart = without(apart, ridge.held_out(_alone(apart, versions, rest)))
    bank_scores = mix(by_ridge[-bank.num_clips :], gaussian.scores(bank.whitened[bank.judged]))
    head = _fold(fits, bank.scale, share)
    known, trials = folds >= 0, {}
    if teaching.texts is not None and len(teaching.texts) > 1:
        middle = bank.joint.mean(0)
        words, bank_words = ((joint - middle) @ teaching.texts.T for joint in (teaching.joint, bank.joint[bank.judged]))
        trials = _try_text_weights(held_out[known, :-1], words[known], classes[known], text_weights)
        weight = _choose_text_weight(trials, text_weights, int(known.sum()), shots)
        for scores, cosines in ((held_out, words), (held_apart, words), (bank_scores, bank_words)):
            scores[:, :-1] += weight * cosines
        head = _with_words(head, teaching.texts, middle, weight)
    sharpness = fit_sharpness(held_out[known, :-1], classes[known], shots=shots)
    return HeadFit(head, folds, held_out, held_apart, bank_scores, sharpness, ridge.penalty, trials)


def _fit(teaching: Teaching, bank: Bank, whitened: np.ndarray, folds: np.ndarray) -> tuple[RidgeFit, GaussianFit]:
    classes, own, scaled = teaching.classes, teaching.own, bank.scaled
    num_clips, num_classes, versions = len(classes), classes.max() + 1, teaching.versions
    classes = np.tile(classes, versions)
    targets = np.zeros((len(classes) + len(own) + len(scaled), num_classes + 1))
    targets[np.arange(len(classes)), classes] = 1
    targets[len(classes) :, -1] = 1
    background_weight = max(LOWEST_BACKGROUND_WEIGHT, num_clips / (num_classes * len(scaled)))
    each = [1 / versions, OWN_BACKGROUND_WEIGHT, background_weight]
    weights = np.repeat(each, [len(classes), len(own), len(scaled)])
    rows = np.concatenate([teaching.scaled, *teaching.copies, own, scaled])
    ridge = fit_ridge(rows, targets, weights, groups=_alone(folds, versions, _rest(teaching, bank)))
    mean = bank.whitened.mean(0)
    if len(own):
        mean = (1 - OWN_BACKGROUND_SHARE) * mean + OWN_BACKGROUND_SHARE * bank.scale.whitened(own).mean(0)
    return ridge, fit_gaussian(whitened, classes, mean)


def _rest(teaching: Teaching, bank: Bank) -> np.ndarray:
    """Return `[o + m]`, numbers of the background's clips, the tenant's own first; rows of one clip go together."""
    return np.concatenate([np.arange(len(teaching.own)), len(teaching.own) + bank.clips])


def _alone(folds: np.ndarray, versions: int, rest: np.ndarray) -> np.ndarray:
    """Return groups in which clips of no fold, each with its copies, and those of the background stand alone."""
    first = folds.max() + 1
    groups = np.where(folds < 0, first + np.arange(len(folds)), folds)
    return np.concatenate([np.tile(groups, versions), first + len(folds) + rest])


def _fold(fits: tuple[RidgeFit, GaussianFit], scale: FeatureScale, share: float) -> RidgeHead:
    """Fold scaling, whitening and both fits into one map of logged statistics."""
    ridge, gaussian = fits
    matrix = ((1 - share) * ridge.matrix + share * scale.whitened(gaussian.matrix)) * scale.gain
    bias = (1 - share) * ridge.bias + share * gaussian.bias - matrix @ scale.mean
    return RidgeHead(matrix, bias)


def _with_words(head: RidgeHead, texts: np.ndarray, middle: np.ndarray, weight: float) -> RidgeHead:
    """Add `weight` (a - middle) . t_c to each label's score: the joint embedding is the last block of the features."""
    matrix, bias = head.matrix.copy(), head.bias.copy()
    matrix[:-1, -texts.shape[1] :] += weight * texts
    bias[:-1] -= weight * texts @ middle
    return RidgeHead(matrix, bias, weight)


def _try_text_weights(
    held_out: np.ndarray, words: np.ndarray, classes: np.ndarray, candidates: Sequence[float]
) -> dict[float, tuple[float, float]]:
    """Return the loss and the accuracy of held-out clips `[h, K]` with each weight; none where h is 0."""
    trials = {}
    for weight in sorted(candidates) if len(classes) else ():
        scores = held_out + weight * words
        trials[weight] = smoothed_loss(scores, classes), float((scores.argmax(1) == classes).mean())
    return trials


def _choose_text_weight(
    trials: Mapping[float, tuple[float, float]], candidates: Sequence[float], num_held_out: int, shots: float
) -> float:
    """Return the weight of most likely held-out answers, with few clips the one expected at so many."""
    expected = TEXT_PRIOR / (shots + 1)
    if not trials:
        return expected if len(candidates) > 1 else candidates[0]

    def cost(weight: float) -> float:
        prior = TEXT_PRIOR_STRENGTH * np.log((weight + 0.05) / (expected + 0.05)) ** 2
        return num_held_out * trials[weight][0] + prior

    return min(trials, key=cost)
