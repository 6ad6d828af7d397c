from dataclasses import replace

import numpy as np
import pytest
import torch

from aspl import Adapter, TrainingConfig, classify, fit
from aspl.background import shipped_library
from aspl.errors import TrainingDataInvalid
from aspl.fitting.clip_features import ClipFeatures
from aspl.fitting.heard_clip import CHUNK_CLIPS, HeardClip, hear_clips
from aspl.fitting.live_clip import LiveClip
from aspl.fitting.speed_copies import copies_for
from aspl.prompts.audio import AudioPrompts
from aspl.sound.level import HEARD_AT_DB

RATE_HZ = 48_000


def tone(number: int, seconds: float = 1.0) -> np.ndarray:
    times = np.arange(int(RATE_HZ * seconds)) / RATE_HZ
    noise = 0.01 * np.random.default_rng(number).normal(size=len(times))
    return (0.3 * np.sin(2 * np.pi * (200 + 900 * (number % 2) + 30 * number) * times) + noise).astype(np.float32)


@pytest.fixture(scope="module")
def waveforms():
    return [tone(number, 1.0 if number % 3 else 21.0) for number in range(8)]


LABELS = ["low", "high"] * 4


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    return shipped_library(tmp_path_factory.mktemp("background"))


def test_a_heard_clip_survives_its_bytes(clap, waveforms):
    heard = list(hear_clips(clap, [*waveforms[:2], np.zeros(RATE_HZ, np.float32)]))
    for clip in heard:
        again = HeardClip.from_bytes(clip.to_bytes())
        assert np.array_equal(again.stages, clip.stages) and np.array_equal(again.joint, clip.joint)
        assert again.order == clip.order
        assert (again.curve is None) == (clip.curve is None)
    assert heard[2].curve is None and heard[0].curve is not None


@pytest.mark.parametrize("data", [b"", b"heh1", b"x" * 200])
def test_other_bytes_are_no_heard_clip(data):
    with pytest.raises(TrainingDataInvalid):
        HeardClip.from_bytes(data)


def test_a_fit_of_heard_clips_is_the_fit_of_their_waveforms(clap, waveforms, library):
    copies = copies_for(len(waveforms))
    heard = [HeardClip.from_bytes(clip.to_bytes()) for clip in hear_clips(clap, waveforms, copies=copies)]
    mixed = [*heard[:3], *waveforms[3:6], *heard[6:]]
    background = [tone(40), tone(41)]
    whole = fit(clap, waveforms, LABELS, background=background, library=library)
    for given in (heard, mixed):
        adapter = fit(clap, given, LABELS, background=list(hear_clips(clap, background)), library=library)
        for name, tensor in whole.tensors().items():
            np.testing.assert_allclose(adapter.tensors()[name].cpu(), tensor.cpu(), atol=1e-4, rtol=1e-3)
        assert [a and a.label for a in adapter.held_out] == [a and a.label for a in whole.held_out]
    assert len(whole.held_out) == 8 and all(0 <= answer.score <= 1 for answer in whole.held_out)


def test_copies_count_where_all_clips_have_them(clap, waveforms, library):
    plain, copied = (list(hear_clips(clap, waveforms, copies=copies)) for copies in (0, 2))
    alone, together, some = (
        fit(clap, given, LABELS, library=library).head.matrix.float()
        for given in (plain, copied, [*copied[:7], plain[7]])
    )
    assert torch.equal(some, alone)  # a version of an earlier release that goes on has none of most
    assert not torch.allclose(together, alone, atol=1e-3, rtol=1e-2)


def test_clips_that_an_earlier_release_heard_are_fitted_without_peaks(clap, waveforms, library):
    before = clap.layout.without_peaks()
    heard = list(hear_clips(clap, waveforms))
    earlier = [replace(clip, stages=clip.stages[: before.width]) for clip in heard]
    background = [tone(40), tone(41)]
    whole = fit(clap, earlier, LABELS, background=list(hear_clips(clap, background)), library=library)
    for given in ([*heard[:3], *earlier[3:]], [*waveforms[:3], *earlier[3:]]):
        adapter = fit(clap, given, LABELS, background=background, library=library)
        assert adapter.head.layout == before and adapter.head.matrix.shape == (3, before.width + clap.joint_width)
        assert torch.allclose(adapter.head.matrix.float(), whole.head.matrix.float(), atol=1e-3, rtol=1e-2)
        again = Adapter.from_bytes(adapter.to_bytes(), clap)
        answers = classify(clap, waveforms, [again] * len(waveforms))
        assert answers == classify(clap, waveforms, [adapter] * len(waveforms))
    full = fit(clap, waveforms, LABELS, background=background, library=library)
    assert full.head.layout == clap.layout != before
    mixed = classify(clap, waveforms[:3], [full, again, full])
    alone = [classify(clap, waveforms[n : n + 1], [each])[0] for n, each in enumerate((full, again, full))]
    assert [answer.scores for answer in mixed] == [pytest.approx(answer.scores, abs=1e-4) for answer in alone]


