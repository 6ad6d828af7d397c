import numpy as np
import pytest

from aspl.heads import ridge
from aspl.heads.ridge import PENALTIES, fit_ridge

PENALTY = (0.3,)


@pytest.fixture(params=["few", "many"], autouse=True)
def _rows_are_few_or_many(request, monkeypatch):
    """Either way of doing it comes to the same."""
    if request.param == "many":
        monkeypatch.setattr(ridge, "MANY_ROWS", 10)
        monkeypatch.setattr(ridge, "JUDGED_ROWS", 12)


def problem(num_rows: int, num_features: int, num_classes: int = 4):
    generator = np.random.default_rng(num_rows)
    classes = np.arange(num_rows) % num_classes
    centres = generator.normal(size=(num_classes, num_features))
    features = centres[classes] + generator.normal(size=(num_rows, num_features))
    return features, np.eye(num_classes)[classes], generator.uniform(0.1, 1.0, num_rows)


SHAPES = pytest.mark.parametrize(("num_rows", "num_features"), [(24, 60), (60, 12)], ids=["dual", "primal"])


@SHAPES
def test_scores_solve_the_weighted_normal_equations(num_rows, num_features):
    features, targets, weights = problem(num_rows, num_features)
    fit = fit_ridge(features, targets, weights, penalties=PENALTY)
    design = np.concatenate([features, np.ones((num_rows, 1))], axis=1)
    normal = design.T @ (weights[:, None] * design) + PENALTY[0] * np.eye(num_features + 1)
    expected = np.linalg.solve(normal, design.T @ (weights[:, None] * targets))
    assert np.allclose(np.concatenate([fit.matrix.T, fit.bias[None]]), expected, atol=1e-10)


@SHAPES
def test_the_folded_matrix_equals_the_kernel_form(num_rows, num_features):
    features, targets, weights = problem(num_rows, num_features)
    fit = fit_ridge(features, targets, weights, penalties=PENALTY)
    kernel = features @ features.T + 1 + PENALTY[0] * np.diag(1 / weights)
    new = np.random.default_rng(1).normal(size=(5, num_features))
    expected = (new @ features.T + 1) @ np.linalg.solve(kernel, targets)
    assert np.allclose(fit.scores(new), expected, atol=1e-9)


@SHAPES
def test_held_out_scores_are_those_of_fits_without_the_row(num_rows, num_features):
    features, targets, weights = problem(num_rows, num_features)
    held_out = fit_ridge(features, targets, weights, penalties=PENALTY).held_out()
    for row in range(num_rows):
        rest = np.arange(num_rows) != row
        refit = fit_ridge(features[rest], targets[rest], weights[rest], penalties=PENALTY)
        assert np.allclose(held_out[row], refit.scores(features[row]), atol=1e-9)


@SHAPES
def test_held_out_scores_are_those_of_fits_without_the_group(num_rows, num_features):
    features, targets, weights = problem(num_rows, num_features)
    groups = np.arange(num_rows) // 3
    groups[:2] = [-1, -2]  # alone
    held_out = fit_ridge(features, targets, weights, penalties=PENALTY).held_out(groups)
    for group in np.unique(groups):
        rest = groups != group
        refit = fit_ridge(features[rest], targets[rest], weights[rest], penalties=PENALTY)
        assert np.allclose(held_out[~rest], refit.scores(features[~rest]), atol=1e-9)


def held_out_error(features, targets, weights, penalty):
    residual = targets - fit_ridge(features, targets, weights, penalties=(penalty,)).held_out()
    return (weights[:, None] * residual**2).sum()


def test_the_penalty_is_the_one_of_least_held_out_error(monkeypatch):
    monkeypatch.setattr(ridge, "JUDGED_ROWS", 40)
    features, targets, weights = problem(40, 60)
    errors = {penalty: held_out_error(features, targets, weights, penalty) for penalty in PENALTIES}
    assert fit_ridge(features, targets, weights).penalty == min(errors, key=errors.get)


def test_a_row_of_weight_two_is_two_rows():
    features, targets, _ = problem(20, 30)
    once = fit_ridge(features, targets, np.where(np.arange(20) == 3, 2.0, 1.0), penalties=PENALTY)
    doubled = np.append(np.arange(20), 3)
    twice = fit_ridge(features[doubled], targets[doubled], np.ones(21), penalties=PENALTY)
    assert np.allclose(once.matrix, twice.matrix, atol=1e-10)


def test_permuting_the_labels_permutes_the_scores():
    features, targets, weights = problem(24, 60)
    order = np.array([2, 0, 3, 1])
    fit, permuted = (fit_ridge(features, each, weights) for each in (targets, targets[:, order]))
    assert np.allclose(fit.scores(features)[:, order], permuted.scores(features), atol=1e-10)


@SHAPES
def test_the_order_of_the_rows_does_not_matter(num_rows, num_features, monkeypatch):
    monkeypatch.setattr(ridge, "JUDGED_ROWS", num_rows)
    features, targets, weights = problem(num_rows, num_features)
    order = np.random.default_rng(2).permutation(num_rows)
    fit, shuffled = fit_ridge(features, targets, weights), fit_ridge(features[order], targets[order], weights[order])
    assert np.allclose(fit.matrix, shuffled.matrix, atol=1e-10)
    assert np.allclose(fit.held_out()[order], shuffled.held_out(), atol=1e-10)


def test_rows_that_come_twice_are_no_trouble():
    features, targets, weights = problem(12, 60)
    fit = fit_ridge(np.tile(features, (2, 1)), np.tile(targets, (2, 1)), np.tile(weights, 2))
    assert np.isfinite(fit.held_out()).all()
