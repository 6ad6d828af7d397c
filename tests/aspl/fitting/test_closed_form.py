"""The default fit on the bundled model: what it answers, what it takes for unknown, and what its report says."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soxr
import torch

from aspl import Adapter, AudioPrompts, FrozenClap, TrainingConfig, classify, decode, fit
from aspl.errors import AdapterInvalid, TrainingCancelled, TrainingDataInvalid
from aspl.fitting.clip_features import ClipFeatures
from aspl.fitting.closed_form import Given, fit_closed_form
from aspl.fitting.heard_clip import hear_clips, heard_clips
from aspl.fitting.plan import make_plan
from aspl.fitting.progress import FitProgress
from aspl.inference import hear_windows, is_unknown, score
from aspl.sound.clip import windows
from tests.aspl.few_sounds import FEW_SOUNDS

ROOT = Path(__file__).parents[3]
LABELS = ("dog bark", "rain", "rooster")
ALL_LABELS = (*LABELS, "helicopter", "person sneeze")


@pytest.fixture(scope="module")
def bundled():
    torch.set_num_threads(1)
    return FrozenClap.load(ROOT / "models" / "tiny-clap")


def recordings(folder: str, labels=LABELS, most=6):
    paths = [path for label in labels for path in sorted((ROOT / "examples" / folder / label).glob("*.ogg"))[:most]]
    return [decode(path.read_bytes()).waveform for path in paths], [path.parent.name for path in paths]


@pytest.fixture(scope="module")
def taught():
    return recordings("train")


@pytest.fixture(scope="module")
def adapter(bundled, taught):
    return fit(bundled, *taught)


def test_it_knows_what_it_was_taught_and_nothing_else(bundled, adapter):
    waveforms, labels = recordings("held_out")
    answers = classify(bundled, waveforms, [adapter] * len(waveforms))
    assert [answer.label for answer in answers] == labels
    assert sum(answer.is_unknown for answer in answers) <= 1
    assert all(answer.is_unknown for answer in classify(bundled, foreign_sounds(), [adapter] * 4))


def foreign_sounds() -> list[np.ndarray]:
    """A tone, a slow sweep, clicks and a chord, none of which sounds like what is taught here."""
    time_s = np.arange(3 * 48_000) / 48_000
    tone = 0.3 * np.sin(2 * np.pi * 440 * time_s)
    sweep = 0.3 * np.sin(2 * np.pi * (100 + 300 * time_s) * time_s)
    clicks = np.where(np.arange(len(time_s)) % 24_000 < 50, 0.8, 0.0)
    chord = sum(0.1 * np.sin(2 * np.pi * hz * time_s) for hz in (262, 330, 392))
    return [sound.astype(np.float32) for sound in (tone, sweep, clicks, chord)]


def test_digital_silence_is_unknown(bundled, adapter):
    (answer,) = classify(bundled, [np.zeros(48_000, np.float32)], [adapter])
    assert answer.is_unknown


def test_the_file_answers_as_the_fit_does(bundled, adapter):
    waveforms, _ = recordings("held_out")
    loaded = Adapter.from_bytes(adapter.to_bytes(), bundled)
    assert loaded.known == adapter.known
    for fitted, read in zip(
        *(classify(bundled, waveforms, [one] * len(waveforms)) for one in (adapter, loaded)), strict=True
    ):
        assert fitted.scores == pytest.approx(read.scores, abs=1e-6)
        assert (fitted.known, fitted.is_unknown) == (pytest.approx(read.known, abs=1e-6), read.is_unknown)


def test_the_order_of_the_clips_does_not_matter(bundled, taught, adapter):
    waveforms, labels = taught
    # The labels' own order is that of their first clips, so the first of each stays in front.
    firsts = [labels.index(label) for label in LABELS]
    rest = [number for number in np.random.default_rng(0).permutation(len(labels)) if number not in firsts]
    order = [*firsts, *rest]
    other = fit(bundled, [waveforms[i] for i in order], [labels[i] for i in order])
    assert torch.equal(other.head.matrix, adapter.head.matrix) and torch.equal(other.head.bias, adapter.head.bias)
    assert other.known == adapter.known
    assert other.report.accuracy == adapter.report.accuracy


def test_one_label_is_a_detector(bundled, taught):
    waveforms, labels = taught
    detector = fit(
        bundled, *zip(*[pair for pair in zip(waveforms, labels, strict=True) if pair[1] == "rooster"], strict=True)
    )
    heard, truth = recordings("held_out")
    for answer, label in zip(classify(bundled, heard, [detector] * len(heard)), truth, strict=True):
        assert answer.is_unknown == (label != "rooster")


def test_one_clip_a_label_has_a_threshold_too(bundled, taught):
    waveforms, labels = taught
    firsts = [labels.index(label) for label in LABELS]
    adapter = fit(bundled, [waveforms[i] for i in firsts], [labels[i] for i in firsts])
    assert adapter.report.accuracy is None
    assert all(0 < threshold < 1 for threshold in adapter.known.thresholds)


def test_the_tenants_own_background_is_heard_as_unknown(bundled, taught, adapter):
    own, _ = recordings("train", ("helicopter",))
    with_own = fit(bundled, *taught, background=own)
    heard, _ = recordings("held_out", ("helicopter",))
    before, after = (classify(bundled, heard, [one] * len(heard)) for one in (adapter, with_own))
    assert np.mean([answer.known for answer in after]) < np.mean([answer.known for answer in before])
    assert with_own.report.num_background == len(own)


@pytest.mark.parametrize("method", ["ridge", "palm"])
def test_the_tenants_own_background_moves_the_threshold_towards_the_banks(bundled, taught, monkeypatch, method):
    own, _ = recordings("train", ("helicopter",))
    config = TrainingConfig(method=method, audio_prompt="none")
    rule = fit(bundled, *taught, background=own, config=config).known
    monkeypatch.setattr("aspl.heads.unknown.BALANCED_ACCEPTED_WITH_OWN", 0.1)
    moved = fit(bundled, *taught, background=own, config=config).known
    assert moved.thresholds[0] < rule.thresholds[0] - 0.02
    assert moved.sensitivities["high"] == rule.sensitivities["high"]


def test_wrong_labels_are_suspects(bundled, taught):
    waveforms, labels = taught
    wrong = [*labels]
    wrong[0], wrong[7] = labels[7], labels[0]
    listed = [row.clip for row in fit(bundled, waveforms, wrong).report.suspects]
    assert set(listed) >= {0, 7} and len(listed) <= 4


def test_how_long_a_clip_is_tells_nothing_of_its_sound(bundled):
    """Clips of 5.001 s are in CLAP's window once, with silence behind them; cut to 4.9 s they are in it twice."""
    taught = recordings("train", ALL_LABELS, most=5)
    heard_of = [recordings("train", ALL_LABELS, most=8), recordings("held_out", ALL_LABELS)]
    known = {waveform.tobytes() for waveform in taught[0]}
    others = [pair for part in heard_of for pair in zip(*part, strict=True) if pair[0].tobytes() not in known]
    assert np.mean([240_000 < len(waveform) < 241_000 for waveform in taught[0]]) > 0.8 and len(others) == 25

    def num_lost(adapter, seconds):
        """Return how many are not known and right, cut to so much."""
        answers = classify(bundled, [waveform[: int(48_000 * seconds)] for waveform, _ in others], [adapter] * 25)
        return sum(a.label != label or a.is_unknown for a, (_, label) in zip(answers, others, strict=True))

    adapter = fit(bundled, *taught)
    without = fit(bundled, list(hear_clips(bundled, taught[0])), taught[1])
    assert max(num_lost(adapter, 10), num_lost(without, 10)) <= 2
    assert num_lost(adapter, 4.9) <= 0.6 * num_lost(without, 4.9)  # which is what the copies are for


