"""What a report says of scores, against scikit-learn and by hand."""

import numpy as np
import pytest
from sklearn.metrics import f1_score, precision_recall_fscore_support, roc_auc_score

from aspl.measure import NOTHING_HELD_OUT, ONE_LABEL, Scores, at_thresholds, measure

LABELS = ("rain", "dog", "wind")


@pytest.fixture
def drawn():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 60)
    scores = rng.normal(size=(60, 3)) + 1.5 * np.eye(3)[truth]
    known, background = rng.uniform(0.3, 1, 60), rng.uniform(0, 0.8, 200)
    return truth, Scores(scores, known), Scores(rng.normal(size=(200, 3)), background)


def test_it_agrees_with_scikit_learn(drawn):
    truth, clips, background = drawn
    report = measure(LABELS, truth, clips, background=background)
    precision, recall, f1, support = precision_recall_fscore_support(truth, clips.answers)
    for index, label in enumerate(LABELS):
        row = report.per_label[label]
        assert (row.precision, row.recall, row.f1) == pytest.approx(
            (precision[index], recall[index], f1[index]), abs=1e-4
        )
        assert row.num_clips == support[index]
    assert report.macro_f1 == pytest.approx(f1_score(truth, clips.answers, average="macro"), abs=1e-4)
    assert report.accuracy == pytest.approx((truth == clips.answers).mean(), abs=1e-4)
    values = np.concatenate([clips.known, background.known])
    assert report.background.auroc == pytest.approx(roc_auc_score(np.repeat([1, 0], [60, 200]), values), abs=1e-4)


def test_thresholds_count_by_the_winning_label(drawn):
    truth, clips, background = drawn
    bars = (0.4, 0.6, 0.9)
    report = measure(LABELS, truth, clips, background=background, thresholds=bars, background_hours=0.5)
    alarms = [(background.answers == k) & (background.known >= bar) for k, bar in enumerate(bars)]
    assert report.background.false_acceptance == pytest.approx(np.sum(alarms) / 200, abs=1e-4)
    assert report.background.false_alarms_per_hour == pytest.approx(np.sum(alarms) * 2)
    for index, label in enumerate(LABELS):
        row = report.per_label[label]
        mine = truth == index
        missed = mine & ((clips.answers != index) | (clips.known < bars[index]))
        assert row.misses_per_hundred == pytest.approx(100 * missed.sum() / mine.sum(), abs=0.01)
        assert row.false_alarms_per_hour == pytest.approx(alarms[index].sum() * 2)
        assert row.threshold == bars[index]


def test_the_curve_tells_of_every_threshold(drawn):
    truth, clips, background = drawn
    report = measure(LABELS, truth, clips, background=background)
    assert 20 <= len(report.threshold_curve) <= 50
    for point in report.threshold_curve:
        assert point.rejected == pytest.approx((clips.known < point.threshold).mean(), abs=1e-4)
        assert point.accepted == pytest.approx((background.known >= point.threshold).mean(), abs=1e-4)


def test_many_labels_keep_their_worst_pairs_alone():
    labels = [f"label {k}" for k in range(51)]
    truth = np.arange(51).repeat(4)
    answers = truth.copy()
    answers[:3], answers[4:6] = 7, 9
    report = measure(labels, truth, Scores(np.eye(51)[answers]))
    assert report.confusion is None
    assert [(pair.label, pair.answer, pair.num_clips) for pair in report.most_confused] == [
        ("label 0", "label 7", 3),
        ("label 1", "label 9", 2),
    ]


def test_what_says_nothing_is_left_out(drawn):
    _, _, background = drawn
    nothing = measure(LABELS, np.zeros(0, int), Scores(np.zeros((0, 3)), np.zeros(0)), background=background)
    assert (nothing.accuracy, nothing.reason, nothing.background.auroc) == (None, NOTHING_HELD_OUT, None)
    one = measure(("dog",), np.zeros(4, int), Scores(np.ones((4, 1)), np.ones(4)))
    assert (one.accuracy, one.reason, one.per_label["dog"].num_clips) == (None, ONE_LABEL, 4)


def test_labels_without_clips_are_no_part_of_the_mean():
    report = measure(["a", "b"], np.array([0, 0]), Scores(np.array([[1.0, 0.0], [1.0, 0.0]])))
    assert report.macro_f1 == 1.0 and report.per_label["b"].num_clips == 0


def test_misses_are_told_without_a_background(drawn):
    truth, clips, background = drawn
    bars = (0.4, 0.6, 0.9)
    alone, beside = (measure(LABELS, truth, clips, background=other, thresholds=bars) for other in (None, background))
    for label in LABELS:
        assert alone.per_label[label].misses_per_hundred == beside.per_label[label].misses_per_hundred > 0
    assert alone.background is None


def test_a_report_of_other_thresholds_tells_what_the_curve_does(drawn):
    truth, clips, background = drawn
    before = measure(LABELS, truth, clips, background=background, thresholds=(0.4, 0.6, 0.9))
    for bar in (0.5, 0.31):
        moved = at_thresholds(before, dict.fromkeys(LABELS, bar))
        true = measure(LABELS, truth, clips, background=background, thresholds=(bar,) * 3)
        for name in ("rejected", "false_acceptance"):
            assert getattr(moved.background, name) == pytest.approx(getattr(true.background, name), abs=0.04)
        assert moved.background.threshold == bar and {row.threshold for row in moved.per_label.values()} == {bar}
        assert all(row.misses_per_hundred is None for row in moved.per_label.values())
        assert moved.accuracy == before.accuracy and moved.threshold_curve == before.threshold_curve
    some = at_thresholds(before, dict(zip(LABELS, (0.4, 0.7, 0.9), strict=True)))
    assert (some.background.rejected, some.background.false_acceptance) == (None, None)
    assert some.per_label[LABELS[0]] == before.per_label[LABELS[0]] != some.per_label[LABELS[1]]
    fewer = at_thresholds(before, {LABELS[0]: 0.4})  # of an imported report that names labels which its adapter has not
    assert [row.threshold for row in fewer.per_label.values()] == [0.4, None, None]
    beyond = at_thresholds(before, dict.fromkeys(LABELS, 0.9999))
    assert beyond.background.false_acceptance is None
