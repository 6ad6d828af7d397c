from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from aspl import Adapter, FrozenClap, TrainingConfig, classify
from aspl.errors import (
    AudioPromptInvalid,
    LabelsInvalid,
    OutOfMemory,
    TemplateInvalid,
    TrainingCancelled,
    TrainingConfigInvalid,
    TrainingDataInvalid,
    TrainingDiverged,
)
from aspl.fitting.candidates import CANDIDATES
from aspl.fitting.clip_features import ClipFeatures
from aspl.fitting.plan import make_plan
from aspl.fitting.trial import TrialRunner
from aspl.methods import METHODS
from aspl.progress import PHASES
from aspl.prompts.audio_parameters import AudioParameters
from aspl.prompts.text import CoCoOp
from aspl.sound.clip import windows
from aspl.sound.level import HEARD_AT_DB, at_level
from aspl.templates import SENTENCE
from tests.aspl.conftest import LABELS
from tests.aspl.few_sounds import fit
from tests.small_clap import write_small_clap

QUICK = TrainingConfig(method="palm", audio_prompt="aspl_star", preset="paper", epochs=1, seed=3)


def tensors(adapter: Adapter) -> dict[str, torch.Tensor]:
    return adapter.tensors()


def same(one: Adapter, other: Adapter) -> bool:
    """Say whether two adapters are equal bit by bit, in tensors and facts (but for the time of their making)."""
    a, b = tensors(one), tensors(other)
    facts = replace(one.info, created_at="") == replace(other.info, created_at="")
    return facts and a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.fixture(scope="module")
def quick_adapter(clap, clips):
    return fit(clap, *clips, config=QUICK)


def test_the_model_is_left_bit_identical_and_without_gradients(clap, clips):
    before = {name: value.clone() for name, value in clap.state_dict().items()}
    fit(clap, *clips, config=QUICK)
    after = clap.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert all(parameter.grad is None for parameter in clap.parameters())


@pytest.mark.parametrize("method", [name for name, method in METHODS.items() if not method.is_closed_form])
@pytest.mark.parametrize("audio_prompt", ["none", "aspl", "aspl_star"])
def test_every_method_with_every_audio_prompt(clap, clips, method, audio_prompt):
    config = TrainingConfig(method=method, audio_prompt=audio_prompt, preset="paper", epochs=1)
    adapter = fit(clap, *clips, config=config)
    assert adapter.audio_prompt == audio_prompt
    assert adapter.report.num_clips == 9
    scores = classify(clap, clips[0][:1], [adapter])[0].scores
    assert list(scores) == ["low hum", "whistle", "hiss"]
    assert sum(scores.values()) == pytest.approx(1, abs=1e-5)


def test_the_paper_preset_moves_every_stage(clap, quick_adapter):
    for stage, affine in quick_adapter.prompts.stages().items():
        assert (affine.gamma != 1).any() and (affine.beta != 0).any(), stage


def test_fast_learns_the_clips_and_says_so(clap, clips):
    adapter = fit(clap, *clips, config=TrainingConfig(method="palm", audio_prompt="aspl_star", epochs=1))
    assert adapter.report.accuracy >= 0.9
    assert np.array(adapter.report.confusion).sum() == 9
    guesses = [answer.label for answer in classify(clap, clips[0], [adapter] * 9)]
    assert guesses == clips[1]


def test_fast_keeps_an_audio_prompt_that_lowers_the_loss_of_held_out_clips(clap, clips):
    # At one level these are told by their words; as loud as they were made, a prompt helps.
    as_recorded = replace(Adapter.zero_shot(clap, LABELS).info, level_db=None)
    config = TrainingConfig(method="palm", audio_prompt="spectral", epochs=1)
    adapter = fit(clap, *clips, config=config, before=as_recorded)
    audio_prompt = adapter.report.audio_prompt
    losses = audio_prompt.held_out_loss
    assert losses["joint"] < 0.8 * losses["text"]
    assert (audio_prompt.kept, adapter.audio_prompt) == ("spectral", "spectral")
    assert "lowered the loss" in audio_prompt.reason


def test_the_same_seed_gives_bit_equal_adapters_and_another_does_not(clap, clips, quick_adapter):
    assert same(fit(clap, *clips, config=QUICK), quick_adapter)
    assert not same(fit(clap, *clips, config=replace(QUICK, seed=4)), quick_adapter)


