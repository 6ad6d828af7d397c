import io

import numpy as np
import pytest
import soundfile
from service.inference.window_budget import WindowBudget

from aspl.sound.clip import num_windows, windows
from service.inference import decoding
from service.inference.errors import InferenceError
from tests.service.sounds import RATE_HZ

LABELS = {"labels": ["dog", "cat"]}


@pytest.fixture
def budget():
    return WindowBudget(max_windows=10, max_tenant_windows=8, max_request_windows=6)


def refusal(reserve, num_windows):
    with pytest.raises(InferenceError) as refused:
        reserve(num_windows)
    return refused.value.code, refused.value.limit


def test_requests_tenants_and_all_are_bounded_and_an_end_makes_room(budget):
    with budget.of_request("acme") as first, budget.of_request("acme") as second, budget.of_request("other") as third:
        first(4)
        first(2)
        assert refusal(first, 1) == ("too_many_windows", ("max_request_windows", 6))
        second(2)
        assert refusal(second, 1) == ("tenant_overloaded", ("max_tenant_held_windows", 8))
        third(2)
        assert refusal(third, 1) == ("overloaded", ("max_held_windows", 10))
    with budget.of_request("acme") as reserve:
        reserve(6)


def silence(duration_s):
    """A FLAC file, many thousand times smaller than what it decodes to."""
    file = io.BytesIO()
    soundfile.write(file, np.zeros(int(duration_s * RATE_HZ), np.float32), RATE_HZ, format="FLAC")
    return file.getvalue()


@pytest.fixture
def settings(settings):
    return settings.model_copy(update={"max_request_windows": 12})


def test_what_a_request_may_not_have_is_not_even_cut(client, monkeypatch):
    cut = []
    monkeypatch.setattr(
        decoding, "windows", lambda waveform: cut.append(num_windows(len(waveform))) or windows(waveform)
    )
    files = [("audio", (f"{number}.flac", silence(50))) for number in range(8)]  # 9 windows each
    answer = client.post("/classify", files=files, data=LABELS)
    assert (answer.status_code, answer.json()["code"]) == (422, "too_many_windows")
    assert cut == [9]
    assert client.post("/classify", files=files[:1], data=LABELS).status_code == 200  # all was given back


@pytest.mark.parametrize("num_samples", [1, 480_000, 480_001, 720_000, 720_001, 28_800_000])
def test_windows_are_counted_as_they_are_cut(num_samples):
    assert num_windows(num_samples) == len(windows(np.zeros(num_samples, np.float32))[1])