def test_what_an_earlier_release_kept_of_a_clip_is_read(clap, waveforms):
    (clip,) = hear_clips(clap, waveforms[:1])
    earlier = replace(clip, stages=clip.stages[: clap.layout.without_peaks().width])
    data = b"heh1" + earlier.to_bytes()[4:]
    assert np.array_equal(HeardClip.from_bytes(data).stages, earlier.stages)
    assert clip.to_bytes()[:4] == b"heh2"  # which that release refuses


def test_waveforms_are_taken_no_sooner_than_they_are_heard(clap):
    taken = []

    def waveforms():
        for number in range(2 * CHUNK_CLIPS):
            taken.append(number)
            yield tone(number % 4, 0.2)

    next(hear_clips(clap, waveforms()))
    assert len(taken) == CHUNK_CLIPS


def test_a_trained_method_wants_audio(clap, waveforms, library):
    heard = list(hear_clips(clap, waveforms))
    with pytest.raises(TrainingDataInvalid, match="palm is trained on audio"):
        fit(clap, heard, LABELS, config=TrainingConfig(method="palm"), library=library)


def test_a_clip_that_was_never_held_out_has_no_answer(clap, waveforms, library):
    adapter = fit(clap, waveforms[:3], ["low", "high", "low"], library=library)
    assert adapter.held_out[1] is None and adapter.held_out[0] is not None
    trained = fit(clap, waveforms, LABELS, config=TrainingConfig(method="palm", epochs=1), library=library)
    assert len(trained.held_out) == 8 and None not in trained.held_out


def test_a_live_clip_is_heard_behind_its_channel(clap, waveforms):
    shift = np.linspace(-9, 9, clap.mel_bins, dtype=np.float32)
    plain, live = hear_clips(clap, [waveforms[0], LiveClip(waveforms[0], shift)])
    behind = AudioPrompts().behind(torch.from_numpy(shift))
    features = ClipFeatures(clap, waveforms[:1], level_db=HEARD_AT_DB, tick=lambda: None)
    expected = features.hear([0], behind, stages=True, tick=lambda: None)
    assert live.joint == pytest.approx(expected.joint[0].numpy(), abs=1e-5)
    assert live.stages == pytest.approx(expected.stages[0].numpy(), abs=1e-4)
    assert np.abs(live.stages - plain.stages).max() > 0.01
    assert live.curve == pytest.approx(plain.curve + shift, abs=1e-3)
    # Digital silence came through no microphone, however much is added to it.
    loud = LiveClip(np.zeros(RATE_HZ, np.float32), np.full(clap.mel_bins, 60, np.float32))
    (silent,) = hear_clips(clap, [loud])
    assert silent.curve is None and silent.is_silent


@pytest.mark.parametrize("method", ["ridge", "palm"])
def test_a_fit_of_live_clips_is_that_of_clips_brought_back(clap, waveforms, library, method):
    shift = np.linspace(-9, 9, clap.mel_bins, dtype=np.float32)
    config = TrainingConfig(method=method, epochs=2) if method == "palm" else TrainingConfig(method=method)
    fits = {
        name: fit(clap, clips, LABELS, config=config, library=library)
        for name, clips in {
            "plain": waveforms,
            "live": [LiveClip(waveform, shift) for waveform in waveforms],
            "back": [LiveClip(waveform, 0 * shift) for waveform in waveforms],
        }.items()
    }
    plain, live, back = (fits[name].tensors() for name in ("plain", "live", "back"))
    assert all(torch.equal(plain[name], back[name]) for name in plain)
    assert any(not torch.equal(plain[name], live[name]) for name in plain if not name.startswith("taught"))


def test_a_channel_of_other_bins_is_refused(clap, waveforms):
    with pytest.raises(TrainingDataInvalid, match="a channel of 3 mel bins"):
        list(hear_clips(clap, [LiveClip(waveforms[0], np.zeros(3, np.float32))]))