@pytest.mark.parametrize(("audio_prompt", "preset"), [("none", "paper"), ("structural", "paper"), ("spectral", "fast")])
def test_caching_does_not_change_the_result(clap, clips, audio_prompt, preset):
    config = TrainingConfig(method="palm", audio_prompt=audio_prompt, preset=preset, epochs=2)
    cached = tensors(fit(clap, *clips, config=config))
    encoded = tensors(fit(clap, *clips, config=replace(config, cache_embeddings=False)))
    assert all(torch.allclose(cached[name], encoded[name], atol=1e-6) for name in cached)


def test_permuting_the_clips_of_a_fit_permutes_the_labels_alone(clap, clips):
    config = TrainingConfig(method="palm", audio_prompt="none", batch_size=9)
    there = fit(clap, *clips, config=config)
    back = fit(clap, clips[0][::-1], clips[1][::-1], config=config)
    assert back.labels == there.labels[::-1]
    assert torch.equal(back.head.answering.class_features.flip(0), there.head.answering.class_features)


def test_progress_tells_every_epoch(clap, clips):
    seen = []
    fit(clap, *clips, config=QUICK, on_progress=seen.append)
    epochs = [(step.phase, step.epoch) for step in seen if step.phase != "listen_background"]
    assert epochs == [("listen", 0), ("listen", 1), *[("validate_joint", 1)] * 3, ("train_joint", 1)]
    assert all(np.isfinite([step.loss, step.accuracy, step.eta_s]).all() for step in seen[2:6])
    heard = [step.eta_s for step in seen if step.phase == "listen_background"]  # anew, under the prompts that are kept
    assert len(heard) > 2 and min(heard[:-1]) > heard[-1] == pytest.approx(0, abs=0.2)


@pytest.mark.parametrize(("audio_prompt", "phase"), [("spectral", "joint"), ("none", "text")])
def test_the_epochs_asked_for_are_those_of_the_phase_that_is_named_for_them(clap, clips, audio_prompt, phase):
    seen = []
    fit(
        clap, *clips, config=TrainingConfig(method="palm", audio_prompt=audio_prompt, epochs=2), on_progress=seen.append
    )
    assert {step.phase for step in seen} <= set(PHASES)
    assert {step.epochs for step in seen if step.phase.endswith(phase)} == {2}
    assert all(1 <= step.epoch <= step.epochs for step in seen if step.phase != "listen")


def test_cancel_ends_within_a_step(clap, clips):
    asked = []

    def should_cancel() -> bool:
        asked.append(1)
        return len(asked) > 15

    with pytest.raises(TrainingCancelled):
        fit(clap, *clips, config=QUICK, should_cancel=should_cancel)
    assert len(asked) == 16


@pytest.mark.parametrize(
    ("preset", "cut", "left"), [("paper", 3, 9), ("paper", 9, 3), ("fast", 45, 700), ("fast", 603, 250)]
)
def test_a_fit_that_is_cut_off_resumes_to_the_same_result(clap, clips, tmp_path, preset, cut, left):
    config = replace(QUICK, preset=preset, epochs=1 if preset == "fast" else 2)
    path = tmp_path / "fit.safetensors"
    whole = fit(clap, *clips, config=config)
    steps = []
    with pytest.raises(TrainingCancelled):
        fit(
            clap,
            *clips,
            config=config,
            checkpoint=path,
            on_progress=steps.append,
            should_cancel=lambda: len(steps) >= cut,
        )
    resumed_steps = []
    resumed = fit(clap, *clips, config=config, checkpoint=path, on_progress=resumed_steps.append)
    assert same(resumed, whole)
    # The background is heard at the end, under the prompts that are kept, and is not part of what is resumed.
    assert len([step for step in resumed_steps if step.phase != "listen_background"]) <= left


def test_the_time_left_does_not_count_what_an_earlier_process_did(clap, clips, tmp_path, monkeypatch):
    """By a clock that goes with the clips that are encoded."""
    now, head = [0.0], type(clap).audio_head

    def timed(self, log_mel, prompts, statistics=None):
        now[0] += len(log_mel) * (2.5 if torch.is_grad_enabled() else 1.0)
        return head(self, log_mel, prompts, statistics)

    monkeypatch.setattr(type(clap), "audio_head", timed)
    monkeypatch.setattr("aspl.fitting.progress.time.monotonic", lambda: now[0])
    config, path, steps = replace(QUICK, epochs=4), tmp_path / "fit.safetensors", []
    with pytest.raises(TrainingCancelled):
        settings = {"checkpoint": path, "on_progress": steps.append}
        fit(clap, *clips, config=config, should_cancel=lambda: len(steps) >= 9, **settings)
    resumed = []
    fit(clap, *clips, config=config, checkpoint=path, on_progress=resumed.append)
    assert (steps[8].phase, steps[8].epoch) == (resumed[2].phase, resumed[2].epoch - 1)
    assert resumed[2].eta_s == pytest.approx(steps[8].eta_s * 0.8, rel=0.2)


