import numpy as np
import pytest
from scipy.stats import binomtest

from aspl.paired import compare


def rights(both, first, second, neither):
    pairs = [(True, True)] * both + [(True, False)] * first + [(False, True)] * second + [(False, False)] * neither
    return tuple(np.array(column, dtype=bool) for column in zip(*pairs, strict=True))


@pytest.mark.parametrize("counts", [(10, 5, 1, 2), (0, 1, 0, 0), (3, 0, 12, 3), (50, 4, 4, 2)])
def test_counts_and_the_exact_test(counts):
    paired = compare(*rights(*counts))
    assert (paired.both_right, paired.only_first, paired.only_second, paired.both_wrong) == counts
    assert paired.num_clips == sum(counts)
    assert paired.p_value == pytest.approx(binomtest(counts[1], counts[1] + counts[2]).pvalue, abs=1e-4)
    low, high = paired.difference_interval
    assert low <= paired.difference <= high


def test_none_differs_and_none_is_there():
    assert compare(*rights(4, 0, 0, 1)).p_value is None
    empty = compare(np.array([], dtype=bool), np.array([], dtype=bool))
    assert (empty.num_clips, empty.difference, empty.p_value) == (0, None, None)
    with pytest.raises(ValueError, match="2 of the second"):
        compare(np.array([True]), np.array([True, False]))


def test_the_interval_holds_what_it_says():
    generator = np.random.default_rng(0)
    shares, difference = (0.7, 0.15, 0.05, 0.1), 0.1
    held = 0
    for _ in range(2000):
        counts = generator.multinomial(40, shares)
        low, high = compare(*rights(*counts)).difference_interval
        held += low <= difference <= high
    assert 0.93 <= held / 2000 <= 0.985
