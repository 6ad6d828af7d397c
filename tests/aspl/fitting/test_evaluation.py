import numpy as np
import pytest

from aspl.fitting import evaluation


@pytest.fixture
def held_out():
    generator = np.random.default_rng(0)
    truth = generator.integers(0, 3, 60)
    logits = generator.standard_normal((60, 3)).astype(np.float32)
    logits[np.arange(60), truth] += 1.5
    return truth, logits


def test_temperature_undoes_a_scale(held_out):
    truth, logits = held_out
    plain, sharp = evaluation.fit_temperature(truth, logits), evaluation.fit_temperature(truth, logits * 8)
    assert sharp == pytest.approx(plain * 8, rel=0.05)


def test_a_few_faultless_clips_do_not_ask_for_certainty():
    truth = np.array([0, 1, 2, 0])
    logits = np.eye(3)[truth] * 10
    calibrated = evaluation.softmax(logits / evaluation.fit_temperature(truth, logits))
    assert calibrated.max() < 0.95


def test_threshold_rejects_the_rate_it_was_set_for():
    top = np.linspace(0.4, 0.99, 200)
    probabilities = np.stack([top, 1 - top], 1)
    found = evaluation.fit_threshold(probabilities)
    assert found["rejection_rate"] == pytest.approx(0.05, abs=0.01)
    assert (probabilities.max(1) < found["threshold"]).mean() == pytest.approx(found["rejection_rate"], abs=1e-4)


def test_too_few_clips_for_a_threshold_is_said():
    assert evaluation.fit_threshold(np.full((19, 2), 0.5)) == {
        "threshold": None,
        "reason": "19 clips could be validated; a threshold needs 20",
    }


def test_twenty_clips_are_enough_for_a_threshold():
    assert evaluation.fit_threshold(np.full((20, 2), 0.5))["threshold"] == 0.5


@pytest.mark.parametrize(
    ("counts", "num_folds"), [([4, 4, 4], 3), ([2, 9], 2), ([1, 5, 5], 3), ([1, 1], 0), ([16] * 10, 3)]
)
def test_folds_hold_out_each_clip_once_and_leave_every_class_something(counts, num_folds):
    classes = np.repeat(np.arange(len(counts)), counts)
    folds = evaluation.stratified_folds(classes, max_folds=3, seed=0)
    assert len(folds) == num_folds
    held = np.concatenate(folds) if folds else np.array([], int)
    assert sorted(held) == [clip for clip in range(len(classes)) if counts[classes[clip]] > 1 and folds]
    for fold in folds:
        assert set(classes[np.setdiff1d(np.arange(len(classes)), fold)]) == set(range(len(counts)))


def test_smoothing_spreads_its_share_of_each_target_over_all_classes(held_out):
    truth, logits = held_out
    targets = 0.9 * np.eye(3)[truth] + 0.1 / 3
    expected = -(targets * np.log(evaluation.softmax(logits))).sum(1).mean()
    assert evaluation.negative_log_likelihood(truth, logits, smoothing=0.1) == pytest.approx(expected, rel=1e-5)


def test_folds_are_of_one_size_although_classes_do_not_divide():
    folds = evaluation.stratified_folds(np.repeat(np.arange(6), 4), max_folds=3, seed=0)
    assert [len(fold) for fold in folds] == [8, 8, 8]
