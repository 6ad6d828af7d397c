import numpy as np
import pytest

from aspl.heads.ridge import MANY_ROWS, PENALTIES, fit_ridge
from tests.aspl.heads.test_ridge import held_out_error, problem


@pytest.mark.parametrize("num_features", [300, 3000], ids=["primal", "dual"])
@pytest.mark.parametrize("noise", [0.1, 3.0])
def test_some_of_many_rows_choose_a_penalty_about_as_good_as_the_best(num_features, noise):
    features, targets, weights = problem(MANY_ROWS + 100, num_features)
    features = noise * features / np.sqrt(num_features)
    errors = {penalty: held_out_error(features, targets, weights, penalty) for penalty in PENALTIES}
    assert max(errors.values()) > 1.1 * min(errors.values())  # or there would be nothing to choose
    assert errors[fit_ridge(features, targets, weights).penalty] < 1.02 * min(errors.values())
