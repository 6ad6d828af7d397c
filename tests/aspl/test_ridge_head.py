import numpy as np
import pytest

from aspl.feature_scale import FeatureScale
from aspl.ridge_head import Bank, Teaching, fit_ridge_head
from aspl.takes import find_takes, make_folds
from aspl.unknown import SENSITIVITIES, fit_known_scale, raw_known, raw_threshold

WIDTHS = (4, 8)
NUM_STATISTICS = 2 * sum(WIDTHS)
JOINT_WIDTH = 6


def statistics(generator, rows, centre=0.0):
    return np.abs(1 + centre + 0.3 * generator.normal(size=(rows, NUM_STATISTICS)))


@pytest.fixture
def bank():
    generator = np.random.default_rng(0)
    families = np.repeat(np.arange(20), 3)
    stages = statistics(generator, 60, 0.5 * generator.normal(size=(20, NUM_STATISTICS))[families])
    scale = FeatureScale.of_background(stages, families, WIDTHS)
    return Bank(scale, scale.scaled(stages), generator.normal(size=(60, JOINT_WIDTH)))


@pytest.fixture
def clips():
    generator = np.random.default_rng(1)
    classes = np.repeat(np.arange(3), [6, 4, 8])
    centres = 0.6 * generator.normal(size=(3, NUM_STATISTICS))
    return statistics(generator, len(classes), centres[classes]), classes


def teach(bank, stages, classes, *, own=None, cosines=None, order=None):
    return Teaching(
        scaled=bank.scale.scaled(stages),
        classes=classes,
        order=np.arange(len(classes)) if order is None else order,
        own=np.empty((0, NUM_STATISTICS)) if own is None else bank.scale.scaled(own),
        cosines=cosines,
        bank_cosines=None if cosines is None else np.zeros((len(bank.scaled), cosines.shape[1])),
    )


def test_what_was_taught_is_known_and_the_background_is_not(bank, clips):
    stages, classes = clips
    fit = fit_ridge_head(teach(bank, stages, classes), bank)
    scores = fit.head.scores(bank.scale.logged(stages))
    assert (scores[:, :-1].argmax(1) == classes).all()
    assert raw_known(scores).min() > np.quantile(raw_known(fit.bank), 0.9)


def test_permuting_the_labels_permutes_the_head(bank, clips):
    stages, classes = clips
    order = np.array([2, 0, 1])
    fit, permuted = (fit_ridge_head(teach(bank, stages, each), bank).head for each in (classes, order[classes]))
    assert np.allclose(permuted.matrix[[*order, 3]], fit.matrix, atol=1e-9)


def test_the_order_of_the_clips_does_not_matter(bank, clips):
    stages, classes = clips
    shuffle = np.random.default_rng(2).permutation(len(classes))
    fit = fit_ridge_head(teach(bank, stages, classes), bank)
    other = fit_ridge_head(teach(bank, stages[shuffle], classes[shuffle], order=shuffle), bank)
    assert np.allclose(fit.head.matrix, other.head.matrix, atol=1e-9)
    assert np.allclose(fit.held_out[shuffle], other.held_out, atol=1e-9)
    assert (fit.folds[shuffle] == other.folds).all()


def test_held_out_scores_are_those_of_a_fit_without_the_fold(bank, clips):
    stages, classes = clips
    fit = fit_ridge_head(teach(bank, stages, classes), bank)
    stages = stages.copy()
    fold = fit.folds == 0
    stages[fold] += 3.0
    moved = fit_ridge_head(teach(bank, stages, classes), bank)
    assert not np.allclose(fit.head.matrix, moved.head.matrix)
    assert np.isfinite(fit.held_out).all() and np.isfinite(fit.held_apart).all()


@pytest.mark.parametrize("counts", [[1], [1, 1], [1, 5], [2, 1, 1], [40]])
def test_any_number_of_clips_gives_a_head_and_a_threshold(bank, counts):
    generator = np.random.default_rng(3)
    classes = np.repeat(np.arange(len(counts)), counts)
    stages = statistics(generator, len(classes), generator.normal(size=(len(counts), NUM_STATISTICS))[classes])
    fit = fit_ridge_head(teach(bank, stages, classes), bank)
    taught, background = raw_known(fit.held_apart)[fit.folds >= 0], raw_known(fit.bank)
    assert all(np.isfinite(raw_threshold(taught, background, each)) for each in SENSITIVITIES)
    scores = fit_known_scale(taught, background)(raw_known(fit.head.scores(bank.scale.logged(stages))))
    assert ((scores >= 0) & (scores <= 1)).all()


def test_the_tenants_own_background_counts_more_than_the_banks(bank, clips):
    stages, classes = clips
    stray = stages[classes == 0].mean(0, keepdims=True) + 0.4
    without, told = (fit_ridge_head(teach(bank, stages, classes, own=own), bank).head for own in (None, stray))
    logged = bank.scale.logged(stray)
    assert raw_known(told.scores(logged)) < raw_known(without.scores(logged)) - 0.1


def test_words_weigh_more_where_they_are_right(bank, clips):
    stages, classes = clips
    right = np.eye(3)[classes]
    weights = [
        fit_ridge_head(teach(bank, stages, classes, cosines=each), bank).head.text_weight for each in (right, -right)
    ]
    assert weights[0] > weights[1]


def test_takes_of_one_thing_are_held_out_together():
    generator = np.random.default_rng(4)
    classes = np.repeat([0, 1], 6)
    features = generator.normal(size=(12, 20))
    features[1] = features[0] + 0.01
    takes = find_takes(features, classes)
    folds = make_folds(classes, takes, np.arange(12))
    assert takes[0] == takes[1] and len(np.unique(takes)) == 11
    assert folds[0] == folds[1]


def test_every_fold_has_its_share_of_every_label_and_leaves_some_of_it():
    classes = np.repeat([0, 1, 2], [8, 8, 1])
    folds = make_folds(classes, np.arange(17), np.arange(17))
    assert folds[-1] == -1
    for fold in range(8):
        assert np.bincount(classes[folds == fold], minlength=3).tolist() == [1, 1, 0]


def test_sensitivities_keep_their_promises():
    generator = np.random.default_rng(5)
    taught, background = generator.normal(1, 0.5, 200), generator.normal(-1, 0.5, 300)
    at = {name: raw_threshold(taught, background, name) for name in SENSITIVITIES}
    assert (taught < at["high"]).mean() <= 0.02
    assert (taught < at["normal"]).mean() <= 0.05
    assert (background >= at["low"]).mean() <= 0.01
    assert at["high"] <= at["normal"]
