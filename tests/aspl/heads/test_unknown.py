import numpy as np
import pytest

from aspl.heads.unknown import fit_known_scale, in_order, known_thresholds, raw_known, raw_threshold
from aspl.known import SENSITIVITIES


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


def test_more_of_the_bank_may_pass_the_more_background_is_the_tenants_own():
    rng = np.random.default_rng(0)
    taught, background = rng.normal(1, 0.5, 100), rng.normal(-1, 0.5, 300)
    thresholds = [raw_threshold(taught, background, num_own=number) for number in (0, 1, 5, 10, 40)]
    assert thresholds[0] == raw_threshold(taught, background)
    assert thresholds == sorted(thresholds, reverse=True) and thresholds[0] > thresholds[1] > thresholds[3]
    assert thresholds[3] == thresholds[4]
    assert raw_threshold(taught, background, "low", num_own=10) == raw_threshold(taught, background, "low")


@pytest.mark.parametrize(("gap", "spread"), [(0.1, 1.0), (1.0, 0.3), (2.0, 0.01), (2.0, 1e-5), (0.0, 0.0)])
@pytest.mark.parametrize("num_taught", [0, 2, 8, 100])
def test_thresholds_ascend_tell_apart_and_keep_their_promises(gap, spread, num_taught):
    rng = np.random.default_rng(0)
    taught, background = rng.normal(gap, spread, num_taught), rng.normal(-gap, 0.3, 261)
    raw = in_order({name: raw_threshold(taught, background, name) for name in SENSITIVITIES})
    scale = fit_known_scale(taught, background).telling(raw.values())
    kept = known_thresholds(scale, raw)
    assert 1e-5 < kept["high"] < kept["normal"] < kept["balanced"] < kept["low"] < 1 - 1e-5
    known, others = scale(taught), scale(background)
    assert not num_taught or (known < kept["high"]).mean() <= 0.02
    assert not num_taught or (known < kept["normal"]).mean() <= 0.05
    assert (others >= kept["low"]).mean() <= 0.01
    if num_taught and taught.min() > background.max():
        assert others.max() < kept["balanced"] < known.min() + 1e-6


def test_a_clearly_heard_sound_leaves_a_choice_between_missing_little_and_few_false_alarms():
    taught, background = np.full(8, 1.0), np.linspace(-2, -1, 261)
    raw = in_order({name: raw_threshold(taught, background, name) for name in SENSITIVITIES})
    assert raw["high"] == pytest.approx(-1, abs=0.02) and raw["low"] == 1.0
    assert raw["high"] < raw["normal"] < raw["balanced"] < raw["low"]