def through_a_telephone(waveforms):
    return [soxr.resample(soxr.resample(each, 48_000, 8000), 8000, 48_000)[: len(each)] for each in waveforms]


def test_what_a_device_leaves_out_makes_no_sound_known(bundled, monkeypatch):
    """Whatever is heard through a telephone ends at 4 kHz, what was taught and what was not."""
    labels = ("dog bark", "rooster", "person sneeze")
    (taught, names), (others, _) = recordings("train", labels), recordings("train", ("rain", "helicopter"), most=8)
    taught, others = through_a_telephone(taught), through_a_telephone(others)
    heard = through_a_telephone(recordings("held_out", labels)[0])

    def num_known(adapter, clips):
        return sum(not answer.is_unknown for answer in classify(bundled, clips, [adapter] * len(clips)))

    adapter = fit(bundled, taught, names)
    monkeypatch.setattr("aspl.fitting.closed_form.band_of", lambda *_: None)
    without = fit(bundled, taught, names)
    assert num_known(adapter, others) == 0 < num_known(without, others)
    assert num_known(adapter, heard) >= len(heard) - 2


def test_half_precision_answers_the_same_labels(bundled, adapter):
    half = FrozenClap.load(ROOT / "models" / "tiny-clap", dtype=torch.bfloat16)
    waveforms, _ = recordings("held_out", ALL_LABELS)
    moved = Adapter.from_bytes(adapter.to_bytes(), half)
    whole, rounded = (
        classify(clap, waveforms, [one] * len(waveforms)) for clap, one in ((bundled, adapter), (half, moved))
    )
    assert [answer.label for answer in whole] == [answer.label for answer in rounded]


