from dataclasses import replace

import numpy as np
import pytest

from aspl import classify, decode, fit
from aspl.background import shipped_library
from aspl.fitting.learner import Learner
from benchmarks.protocol.cache import DiskCache
from benchmarks.protocol.draws import DrawnClips
from benchmarks.protocol.fits import Fitting, measures, scores_of
from benchmarks.protocol.layout import read_set
from benchmarks.protocol.listener import Listener
from benchmarks.protocol.overlaps import SharedClips
from benchmarks.protocol.runs import Run
from tests.benchmarks.protocol.conftest import rows_of, sound

RUN = Run("model", "ours", "SESA", "lists", None, 2, 0, "palm", "none", "paper")


@pytest.fixture
def drawn_from(clap, root, write_set, tmp_path):
    """The draw of a run on a small set whose last test clip has the bytes of a train clip."""

    def draw(run: Run, *, cache: str = "cache") -> DrawnClips:
        train, test = rows_of("train", 2), rows_of("test", 2)
        contents = {test[-1][0]: sound("siren, far", 9), train[-1][0]: sound("siren, far", 9)}
        write_set("SESA", {"train.csv": train, "test.csv": test}, contents=contents)
        audio_set = read_set(root, "SESA")
        listener = Listener(clap, DiskCache(tmp_path / cache, limit_bytes=2**28), run.crop)
        shared = SharedClips(audio_set)
        return DrawnClips(listener, audio_set, audio_set.splits[0], shared, shots=run.shots, seed=run.seed)

    return draw


@pytest.fixture
def fitting(tmp_path):
    return Fitting(shipped_library(), tmp_path)  # heard once a process


def probabilities(clap, drawn, run):
    """What `fit` and `classify` make of the same clips."""
    taught = [decode(path.read_bytes()).waveform for path in drawn.taught_paths]
    tested = [decode(path.read_bytes()).waveform for path in drawn.tested_paths]
    adapter = fit(clap, taught, drawn.taught_labels, config=run.config)
    answers = classify(clap, tested, [adapter] * len(tested))
    return np.array([[answer.scores[label] for label in drawn.labels] for answer in answers]), adapter


METHODS = [("auto", "none", None), ("ridge", "none", None), ("zero_shot", "none", None), ("palm", "none", "palm_paper")]


@pytest.mark.parametrize(("method", "prompt", "preset"), METHODS)
def test_a_fit_answers_as_fit_and_classify_do(clap, drawn_from, fitting, method, prompt, preset):
    run = replace(RUN, method=method, audio_prompt=prompt, preset=preset)
    drawn = drawn_from(run)
    scores = scores_of(run, drawn, fitting)
    expected, adapter = probabilities(clap, drawn, run)
    logits = scores * adapter.logit_scale / adapter.temperature
    own = np.exp(logits - logits.max(1, keepdims=True))
    np.testing.assert_allclose(own / own.sum(1, keepdims=True), expected, atol=1e-4)
    assert drawn.labels == adapter.labels


def test_what_is_kept_on_disk_changes_nothing(drawn_from, fitting):
    for prompt, preset in (("none", "palm_paper"), ("adabn", "palm_paper")):
        run = replace(RUN, audio_prompt=prompt, preset=preset)
        first, second = (scores_of(run, drawn_from(run), fitting) for _ in range(2))
        np.testing.assert_allclose(first, second, atol=1e-5)


def test_an_audio_prompt_is_learnt_and_the_test_clips_are_heard_under_it(drawn_from, fitting, monkeypatch):
    bare = replace(RUN, method="zero_shot", preset=None)
    learnt = replace(bare, audio_prompt="aspl_star", preset="paper")
    epochs = []
    monkeypatch.setattr(Learner, "epochs", few(epochs, 2))
    scores, others = (scores_of(run, drawn_from(run), fitting) for run in (learnt, bare))
    assert epochs == [100] and np.abs(scores - others).max() > 1e-4


def few(asked: list[int], count: int):
    """Return a stand-in that notes how many epochs were asked for, and runs a few of them."""

    def epochs(learner: Learner):
        asked.append(learner.num_epochs)
        for _ in range(count):
            yield learner._epoch()

    return epochs


def test_adabn_hears_otherwise_than_the_bare_model(drawn_from, fitting):
    bare = replace(RUN, method="zero_shot", preset=None)
    adapted = replace(bare, audio_prompt="adabn")
    scores, others = (scores_of(run, drawn_from(run), fitting) for run in (adapted, bare))
    assert np.abs(scores - others).max() > 1e-3


def test_the_crop_of_the_paper_is_heard_in_training_and_test(drawn_from, fitting):
    ours = replace(RUN, method="ridge", preset=None)
    paper = replace(ours, crop="paper")
    scores, others = (scores_of(run, drawn_from(run), fitting) for run in (ours, paper))
    assert np.abs(scores - others).max() > 1e-4


def test_a_row_measures_shared_clips_apart(drawn_from, fitting):
    run = replace(RUN, method="ridge", preset=None)
    drawn = drawn_from(run)
    figures = measures(scores_of(run, drawn, fitting), drawn)
    assert drawn.is_shared.tolist() == [False] * 5 + [True]
    assert (figures["num_clips"], figures["unshared_num_clips"]) == (6, 5)
    assert figures["num_taught"] == 6 and len(figures["hits"]) == 6
    assert figures["accuracy"] == round(figures["hits"].count("1") / 6, 4)
    assert figures["unshared_accuracy"] == round(figures["hits"][:5].count("1") / 5, 4)


def test_a_fit_that_was_cut_off_goes_on_to_the_same_scores(drawn_from, fitting):
    class Cut(Exception):
        pass

    def cut(share: float) -> None:
        if share >= 0.5:
            raise Cut

    drawn = drawn_from(RUN)
    whole = scores_of(RUN, drawn, fitting)
    with pytest.raises(Cut):
        scores_of(RUN, drawn, fitting, tell=cut)
    shares = []
    assert np.array_equal(scores_of(RUN, drawn, fitting, tell=shares.append), whole)
    assert min(shares) > 0.5 and not list(fitting.folder.glob("*.safetensors"))