@pytest.mark.parametrize("place", ["missing/checkpoint", "."], ids=["not written", "not replaced"])
def test_a_checkpoint_that_cannot_be_saved_is_done_without(clap, clips, tmp_path, quick_adapter, caplog, place):
    assert same(fit(clap, *clips, config=QUICK, checkpoint=tmp_path / place), quick_adapter)
    assert "checkpoint cannot be saved" in caplog.text


def test_the_checkpoint_of_another_fit_is_not_used(clap, clips, tmp_path, quick_adapter):
    path = tmp_path / "fit.safetensors"
    fit(clap, *clips, config=replace(QUICK, seed=9), checkpoint=path)
    assert same(fit(clap, *clips, config=QUICK, checkpoint=path), quick_adapter)
    path.write_bytes(b"not a checkpoint")
    assert same(fit(clap, *clips, config=QUICK, checkpoint=path), quick_adapter)


def test_out_of_memory_halves_the_micro_batch_and_keeps_the_gradients(clap, clips, monkeypatch, quick_adapter):
    encode, sizes = type(clap).audio_tail, []

    def small_device(self, tokens, prompts, statistics=None):
        sizes.append(len(tokens))
        if len(tokens) > 2 and tokens.requires_grad:
            raise torch.OutOfMemoryError("too much")
        return encode(self, tokens, prompts, statistics)

    monkeypatch.setattr(type(clap), "audio_tail", small_device)
    squeezed = fit(clap, *clips, config=QUICK)
    assert 4 in sizes and sizes[-1] <= 2
    for name, value in tensors(quick_adapter).items():
        atol = 1e-5 if value.dtype == torch.float32 else 2e-3  # of what is kept in half precision
        assert torch.allclose(tensors(squeezed)[name], value, atol=atol), name


def test_out_of_memory_halves_what_cocoop_hears_at_once(clap, clips, monkeypatch):
    config = TrainingConfig(method="cocoop", audio_prompt="none", epochs=1)
    expected, cosines, sizes = fit(clap, *clips, config=config), CoCoOp.cosines, []

    def small_device(self, audio):
        sizes.append(len(audio))
        if len(audio) > 2 and torch.is_grad_enabled():
            raise torch.OutOfMemoryError("too much")
        return cosines(self, audio)

    monkeypatch.setattr(CoCoOp, "cosines", small_device)
    squeezed = fit(clap, *clips, config=config)
    assert max(sizes) > 2
    for name, value in tensors(expected).items():
        assert torch.allclose(tensors(squeezed)[name], value, atol=1e-5), name


def test_held_out_clips_are_heard_in_parts(clap, clips, monkeypatch):
    cosines, sizes = CoCoOp.cosines, []

    def noted(self, audio):
        sizes.append(len(audio))
        return cosines(self, audio)

    monkeypatch.setattr(CoCoOp, "cosines", noted)
    fit(clap, *clips, config=TrainingConfig(method="cocoop", audio_prompt="none", epochs=1, batch_size=2))
    assert max(sizes) == 2


def test_a_device_too_small_for_a_clip_is_said(clap, clips, monkeypatch):
    encode = type(clap).audio_tail

    def no_memory(self, tokens, prompts, statistics=None):
        if tokens.requires_grad:
            raise torch.OutOfMemoryError("too much")
        return encode(self, tokens, prompts, statistics)

    monkeypatch.setattr(type(clap), "audio_tail", no_memory)
    with pytest.raises(OutOfMemory, match="single clip"):
        fit(clap, *clips, config=QUICK)


def test_fast_hears_at_most_a_tenth_of_what_paper_hears(clap, clips, monkeypatch):
    heard = []

    def cheap_head(self, log_mel, prompts, features=None):
        heard.append(len(log_mel))
        if features is not None:
            features.statistics.append(torch.rand(len(log_mel), self.statistics_width))
        return prompts.spectral(log_mel) if prompts.spectral is not None else log_mel

    monkeypatch.setattr(type(clap), "audio_head", cheap_head)
    monkeypatch.setattr(type(clap), "audio_tail", lambda self, tokens, *_: tokens.mean((1, 2)).repeat(1, 2))
    passes = {}
    for preset in ("fast", "paper"):
        heard.clear()
        fit(clap, *clips, config=TrainingConfig(method="palm", audio_prompt="aspl_star", preset=preset))
        passes[preset] = sum(heard)
    assert passes["paper"] >= 9 * 100
    assert passes["fast"] <= passes["paper"] / 10


