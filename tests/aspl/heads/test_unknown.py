import numpy as np
import pytest

from aspl.heads.unknown import SENSITIVITIES, fit_known_scale, label_thresholds, raw_known, raw_threshold


def test_raw_known_is_the_best_labels_lead_over_the_background():
    assert raw_known(np.array([[0.2, 0.7, 0.1], [0.0, 0.1, 0.9]])) == pytest.approx([0.6, -0.8])


def test_the_scale_rises_from_the_background_to_what_was_taught():
    rng = np.random.default_rng(0)
    taught, background = rng.normal(1, 0.3, 50), rng.normal(-1, 0.3, 200)
    scale = fit_known_scale(taught, background)
    scores = scale(np.sort(np.concatenate([taught, background])))
    assert (np.diff(scores) >= 0).all() and scores.min() >= 0 and scores.max() <= 1
    assert scale(np.array([-1.0]))[0] < 0.05 and scale(np.array([1.0]))[0] > 0.95
    assert 0 < scale.middle < taught.mean()  # what was not taught comes nearer than the bank does


def test_the_scale_without_a_held_out_clip_follows_the_background():
    background = np.random.default_rng(0).normal(-1, 0.3, 200)
    scale = fit_known_scale(np.empty(0), background)
    assert background.mean() < scale.middle < np.quantile(background, 0.95)
    assert scale(np.array([1.0]))[0] > 0.95
    assert np.isfinite(scale(np.array([0.0]))).all()


def test_sensitivities_hold_on_the_clips_that_set_them():
    rng = np.random.default_rng(0)
    taught, background = rng.normal(1, 0.5, 100), rng.normal(-1, 0.5, 300)
    thresholds = {name: raw_threshold(taught, background, name) for name in SENSITIVITIES}
    assert (taught < thresholds["high"]).mean() <= 0.02
    assert (taught < thresholds["normal"]).mean() <= 0.05
    assert (background >= thresholds["low"]).mean() <= 0.01
    assert (raw_threshold(np.empty(0), background) <= background).mean() <= 0.05


def test_label_thresholds_move_with_the_label_but_not_far():
    rng = np.random.default_rng(0)
    taught = np.concatenate([rng.normal(1.0, 0.1, 40), rng.normal(0.4, 0.1, 40)])
    thresholds = label_thresholds(taught, np.repeat([0, 1], 40), 2, 0.0)
    assert 0 < thresholds[0] < 0.3 and -0.3 < thresholds[1] < 0
    assert thresholds.sum() == pytest.approx(0)


@pytest.mark.parametrize("counts", [(1, 1), (0, 1), (0, 0)])
def test_labels_of_a_clip_or_none_keep_the_common_threshold(counts):
    classes = np.repeat([0, 1], counts)
    assert label_thresholds(np.arange(len(classes)) * 1.0, classes, 2, 0.7).tolist() == [0.7, 0.7]


def test_few_clips_move_a_label_less_than_many():
    few, many = (label_thresholds(np.repeat([1.0, 0.0], n), np.repeat([0, 1], n), 2, 0.0)[0] for n in (3, 30))
    assert 0 < few < many < 0.25
