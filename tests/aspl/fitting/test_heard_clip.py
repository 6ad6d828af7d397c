import numpy as np
import pytest

from aspl import TrainingConfig, fit
from aspl.background import shipped_library
from aspl.errors import TrainingDataInvalid
from aspl.fitting.heard_clip import CHUNK_CLIPS, HeardClip, hear_clips

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
    heard = [HeardClip.from_bytes(clip.to_bytes()) for clip in hear_clips(clap, waveforms)]
    mixed = [*heard[:3], *waveforms[3:6], *heard[6:]]
    background = [tone(40), tone(41)]
    whole = fit(clap, waveforms, LABELS, background=background, library=library)
    for given in (heard, mixed):
        adapter = fit(clap, given, LABELS, background=list(hear_clips(clap, background)), library=library)
        for name, tensor in whole.tensors().items():
            np.testing.assert_allclose(adapter.tensors()[name].cpu(), tensor.cpu(), atol=1e-4, rtol=1e-3)
        assert [a and a.label for a in adapter.held_out] == [a and a.label for a in whole.held_out]
    assert len(whole.held_out) == 8 and all(0 <= answer.score <= 1 for answer in whole.held_out)


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
