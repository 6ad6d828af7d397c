import numpy as np
import pytest

from aspl.heads.words_unknown import ACCEPTED, words_rule


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture
def world():
    """A bank about a common direction, two texts of which the second lies near to everything, and sounds of each."""
    rng = np.random.default_rng(0)
    middle = np.eye(16)[0]
    texts = unit(np.eye(16)[[1, 2]] + np.array([[0.0], [0.5]]) * middle)
    bank = unit(middle + 0.25 * rng.standard_normal((200, 16)))
    known = unit(middle + texts.repeat(20, 0) + 0.1 * rng.standard_normal((40, 16)))
    return texts, bank, known


def test_what_stands_out_of_the_bank_is_known(world):
    texts, bank, known = world
    rule = words_rule(bank, texts)
    assert (rule.scores(known @ texts.T, None) >= rule.thresholds[0]).mean() > 0.95


@pytest.mark.parametrize("sensitivity", ACCEPTED)
def test_a_threshold_accepts_its_share_of_the_bank(world, sensitivity):
    texts, bank, _ = world
    rule = words_rule(bank, texts)
    accepted = (rule.scores(bank @ texts.T, None) >= rule.sensitivities[sensitivity][0]).mean()
    assert accepted == pytest.approx(ACCEPTED[sensitivity], abs=0.011)


def test_a_texts_own_level_does_not_count_and_labels_may_come_in_any_order(world):
    texts, bank, known = world
    there, back = words_rule(bank, texts), words_rule(bank, texts[::-1])
    assert np.allclose(there.scores(known @ texts.T, None), back.scores(known @ texts[::-1].T, None))


def test_one_text_is_enough_and_a_bank_of_one_sound_no_trouble():
    rule = words_rule(np.tile(np.eye(4)[:1], (5, 1)), np.eye(4)[:1])
    assert np.isfinite(rule.scores(np.array([[0.5], [-0.5]]), None)).all()
