from dataclasses import replace

import numpy as np
import pytest

from aspl.heads import ridge_head
from aspl.heads.ridge_head import Bank, Teaching, fit_ridge_head
from aspl.heads.takes import find_takes, make_folds
from aspl.heads.unknown import fit_known_scale, raw_known, raw_threshold
from aspl.known import SENSITIVITIES
from aspl.stage_layout import StageLayout

LAYOUT = StageLayout((4, 8))
NUM_STATISTICS = LAYOUT.width
JOINT_WIDTH = 6


def statistics(generator, rows, centre=0.0):
    return np.abs(1 + centre + 0.3 * generator.normal(size=(rows, NUM_STATISTICS)))


@pytest.fixture
def bank():
    generator = np.random.default_rng(0)
    families = np.repeat(np.arange(20), 3)
    stages = statistics(generator, 60, 0.5 * generator.normal(size=(20, NUM_STATISTICS))[families])
    return Bank.of_features(stages, generator.normal(size=(60, JOINT_WIDTH)), families, LAYOUT)


@pytest.fixture
def clips():
    generator = np.random.default_rng(1)
    classes = np.repeat(np.arange(3), [6, 4, 8])
    centres = 0.6 * generator.normal(size=(3, NUM_STATISTICS))
    return statistics(generator, len(classes), centres[classes]), classes


def joint_of(stages):
    return np.tanh(stages[:, :JOINT_WIDTH] - 1)


def teach(bank, stages, classes, *, own=None, texts=None, order=None):
    own = np.empty((0, NUM_STATISTICS)) if own is None else own
    return Teaching(
        scaled=bank.scale.scaled(stages, joint_of(stages)),
        classes=classes,
        order=np.arange(len(classes)) if order is None else order,
        own=bank.scale.scaled(own, joint_of(own)),
        joint=joint_of(stages),
        texts=texts,
    )


def logged(bank, stages):
    return bank.scale.logged(stages, joint_of(stages))


def test_a_bank_that_is_heard_twice_over_is_held_out_clip_by_clip(clips):
    """The same again is nothing new: two rows of a clip weigh as one, and neither tells what the other would score."""
    generator, (stages, classes) = np.random.default_rng(2), clips
    heard, joint = statistics(generator, 20), generator.normal(size=(20, JOINT_WIDTH))
    once = Bank.of_features(heard, joint, np.arange(20) // 2, LAYOUT)
    twice = once.and_heard(heard, joint)
    first, again = (fit_ridge_head(teach(bank, stages, classes), bank) for bank in (once, twice))
    np.testing.assert_allclose(again.bank, first.bank, atol=1e-9)
    np.testing.assert_allclose(again.held_out, first.held_out, atol=1e-9)
    np.testing.assert_allclose(again.head.matrix, first.head.matrix, atol=1e-9)


def test_a_bank_is_judged_by_how_it_was_heard_last(bank, clips):
    stages, classes = clips
    likened = bank.and_heard(np.tile(stages, (4, 1))[:60], np.tile(joint_of(stages), (4, 1))[:60])
    fit = fit_ridge_head(teach(bank, stages, classes), likened)
    plain = fit_ridge_head(teach(bank, stages, classes), bank)
    assert fit.bank.shape == plain.bank.shape == (60, 4)
    assert raw_known(fit.bank).mean() > raw_known(plain.bank).mean() + 0.3


def test_what_was_taught_is_known_and_the_background_is_not(bank, clips):
    stages, classes = clips
    fit = fit_ridge_head(teach(bank, stages, classes), bank)
    scores = fit.head.scores(logged(bank, stages))
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


def test_in_ridge_a_clip_counts_once_with_its_copies(bank, clips, monkeypatch):
    monkeypatch.setattr(ridge_head, "GAUSSIAN_CLIPS", np.inf)  # ridge alone
    teaching = teach(bank, *clips)
    plain, doubled = (fit_ridge_head(replace(teaching, copies=[teaching.scaled] * n), bank) for n in (0, 2))
    assert np.allclose(plain.head.matrix, doubled.head.matrix, atol=1e-8)
    assert np.allclose(plain.held_out, doubled.held_out, atol=1e-8)


def test_a_clip_is_held_out_with_its_copies(bank, clips):
    teaching = teach(bank, *clips)
    noise = 0.2 * np.random.default_rng(5).normal(size=teaching.scaled.shape)
    copies = [teaching.scaled + noise, teaching.scaled - noise]
    fit = fit_ridge_head(replace(teaching, copies=copies), bank)
    out = (fit.folds == 0)[:, None]
    moved = fit_ridge_head(replace(teaching, copies=[np.where(out, copy + 0.2, copy) for copy in copies]), bank)
    assert moved.penalty == fit.penalty and not np.allclose(moved.head.matrix, fit.head.matrix, atol=1e-3)
    assert np.allclose(moved.held_out[out[:, 0]], fit.held_out[out[:, 0]], atol=1e-9)


@pytest.mark.parametrize("counts", [[1], [1, 1], [1, 5], [2, 1, 1], [40]])
def test_any_number_of_clips_gives_a_head_and_a_threshold(bank, counts):
    generator = np.random.default_rng(3)
    classes = np.repeat(np.arange(len(counts)), counts)
    stages = statistics(generator, len(classes), generator.normal(size=(len(counts), NUM_STATISTICS))[classes])
    fit = fit_ridge_head(teach(bank, stages, classes), bank)
    taught, background = raw_known(fit.held_apart)[fit.folds >= 0], raw_known(fit.bank)
    assert all(np.isfinite(raw_threshold(taught, background, each)) for each in SENSITIVITIES)
    scores = fit_known_scale(taught, background)(raw_known(fit.head.scores(logged(bank, stages))))
    assert ((scores >= 0) & (scores <= 1)).all()


def test_the_tenants_own_background_counts_more_than_the_banks(bank, clips):
    stages, classes = clips
    stray = stages[classes == 0].mean(0, keepdims=True) + 0.4
    without, told = (fit_ridge_head(teach(bank, stages, classes, own=own), bank).head for own in (None, stray))
    heard = logged(bank, stray)
    assert raw_known(told.scores(heard)) < raw_known(without.scores(heard)) - 0.1


def test_words_weigh_more_where_they_are_right(bank):
    stages, classes = statistics(np.random.default_rng(7), 30), np.arange(30) % 3
    texts = np.eye(3, JOINT_WIDTH)
    teaching = replace(teach(bank, stages, classes, texts=texts), joint=bank.joint.mean(0) + texts[classes])
    right, wrong = (fit_ridge_head(replace(teaching, texts=sign * texts), bank).head for sign in (1, -1))
    assert right.text_weight > 0.1 > wrong.text_weight


def test_words_are_folded_into_the_matrix(bank, clips):
    stages, classes = clips
    texts = np.random.default_rng(6).normal(size=(3, JOINT_WIDTH))
    fits = [
        fit_ridge_head(teach(bank, stages, classes, texts=texts), bank, text_weights=(weight,)) for weight in (0.0, 0.4)
    ]
    added = 0.4 * (joint_of(stages) - bank.joint.mean(0)) @ texts.T
    without, with_words = (fit.head.scores(logged(bank, stages)) for fit in fits)
    assert np.allclose(with_words[:, :-1], without[:, :-1] + added, atol=1e-9)
    assert np.allclose(fits[1].held_out[:, :-1], fits[0].held_out[:, :-1] + added, atol=1e-9)


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