def test_one_shot_trains_without_an_audio_prompt_and_says_that_nothing_was_validated(clap, clips):
    waveforms, labels = clips
    adapter = fit(clap, waveforms[::3], labels[::3], config=TrainingConfig(method="palm", audio_prompt="aspl_star"))
    assert adapter.prompts is None and adapter.audio_prompt == "none"
    assert adapter.report.accuracy is None and "one clip" in adapter.report.reason
    assert list(adapter.report.unvalidated_labels) == list(adapter.labels)
    assert adapter.threshold is None and adapter.temperature == 1.0


def test_the_paper_preset_keeps_its_audio_prompt_and_claims_no_doubt(clap, clips):
    waveforms, labels = clips
    adapter = fit(clap, waveforms[::3], labels[::3], config=replace(QUICK, audio_prompt="spectral"))
    assert adapter.report.audio_prompt.kept == "spectral"
    assert adapter.report.audio_prompt.reason == ""


@pytest.mark.parametrize(("method", "template"), [("zero_shot", SENTENCE), ("palm", "{}"), ("coop", None)])
def test_the_template_that_was_used_is_kept(clap, clips, method, template):
    assert fit(clap, *clips, config=TrainingConfig(method=method, audio_prompt="none", epochs=1)).template == template


def test_a_class_of_one_clip_is_named_as_not_validated(clap, clips):
    waveforms, labels = clips
    adapter = fit(clap, waveforms[2:], labels[2:], config=replace(QUICK, epochs=1))
    assert adapter.shots == {"low hum": 1, "whistle": 3, "hiss": 3}
    assert list(adapter.report.unvalidated_labels) == ["low hum"]
    assert adapter.report.per_label["low hum"].num_clips == 0


def test_no_clip_is_scored_by_a_fit_that_heard_it(clap, clips):
    """Labels that say nothing can be learnt by heart, but not found on held-out clips."""
    generator = np.random.default_rng(5)
    noise = [generator.standard_normal(4800).astype(np.float32) * 0.1 for _ in range(24)]
    labels = ["a", "b"] * 12
    adapter = fit(clap, noise, labels, config=TrainingConfig(method="palm", audio_prompt="spectral", epochs=1))
    assert adapter.report.accuracy < 0.8


def test_long_clips_are_heard_in_windows(clap, clips):
    """All begin alike; what tells them apart comes after the first ten seconds."""
    hiss = np.tile(clips[0][-1], 10)
    waveforms = [np.concatenate([hiss, np.tile(waveform, 10)]) for waveform in clips[0][:6]]
    adapter = fit(clap, waveforms, clips[1][:6], config=TrainingConfig(method="palm", audio_prompt="none"))
    assert adapter.report.accuracy > 0.8


def test_a_step_that_flies_apart_is_said(clap, clips, monkeypatch):
    monkeypatch.setattr(type(clap), "project_audio", lambda self, pooled: pooled[:, :48] * torch.nan)
    with pytest.raises(TrainingDiverged, match="learning rate"):
        fit(clap, *clips, config=QUICK)


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"method": "magic"}, TrainingConfigInvalid),
        ({"preset": "slow"}, TrainingConfigInvalid),
        ({"epochs": 0}, TrainingConfigInvalid),
        ({"learning_rate": float("nan")}, TrainingConfigInvalid),
        ({"batch_size": 0}, TrainingConfigInvalid),
        ({"template": "no place"}, TemplateInvalid),
        ({"audio_prompt": "loud"}, AudioPromptInvalid),
    ],
)
def test_settings_out_of_range(settings, error):
    with pytest.raises(error):
        TrainingConfig(**settings)


@pytest.mark.parametrize(
    ("waveforms", "labels", "error"),
    [
        ([np.zeros(4800, np.float32)] * 2, ["a"], TrainingDataInvalid),
        ([np.zeros(4800, np.float32)] * 2, ["a", "a"], TrainingDataInvalid),
        ([np.zeros(100, np.float32)] * 2, ["a", "b"], TrainingDataInvalid),
        ([np.full(4800, np.nan, np.float32)] * 2, ["a", "b"], TrainingDataInvalid),
        ([np.zeros((2, 4800), np.float32)] * 2, ["a", "b"], TrainingDataInvalid),
        ([np.zeros(4800, np.float32)] * 1002, ["a"] * 1001 + ["b"], TrainingDataInvalid),
        ([np.zeros(4800, np.float32)] * 2, ["a", " "], LabelsInvalid),
    ],
)
def test_clips_and_labels_that_cannot_be_trained_on(clap, waveforms, labels, error):
    with pytest.raises(error):
        fit(clap, waveforms, labels, config=TrainingConfig(method="palm"))


