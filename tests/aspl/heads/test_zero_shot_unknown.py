import numpy as np
import pytest

from aspl.heads.zero_shot_unknown import ACCEPTED, CosineBackground


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
    others = unit(middle + 0.25 * rng.standard_normal((40, 16)))
    return CosineBackground.of_bank(bank, texts), texts, known, others


def test_what_stands_out_of_the_bank_is_known(world):
    background, texts, known, others = world
    assert (background.raw_known(known @ texts.T) >= background.threshold()).mean() > 0.95
    assert (background.raw_known(others @ texts.T) >= background.threshold()).mean() < 0.35


def test_the_score_is_of_the_winning_label_and_free_of_a_texts_own_level(world):
    background, texts, known, _ = world
    cosines = known @ texts.T
    winner = cosines.argmax(1)
    expected = ((cosines - background.mean) / background.deviation)[np.arange(len(cosines)), winner]
    assert np.allclose(background.raw_known(cosines), expected)
    permuted = CosineBackground(background.mean[::-1], background.deviation[::-1], background.raw)
    assert np.allclose(permuted.raw_known(cosines[:, ::-1]), expected)


@pytest.mark.parametrize("sensitivity", ACCEPTED)
def test_a_threshold_accepts_its_share_of_the_bank(world, sensitivity):
    background = world[0]
    assert (background.raw >= background.threshold(sensitivity)).mean() == pytest.approx(
        ACCEPTED[sensitivity], abs=0.01
    )


def test_the_balanced_threshold_is_one_half_of_the_scale(world):
    background = world[0]
    assert background.scale()(np.array([background.threshold()])) == pytest.approx(0.5)
    assert background.scale()(background.raw).max() < 1


def test_one_text_is_enough():
    background = CosineBackground.of_bank(np.eye(4), np.eye(4)[:1])
    assert background.raw_known(np.array([[1.0], [0.0]])).argmax() == 0
    still = CosineBackground.of_bank(np.tile(np.eye(4)[:1], (5, 1)), np.eye(4)[:1])
    assert np.isfinite(still.raw_known(np.array([[0.5]]))).all()
