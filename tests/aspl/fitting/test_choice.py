import numpy as np
import pytest

from aspl.fitting.choice import choose

MARGINS = {"text": 0.0, "recentred": 0.0, "joint": 1.0}
TRUTH = np.arange(40) % 2


def logits(right: float, *, wrong_every: int = 0) -> np.ndarray:
    """Return `[40, 2]` that favour the right class by `right`, and every so many clips the wrong one."""
    values = np.zeros((40, 2))
    values[np.arange(40), TRUTH] = right
    if wrong_every:
        values[::wrong_every] = values[::wrong_every, ::-1]
    return values


def test_the_simplest_is_kept_where_none_does_better():
    same = logits(2, wrong_every=5)
    assert choose(TRUTH, {"text": same, "recentred": same, "joint": same}, MARGINS).candidate == "text"


def test_one_that_does_better_is_kept_and_the_losses_are_told():
    choice = choose(TRUTH, {"text": logits(2, wrong_every=4), "joint": logits(2)}, MARGINS)
    assert choice.candidate == "joint"
    assert list(choice.losses) == ["text", "joint"] and choice.losses["joint"] < choice.losses["text"]


@pytest.mark.parametrize(("name", "kept"), [("recentred", "recentred"), ("joint", "text")])
def test_a_gain_within_the_noise_is_enough_for_the_one_that_trains_no_more(name, kept):
    generator = np.random.default_rng(0)
    text = logits(1) + generator.normal(0, 1, (40, 2))
    other = text.copy()
    other[::2], other[1] = other[::2], logits(6)[1]
    assert choose(TRUTH, {"text": text, name: other}, MARGINS).candidate == kept


def test_without_held_out_clips_the_first_is_kept():
    assert choose(TRUTH[:0], {"text": np.zeros((0, 2))}, MARGINS).candidate == "text"