def test_training_draws_every_window_of_a_long_clip(clap, clips, monkeypatch):
    """The audio prompt trains on windows; in time each of a clip's is among them."""
    long = [np.tile(waveform, 25) for waveform in clips[0][::3]]
    encode, drawn = ClipFeatures.encode, set()

    def noted(self, rows, prompts):
        if torch.is_grad_enabled():
            drawn.update(rows)
        return encode(self, rows, prompts)

    monkeypatch.setattr(ClipFeatures, "encode", noted)
    fit(clap, long, clips[1][::3], config=replace(QUICK, epochs=20))
    num_windows = sum(len(windows(waveform)[0]) for waveform in long)
    assert num_windows > 3
    assert drawn == set(range(num_windows))


def test_joint_starts_from_recentred_where_that_was_the_better(clap, clips, monkeypatch):
    started = []
    monkeypatch.setattr(AudioParameters, "start_from", lambda self, spectral: started.append(spectral))
    monkeypatch.setattr(TrialRunner, "best_before", lambda self, candidate: "recentred")
    fit(clap, *clips, config=TrainingConfig(method="palm", audio_prompt="spectral", epochs=1))
    assert len(started) >= 3
    assert all((spectral.gamma != 1).any() for spectral in started)


def test_the_better_of_the_simpler_candidates_is_what_joint_starts_from(clap, clips, monkeypatch):
    """Where the recentred one is certain and right, and the text prompt alone says nothing."""
    plan = make_plan(clips[1], TrainingConfig(method="palm", audio_prompt="spectral"), logit_scale=1.0)
    said = {"text": np.zeros((9, 3)), "recentred": 10 * np.eye(3)[plan.truth]}
    features = SimpleNamespace(clap=clap)
    runner = TrialRunner(plan, features, METHODS["palm"].untrained(clap, plan.labels), CANDIDATES, None, {})
    monkeypatch.setattr(runner, "held_out_logits", said.get)
    assert runner.best_before("joint") == "recentred"
    assert runner.best_before("text") is None


def test_the_checkpoint_of_another_model_is_not_used(clap, clips, tmp_path, quick_adapter):
    other = FrozenClap.load(write_small_clap(tmp_path / "small-clap", seed=1))
    fit(other, *clips, config=QUICK, checkpoint=tmp_path / "fit")
    assert same(fit(clap, *clips, config=QUICK, checkpoint=tmp_path / "fit"), quick_adapter)


@pytest.mark.parametrize("method", ["ridge", "palm"])
def test_all_that_a_fit_hears_is_heard_at_one_level(clap, clips, method):
    waveforms, labels = clips
    config = TrainingConfig(method=method, audio_prompt="none", epochs=None if method == "ridge" else 2)
    turned = [np.float32(10 ** (number / 10 - 0.5)) * waveform for number, waveform in enumerate(waveforms)]
    adapter, of_turned = (fit(clap, each, labels, config=config) for each in (waveforms, turned))
    assert adapter.level_db == of_turned.level_db == HEARD_AT_DB
    assert np.allclose(adapter.taught_curves.mean, of_turned.taught_curves.mean, atol=0.01)
    answers = classify(clap, waveforms, [adapter] * 9)
    by_hand = [at_level(waveform, HEARD_AT_DB) for waveform in waveforms]
    as_recorded = [replace(adapter, level_db=None)] * 9
    for one, other in zip(answers, classify(clap, by_hand, as_recorded), strict=True):
        assert one.known == pytest.approx(other.known, abs=1e-5)


@pytest.mark.parametrize("level_db", [None, -30.0])
def test_what_goes_on_from_a_version_hears_at_its_level(clap, clips, level_db):
    config = TrainingConfig(method="ridge")
    before = replace(fit(clap, *clips, config=config), level_db=level_db)
    assert fit(clap, *clips, config=config, before=before.info).level_db == level_db


def test_the_papers_recipes_hear_clips_as_they_were_recorded(quick_adapter):
    assert quick_adapter.level_db is None
