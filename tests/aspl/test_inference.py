from dataclasses import replace

import numpy as np
import pytest
import torch

from aspl import Adapter, AudioFeatures, TrainingConfig, classify
from aspl.inference import hear_windows, score
from aspl.sound.level import HEARD_AT_DB
from tests.aspl.few_sounds import fit


@pytest.fixture(scope="module")
def adapters(clap, clips):
    """Adapters that differ in method, audio prompt and number of classes."""
    waveforms, labels = clips
    paper = {"preset": "paper", "epochs": 1, "learning_rate": 0.5}
    return [
        fit(clap, waveforms, labels, config=TrainingConfig(method="palm", audio_prompt="aspl_star", **paper)),
        fit(clap, waveforms, labels, config=TrainingConfig(method="cocoop", audio_prompt="spectral", **paper)),
        fit(clap, waveforms[3:], labels[3:], config=TrainingConfig(method="coop", audio_prompt="aspl", **paper)),
        Adapter.zero_shot(clap, [f"label {index}" for index in range(20)]),
    ]


def test_a_mixed_batch_says_what_each_adapter_says_alone(clap, clips, adapters):
    rows = [adapters[index % 4] for index in range(9)]
    mixed = classify(clap, clips[0], rows)
    alone = [classify(clap, [clip], [adapter])[0] for clip, adapter in zip(clips[0], rows, strict=True)]
    for together, single in zip(mixed, alone, strict=True):
        assert together.scores.keys() == single.scores.keys()
        assert np.allclose(list(together.scores.values()), list(single.scores.values()), atol=1e-4)
    assert mixed[0] != mixed[4]


@torch.inference_mode()
def test_embeddings_and_logits_of_a_mixed_batch_stay_within_bounds(clap, clips, adapters):
    windows = np.stack([np.tile(clip, 10) for clip in clips[0][:4]])
    mixed = hear_windows(clap, windows, [adapter.prompts for adapter in adapters])
    for row, adapter in enumerate(adapters):
        alone = hear_windows(clap, windows[row : row + 1], [adapter.prompts])
        assert torch.allclose(mixed.joint[row], alone.joint[0], atol=1e-5)
        assert torch.allclose(adapter.logits(mixed[row : row + 1]), adapter.logits(alone), atol=1e-3)


def test_a_batch_may_be_encoded_in_parts(clap, clips, adapters):
    windows = np.stack([np.tile(clip, 10) for clip in clips[0][:4]])
    prompts = [adapter.prompts for adapter in adapters]
    parts = hear_windows(clap, windows, prompts, batch_size=3)
    assert torch.allclose(parts.joint, hear_windows(clap, windows, prompts).joint, atol=1e-5)


def test_rows_of_cocoop_share_their_text_passes(clap, adapters, monkeypatch):
    calls = []
    encode = type(clap).encode_token_embeddings
    monkeypatch.setattr(
        type(clap), "encode_token_embeddings", lambda *args, **kw: calls.append(len(args[1])) or encode(*args, **kw)
    )
    embeddings = torch.nn.functional.normalize(torch.randn(4, clap.joint_width), dim=-1)
    stages = torch.rand(4, clap.statistics_width)
    score(AudioFeatures(embeddings, stages), [adapters[1], adapters[0], adapters[1], adapters[1]])
    assert calls == [3 * 3]


def test_a_clip_is_the_normalised_mean_of_its_windows():
    windows = AudioFeatures(torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([[1.0], [4.0]]))
    assert torch.allclose(windows.pool().joint, torch.tensor([[0.5**0.5, 0.5**0.5]]))
    assert torch.equal(windows.pool().stages, torch.tensor([[2.5]]))


def test_the_same_clip_gives_the_same_scores(clap, clips, adapters):
    assert classify(clap, clips[0][:1], adapters[:1]) == classify(clap, clips[0][:1], adapters[:1])


def test_lengths_must_agree(clap, clips, adapters):
    with pytest.raises(ValueError, match="9 clips and 4 adapters"):
        classify(clap, clips[0], adapters)
    assert classify(clap, [], []) == []


def test_how_far_a_recorder_was_turned_up_changes_no_answer(clap, clips):
    waveforms, labels = clips
    levelled = fit(clap, waveforms, labels)
    assert levelled.level_db == HEARD_AT_DB
    quiet = [np.float32(0.1) * waveform for waveform in waveforms]
    loud = [4 * waveform for waveform in waveforms]
    said, said_quiet, said_loud = (classify(clap, each, [levelled] * 9) for each in (waveforms, quiet, loud))
    for plain, *others in zip(said, said_quiet, said_loud, strict=True):
        for other in others:
            assert other.known == pytest.approx(plain.known, abs=1e-3)
            assert other.scores == pytest.approx(plain.scores, abs=1e-3)
    assert Adapter.from_bytes(levelled.to_bytes(), clap).level_db == HEARD_AT_DB


def test_adapters_that_hear_at_a_level_and_such_that_do_not_share_a_batch(clap, clips):
    waveforms, labels = clips
    levelled = fit(clap, waveforms, labels)
    as_recorded = replace(levelled, level_db=None)
    quiet = np.float32(0.05) * waveforms[0]
    both = classify(clap, [quiet, quiet], [levelled, as_recorded])
    (alone,), (other,) = (classify(clap, [quiet], [each]) for each in (levelled, as_recorded))
    assert [both[0].known, both[1].known] == pytest.approx([alone.known, other.known], abs=1e-4)
    assert abs(alone.known - other.known) > 0.01