def test_rows_of_a_mixed_batch_are_as_alone(bundled, adapter):
    cut = np.concatenate([windows(waveform)[0] for waveform in recordings("held_out")[0]])
    words = Adapter.zero_shot(bundled, LABELS)
    adapters = [adapter, words] * (len(cut) // 2)
    mixed = score(hear_windows(bundled, cut, [None] * len(cut), stages=True), adapters)
    for row, one in enumerate(adapters):
        (alone,) = score(hear_windows(bundled, cut[row : row + 1], [None], stages=True), [one])
        np.testing.assert_allclose(mixed[row].probabilities, alone.probabilities, atol=1e-5)
        assert mixed[row].known == (None if alone.known is None else pytest.approx(alone.known, abs=1e-5))


def test_thresholds_of_a_request_take_the_place_of_the_adapters(bundled, adapter):
    waveforms, _ = recordings("held_out", ("rooster",))
    features = hear_windows(bundled, windows(waveforms[0])[0], [None], stages=True)
    (scored,) = score(features, [adapter])
    assert not is_unknown(adapter, scored)
    assert is_unknown(adapter, scored, thresholds={"rooster": 1.0})
    assert not is_unknown(adapter, scored, thresholds={"rain": 1.0})
    assert not is_unknown(adapter, scored, thresholds={"rooster": 0.0})


@pytest.mark.parametrize(
    ("asked", "method"),
    [
        ({}, "ridge"),
        ({"audio_prompt": "none"}, "ridge"),
        ({"method": "ridge"}, "ridge"),
        ({"epochs": 1}, "palm"),
        ({"audio_prompt": "spectral", "epochs": 1}, "palm"),
    ],
)
def test_auto_is_closed_form_unless_training_is_asked_for(bundled, taught, asked, method):
    assert fit(bundled, *taught, config=TrainingConfig(**asked)).method == method


@pytest.mark.parametrize("method", ["ridge", "auto"])
def test_a_closed_form_tries_the_audio_prompt_that_is_asked_for(bundled, taught, method):
    phases = set()
    adapter = fit(
        bundled,
        *taught,
        config=TrainingConfig(method=method, audio_prompt="spectral"),
        on_progress=lambda progress: phases.add(progress.phase),
    )
    told = adapter.report.audio_prompt
    assert adapter.method == "ridge" and {"validate_recentred", "validate_joint"} <= phases
    assert told.requested == "spectral" and told.kept == adapter.audio_prompt
    assert told.held_out_loss.keys() == {"ridge", "recentred", "joint"}
    assert [row.name for row in adapter.report.candidates][:3] == [
        "ridge",
        "ridge under recentred",
        "ridge under joint",
    ]
    assert (adapter.prompts is None) == (told.kept == "none")
    waveforms, labels = recordings("held_out")
    assert [answer.label for answer in classify(bundled, waveforms, [adapter] * len(waveforms))] == labels


def test_a_closed_form_hears_clips_and_background_under_its_prompt(bundled, taught):
    waveforms, labels = taught
    learnt = AudioPrompts.identity(bundled, "spectral")
    learnt.spectral.beta.add_(torch.linspace(-12, 12, 64))
    told = []
    progress = FitProgress(lambda progress: told.append(progress.phase), lambda: False)
    clips = ClipFeatures(bundled, waveforms, tick=progress.tick)
    heard = list(heard_clips(clips, waveforms, tick=progress.tick))
    given = Given(bundled, heard, (), FEW_SOUNDS, log_mels=clips)
    plan = make_plan(labels, TrainingConfig(method="ridge"), logit_scale=bundled.logit_scale)
    adapter = fit_closed_form(given, learnt, plan, progress)
    assert adapter.audio_prompt == "spectral" and told.count("listen_background") > 0
    loaded = Adapter.from_bytes(adapter.to_bytes(), bundled)
    sounds, truth = recordings("held_out")
    assert [answer.label for answer in classify(bundled, sounds, [loaded] * len(sounds))] == truth


def test_too_few_clips_for_an_audio_prompt_are_fitted_without(bundled, taught):
    waveforms, labels = taught
    firsts = [labels.index(label) for label in LABELS]
    config = TrainingConfig(method="ridge", audio_prompt="spectral")
    adapter = fit(bundled, [waveforms[i] for i in firsts], [labels[i] for i in firsts], config=config)
    assert adapter.audio_prompt == "none"


@pytest.mark.parametrize("method", ["palm", "zero_shot"])
def test_every_method_knows_what_it_was_never_taught(bundled, taught, method):
    own, _ = recordings("train", ("helicopter",))
    config = TrainingConfig(method=method, audio_prompt="none")
    adapter, with_own = (fit(bundled, *taught, config=config, background=each) for each in ((), own))
    waveforms, _ = recordings("held_out")
    known = classify(bundled, waveforms, [adapter] * len(waveforms))
    assert sum(answer.is_unknown for answer in known) <= 1
    assert all(answer.is_unknown for answer in classify(bundled, foreign_sounds(), [adapter] * 4))
    heard, _ = recordings("held_out", ("helicopter",))
    before, after = (classify(bundled, heard, [each] * len(heard)) for each in (adapter, with_own))
    assert np.mean([answer.known for answer in after]) < np.mean([answer.known for answer in before])
    assert with_own.report.num_background == len(own)
    assert adapter.report.background.auroc > 0.9 and adapter.report.threshold is None


def test_no_text_is_encoded_that_weighs_nothing(bundled, taught, monkeypatch):
    def refused(texts):
        raise AssertionError("a text was encoded")

    monkeypatch.setattr(bundled, "encode_text", refused)
    assert fit(bundled, *taught, config=TrainingConfig(method="ridge")).report.text_weight == 0


def test_no_clips_are_refused_and_a_cancel_is_heard(bundled, taught):
    with pytest.raises(TrainingDataInvalid):
        fit(bundled, [], [])
    with pytest.raises(TrainingCancelled):
        fit(bundled, *taught, should_cancel=lambda: True)


def test_a_damaged_rule_is_refused(bundled, adapter):
    spoilt = replace(adapter, known=replace(adapter.known, thresholds=(0.5,)))
    with pytest.raises(AdapterInvalid, match="known"):
        Adapter.from_bytes(spoilt.to_bytes(), bundled)
