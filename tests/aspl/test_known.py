import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from aspl.known import SENSITIVITIES, KnownRule

RULE = KnownRule(2.0, 0.5, (0.5, 0.7), {name: (0.5, 0.7) for name in SENSITIVITIES})


def facts(**changes):
    return json.loads(json.dumps(asdict(RULE))) | changes


def test_it_survives_json():
    assert KnownRule.from_facts(facts(), 2) == RULE
    words = replace(RULE, mean=(0.1, 0.2), deviation=(0.3, 0.4))
    assert KnownRule.from_facts(json.loads(json.dumps(asdict(words))), 2) == words


@pytest.mark.parametrize(
    "changes",
    [
        {"slope": 0},
        {"slope": -1.0},
        {"slope": float("nan")},
        {"slope": True},
        {"middle": "0.5"},
        {"middle": float("inf")},
        {"thresholds": [0.5]},
        {"thresholds": [0.5, None]},
        {"thresholds": {"a": 1}},
        {"sensitivities": {"high": [0.5, 0.7]}},
        {"sensitivities": []},
        {"mean": [0.0, 0.0]},
        {"mean": [0.0, 0.0], "deviation": [1.0, 0.0]},
        {"more": 1},
    ],
    ids=str,
)
def test_what_cannot_be_a_rule_is_refused(changes):
    with pytest.raises(ValueError):
        KnownRule.from_facts(facts(**changes), 2)


def test_a_head_that_hears_the_background_is_measured_by_its_lead():
    lead = np.array([0.5, -0.2])
    expected = 1 / (1 + np.exp(-2.0 * (lead - 0.5)))
    np.testing.assert_allclose(RULE.scores(np.array([[0.2, 0.9], [0.3, 0.1]]), lead), expected)


def test_a_head_of_words_is_measured_by_what_the_background_scores_under_the_winner():
    words = replace(RULE, mean=(0.1, 0.2), deviation=(0.5, 0.1))
    expected = 1 / (1 + np.exp(-2.0 * (np.array([(0.9 - 0.2) / 0.1, (0.3 - 0.1) / 0.5]) - 0.5)))
    np.testing.assert_allclose(words.scores(np.array([[0.2, 0.9], [0.3, 0.1]]), None), expected)


def test_no_raw_score_overflows():
    assert RULE.on_scale(np.array([-1e300, 1e300])).tolist() == pytest.approx([0, 1])


def rule_of(levels, thresholds):
    """A rule whose sensitivities stand for these levels, of every label the same."""
    rows = {name: (level,) * len(thresholds) for name, level in zip(SENSITIVITIES, levels, strict=True)}
    return KnownRule(2.0, 0.5, tuple(thresholds), rows)


def test_thresholds_are_set_as_they_were():
    fresh = rule_of((0.5, 0.4, 0.45, 0.9), (0.5, 0.5, 0.5))
    before = rule_of((0.6, 0.3, 0.35, 0.8), (0.8, 0.123))  # "low", and somebody's number
    kept, by_hand = fresh.set_as(("new", "b", "a"), before, ("a", "b"))
    assert kept.thresholds == (0.5, 0.123, 0.9) and by_hand == ["b"]
    assert replace(kept, thresholds=fresh.thresholds) == fresh


@pytest.mark.parametrize(("tied", "expected"), [((0.6, 0.3, 0.3, 0.8), 0.45), ((0.3, 0.3, 0.3, 0.8), 0.5)])
def test_of_sensitivities_that_come_to_the_same_the_default_counts_or_the_more_cautious(tied, expected):
    fresh, before = rule_of((0.5, 0.4, 0.45, 0.9), (0.5,)), rule_of(tied, (0.3,))
    assert fresh.set_as(("a",), before, ("a",))[0].thresholds == (expected,)


@pytest.mark.parametrize(("level", "expected"), [(0.6, 0.5), (0.8, 0.9), (0.35, 0.45)])
def test_a_new_label_has_the_sensitivity_that_all_others_have(level, expected):
    fresh, before = rule_of((0.5, 0.4, 0.45, 0.9), (0.5,) * 3), rule_of((0.6, 0.3, 0.35, 0.8), (level,) * 2)
    assert fresh.set_as(("new", "b", "a"), before, ("a", "b")) == (replace(fresh, thresholds=(expected,) * 3), [])
