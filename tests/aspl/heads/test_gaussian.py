import numpy as np
import pytest

from aspl.heads.gaussian import fit_gaussian


@pytest.mark.parametrize(
    ("num_clips", "num_features", "num_classes", "num_groups"),
    [(12, 40, 3, 3), (90, 30, 4, 3), (40, 40, 2, 3), (9, 50, 1, 3), (30, 40, 3, 6), (90, 30, 4, 10), (12, 50, 1, 5)],
)
@pytest.mark.parametrize(("apart", "scatter"), [(3, 1), (3e4, 1), (3, 1e4)])
def test_held_out_scores_are_those_of_a_fit_without_the_fold(
    num_clips, num_features, num_classes, num_groups, apart, scatter
):
    rng = np.random.default_rng(num_clips)
    classes = np.arange(num_clips) % num_classes
    features = apart * rng.normal(size=(num_classes, num_features))[classes]
    features += rng.normal(size=(num_clips, num_features))
    features += scatter * rng.normal(size=(num_clips, 1)) * rng.normal(size=num_features)  # in one direction
    mean, groups = rng.normal(size=num_features), np.arange(num_clips) // num_classes % num_groups
    fit = fit_gaussian(features, classes, mean)
    held_out = fit.held_out(groups)
    for group in np.unique(groups):
        rest = groups != group
        part = fit_gaussian(features[rest], classes[rest], mean)
        np.testing.assert_allclose(held_out[~rest], part.scores(features[~rest]), atol=1e-6, rtol=1e-5)


def test_the_last_clips_of_a_class_are_not_held_out():
    features, classes = np.random.default_rng(0).normal(size=(5, 8)), np.array([0, 0, 1, 1, 1])
    fit = fit_gaussian(features, classes, np.zeros(8))
    held_out = fit.held_out(np.array([0, 0, 1, 2, 3]))
    np.testing.assert_allclose(held_out[:2], fit.scores(features[:2]))
