from dataclasses import replace

import numpy as np
import pytest
import torch

from aspl import Adapter, AudioPrompts, TrainingConfig, classify
from aspl.curves import TaughtCurves, clip_curve
from aspl.errors import AdapterInvalid
from aspl.heads.guarded import GuardedHead
from aspl.heads.linear import LinearHead
from aspl.prompts.audio import Affine
from tests.aspl.few_sounds import fit


@pytest.fixture(scope="module", params=["ridge", "zero_shot"])
def adapter(request, clap, clips):
    return fit(clap, *clips, config=TrainingConfig(method=request.param, audio_prompt="none"))


def test_a_curve_leaves_digital_silence_out(clap):
    noise = torch.randn(1, 480_000, generator=torch.Generator().manual_seed(0)) * 0.1
    half = noise.clone()
    half[:, 240_000:] = 0
    whole, part = (clip_curve(clap.log_mel(waveforms)) for waveforms in (noise, half))
    assert np.abs(whole - part).max() < 1.0
    assert clip_curve(clap.log_mel(torch.zeros(1, 480_000))) is None


def test_curves_are_kept_by_label_and_in_all():
    curves = [np.full(4, value) for value in (1.0, 3.0, 10.0)] + [None]
    taught = TaughtCurves.of(curves, np.array([0, 0, 1, 1]))
    assert taught.mean[:, 0].tolist() == pytest.approx([2.0, 10.0, 14 / 3])
    assert taught.deviation[:, 0].tolist() == pytest.approx([1.0, 0.0, np.std([1, 3, 10])])
    assert TaughtCurves.of([None, curves[0]], np.array([0, 1])) is None


def test_every_fit_keeps_its_curves(adapter, clap):
    curves = adapter.taught_curves
    assert curves.mean.shape == curves.deviation.shape == (len(adapter.labels) + 1, clap.mel_bins)
    assert np.allclose(curves.mean[-1], curves.mean[:-1].mean(0), atol=1e-4)  # as many clips of each
    assert np.abs(curves.mean[0] - curves.mean[1]).max() > 10
    loaded = Adapter.from_bytes(adapter.to_bytes(), clap).taught_curves
    assert np.array_equal(loaded.mean, curves.mean) and np.array_equal(loaded.deviation, curves.deviation)


def test_a_channel_is_folded_in_front_of_what_was_learnt(adapter, clap, clips, log_mel):
    shift = torch.linspace(-6, 9, clap.mel_bins)
    learnt = AudioPrompts(spectral=Affine(torch.full((clap.mel_bins,), 1.1), torch.linspace(1, 2, clap.mel_bins)))
    prompted = replace(adapter, prompts=learnt, audio_prompt="spectral", channel=shift)
    with torch.inference_mode():
        heard = clap.hear(log_mel, prompted.heard_under).joint
        expected = clap.hear(log_mel + shift, learnt).joint
    assert torch.allclose(heard, expected, atol=1e-5)
    loaded = Adapter.from_bytes(prompted.to_bytes(), clap)
    assert torch.equal(loaded.channel, shift) and torch.equal(loaded.prompts.spectral.gamma, learnt.spectral.gamma)
    answers = [classify(clap, clips[0][:1], [each])[0].scores for each in (adapter, prompted, loaded)]
    assert answers[0] != answers[1] and answers[1] == answers[2]


def as_it_was(head: LinearHead, clap) -> LinearHead:
    """The head in full precision and without what it reads of peaks."""
    before = clap.layout.without_peaks()
    matrix = torch.cat([head.matrix[:, : before.width], head.matrix[:, clap.layout.width :]], dim=1).float()
    return LinearHead(matrix, head.bias, before)


def test_the_format_before_has_no_channel(adapter, clap):
    if isinstance(adapter.head, GuardedHead):
        adapter = replace(adapter, head=adapter.head.answering, known=None)  # as that format had it
    if isinstance(adapter.head, LinearHead):
        adapter = replace(adapter, head=as_it_was(adapter.head, clap))
    with pytest.raises(AdapterInvalid, match="missing or unknown"):
        Adapter.from_bytes(replace(adapter, format_version=2).to_bytes(), clap)
    bare = replace(adapter, format_version=2, taught_curves=None)
    assert Adapter.from_bytes(bare.to_bytes(), clap).taught_curves is None
    cut = replace(adapter, channel=torch.zeros(clap.mel_bins - 1))
    with pytest.raises(AdapterInvalid, match=r"channel\.beta should be"):
        Adapter.from_bytes(cut.to_bytes(), clap)
