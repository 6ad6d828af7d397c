"""Taught on one microphone and heard through another: the channel is noticed, and put right without any audio sent."""

import io

import httpx2
import numpy as np
import pytest
import soundfile

from benchmarks.channel_draws import Microphone
from tests.e2e.sounds import EXAMPLES, clips
from tests.sound_filters import SAMPLE_RATE_HZ

LABELS = sorted(path.name for path in (EXAMPLES / "train").iterdir())
ROUNDS = 2
MICROPHONE = Microphone.drawn(0)


def through_another_microphone(data: bytes) -> bytes:
    samples, rate_hz = soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)
    wav = io.BytesIO()
    at_48k = np.interp(
        np.arange(0, len(samples) / rate_hz, 1 / SAMPLE_RATE_HZ), np.arange(len(samples)) / rate_hz, samples.mean(1)
    )
    soundfile.write(wav, MICROPHONE.through(at_48k.astype(np.float32)), SAMPLE_RATE_HZ, format="WAV")
    return wav.getvalue()


def wait(client, job):
    with client.stream("GET", f"/jobs/{job['id']}/events") as events:
        for _ in events.iter_text():
            continue
    return client.get(f"/jobs/{job['id']}").json()


@pytest.fixture
def client(stack):
    with httpx2.Client(base_url=stack.apis[0].address, timeout=120) as client:
        yield client


@pytest.mark.slow
def test_a_channel_is_noticed_and_put_right_and_can_be_rolled_back(client):
    teaching = [(label, clip) for label in LABELS for clip in clips(label)[:4]]
    files = [("clips", clip) for _, clip in teaching]
    job = client.post("/adapt", files=files, data={"name": "porch", "labels": [label for label, _ in teaching]}).json()
    assert wait(client, job)["state"] == "succeeded"
    live = [(label, clip) for label in LABELS for clip in clips(label)[4:] + clips(label, part="held_out")]
    audio = [("audio", (f"{n}.wav", through_another_microphone(data))) for n, (_, (_, data)) in enumerate(live)]

    def right() -> int:
        results = client.post("/classify", files=audio, data={"adapter": "porch"}).json()["results"]
        return sum(result["label"] == label for result, (label, _) in zip(results, live, strict=True))

    before = [right() for _ in range(ROUNDS)]
    channel = client.get("/adapters/porch").json()["channel"]
    assert channel["advised"] and channel["clips"] == ROUNDS * len(live) and channel["difference_db"] > 2, channel
    job = wait(client, client.post("/adapters/porch/recalibrate").json())
    assert job["state"] == "succeeded" and job["kind"] == "recalibrate" and job["promoted"]["current"], job
    assert job["report"]["check"] == "evidence" and job["adapter"]["version"] == 2
    assert client.get("/adapters/porch").json()["adapter"]["recalibration"] == job["report"]
    after = right()
    assert after >= before[0] + 4, (before, after)
    # One of each label: of one alone the head would learn that what sounds of the other microphone is that.
    corrected = [[other for other, _ in live].index(label) for label in LABELS]
    corrections = [("clips", audio[clip][1]) for clip in corrected]
    form = {"name": "porch", "base": "porch", "labels": LABELS, "promote": "always"}
    job = wait(client, client.post("/adapt", files=corrections, data=form).json())
    assert job["adapter"]["version"] == 3, job
    assert client.get("/adapters/porch").json()["adapter"]["changes"]["through_channel"] == len(LABELS)
    rows = client.get("/adapters/porch/clips?limit=100").json()["clips"]
    assert [row["channel"] is not None for row in rows] == [False] * len(teaching) + [True] * len(LABELS)
    assert right() > after
    client.put("/adapters/porch/current", json={"version": 1})
    assert right() == before[0]
    assert client.delete("/adapters/porch").status_code == 204
