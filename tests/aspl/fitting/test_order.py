"""The same clips in another order: the same adapter and report. Equal clips are never on both sides."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from aspl import TrainingConfig, classify, fit
from aspl.fitting.evaluation import stratified_folds
from aspl.fitting.order import ClipOrder
from aspl.heads.takes import make_folds

CONFIGS = {
    "auto": TrainingConfig(),
    "palm": TrainingConfig(method="palm", audio_prompt="spectral", epochs=2, batch_size=4),
    "coop": TrainingConfig(method="coop", audio_prompt="none", epochs=1),
    "cocoop": TrainingConfig(method="cocoop", audio_prompt="none", epochs=1),
    "zero_shot": TrainingConfig(method="zero_shot", audio_prompt="aspl_star", preset="paper", epochs=1),
}


@pytest.mark.parametrize("method", CONFIGS)
def test_the_order_of_the_clips_changes_nothing(clap, clips, method):
    waveforms, labels = clips
    order = np.random.default_rng(3).permutation(len(labels))
    one = fit(clap, waveforms, labels, config=CONFIGS[method])
    other = fit(clap, [waveforms[i] for i in order], [labels[i] for i in order], config=CONFIGS[method])
    assert other.labels == tuple(dict.fromkeys(labels[i] for i in order)) and other.labels != one.labels
    back = ClipOrder(tuple(np.argsort(order).tolist()), one.labels, ()).as_given(other)
    # `as_given` takes clips' numbers back too: clip i of the one is clip argsort(order)[i] of the other.
    suspects = tuple(replace(row, clip=int(order[row.clip])) for row in other.report.suspects)
    back = replace(back, report=replace(back.report, suspects=suspects))
    assert replace(back.info, created_at="") == replace(one.info, created_at="")
    mine, theirs = one.tensors(), back.tensors()
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)
    for index, label in enumerate(other.labels):  # what is kept by row bears the right name
        row = one.labels.index(label)
        np.testing.assert_array_equal(other.taught_curves.mean[index], one.taught_curves.mean[row])
    for answer, again in zip(*(classify(clap, waveforms, [each] * 9) for each in (one, other)), strict=True):
        assert answer.scores == pytest.approx(again.scores, abs=1e-6)


DIGESTS = [b"a", b"b", b"a", b"c", b"d", b"e", b"e", b"f", b"c"]
CLASSES = np.array([0, 0, 0, 0, 1, 1, 1, 1, 1])


def check_sides(folds: list[np.ndarray]) -> None:
    for fold in folds:
        rest = {digest for clip, digest in enumerate(DIGESTS) if clip not in fold}
        assert not rest & {DIGESTS[clip] for clip in fold}


def test_equal_clips_are_never_on_both_sides_of_a_trial():
    folds = stratified_folds(CLASSES, max_folds=3, seed=0, digests=DIGESTS)
    check_sides(folds)
    # Clips 3 and 8 are equal and bear two labels: they are never held out; all others are.
    assert sorted(np.concatenate(folds)) == [0, 1, 2, 4, 5, 6, 7]


def test_equal_clips_are_never_on_both_sides_in_closed_form():
    order = np.array([ord(digest) for digest in DIGESTS])
    folds = make_folds(CLASSES, np.arange(9), order)
    check_sides([np.flatnonzero(folds == fold) for fold in range(folds.max() + 1)])
    assert np.flatnonzero(folds < 0).tolist() == [3, 8]


def test_copies_of_one_clip_are_no_two_to_hold_out():
    assert stratified_folds(np.array([0, 0, 1, 1]), max_folds=3, seed=0, digests=[b"a", b"a", b"b", b"b"]) == []
    assert make_folds(np.array([0, 0]), np.arange(2), np.array([5, 5])).tolist() == [-1, -1]


def test_a_fold_holds_something():
    folds = stratified_folds(np.array([0, 0, 1]), max_folds=3, seed=0, digests=[b"a", b"b", b"b"])
    assert [fold.tolist() for fold in folds] == [[0]]
