import numpy as np
import pytest

from pretrain.families import FAMILIES
from pretrain.family import Family
from pretrain.signals import RATE_HZ


def test_there_are_at_least_sixty_with_distinct_keys() -> None:
    keys = [family.key for family in FAMILIES]
    assert len(keys) == len(set(keys)) >= 60


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.key)
def test_a_family_draws_audible_sound_from_its_seed(family: Family) -> None:
    n = 2 * RATE_HZ
    wave, words = family.draw(np.random.default_rng(7), n)
    again, _ = family.draw(np.random.default_rng(7), n)
    other, _ = family.draw(np.random.default_rng(8), n)
    assert wave.shape == (n,)
    assert np.isfinite(wave).all()
    assert np.max(np.abs(wave)) > 0.1
    assert np.array_equal(wave, again)
    assert not np.array_equal(wave, other)
    assert all(isinstance(word, str) for word in words)
