import numpy as np
import pytest

from aspl.heads.feature_scale import WHITENING_SHRINKAGE, FeatureScale
from aspl.stage_layout import StageLayout

LAYOUT, JOINT_WIDTH = StageLayout((3, 5), (6,)), 4
FAMILIES = np.repeat(np.arange(10), 3)


@pytest.fixture
def background():
    generator = np.random.default_rng(0)
    return np.abs(generator.normal(1, 0.4, (30, 22))), generator.normal(size=(30, JOINT_WIDTH))


def test_every_block_weighs_the_same(background):
    scaled = FeatureScale.of_background(*background, FAMILIES, LAYOUT).scaled(*background)
    for start, end in ((0, 3), (3, 6), (6, 11), (11, 16), (16, 22), (22, 26)):
        assert scaled[:, start:end].var(0).sum() == pytest.approx(1)


def test_deviations_alone_are_taken_in_logarithms(background):
    stages, joint = background
    scale = FeatureScale.of_background(stages, joint, FAMILIES, LAYOUT)
    louder = stages.copy()
    louder[:, scale.is_deviation[:22]] = 2 * stages[:, scale.is_deviation[:22]]
    moved = scale.logged(louder, joint) - scale.logged(stages, joint)
    assert np.flatnonzero(moved.any(0)).tolist() == [3, 4, 5, 11, 12, 13, 14, 15]
    assert np.allclose(moved[:, 3], np.log(2), atol=0.01)


def test_a_layout_without_peaks_reads_what_came_before_them(background):
    stages, joint = background
    before = FeatureScale.of_background(stages[:, :16], joint, FAMILIES, LAYOUT.without_peaks())
    scale = FeatureScale.of_background(stages, joint, FAMILIES, LAYOUT.without_peaks())
    assert np.array_equal(scale.scaled(stages, joint), before.scaled(stages[:, :16], joint))
    assert LAYOUT.of_width(16) == LAYOUT.without_peaks() and LAYOUT.of_width(22) == LAYOUT


def test_whitened_background_has_the_shrunk_covariance_undone(background):
    scale = FeatureScale.of_background(*background, FAMILIES, LAYOUT)
    scaled = scale.scaled(*background)
    within = scaled - scaled.reshape(10, 3, -1).mean(1).repeat(3, axis=0)
    covariance = within.T @ within / 20
    level = np.trace(covariance) / len(covariance)
    shrunk = (1 - WHITENING_SHRINKAGE) * covariance + WHITENING_SHRINKAGE * level * np.eye(len(covariance))
    whitening = scale.whitened(np.eye(len(covariance)))
    assert np.allclose(whitening, whitening.T)
    assert np.allclose(whitening @ shrunk @ whitening, np.eye(len(covariance)), atol=1e-9)
