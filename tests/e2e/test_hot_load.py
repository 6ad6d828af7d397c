"""An adapter that did not exist is trained and used, with no restart."""

import httpx2
import pytest

from tests.e2e.sounds import clips

LABELS = ("dog bark", "rain")


@pytest.fixture
def client(stack):
    with httpx2.Client(base_url=stack.apis[0].address, timeout=120) as client:
        yield client


@pytest.mark.slow
def test_classify_adapt_classify(client):
    question = {"files": [("audio", clips("rain", part="held_out")[0])], "data": {"adapter": "weather"}}
    assert client.post("/classify", **question).json()["code"] == "adapter_not_found"
    files = [("clips", clip) for label in LABELS for clip in clips(label)[:3]]
    labels = [label for label in LABELS for _ in range(3)]
    data = {"name": "weather", "labels": labels, "audio_prompt": "none", "epochs": "2"}
    job = client.post("/adapt", files=files, data=data).json()
    with client.stream("GET", f"/jobs/{job['id']}/events") as events:
        said = "".join(events.iter_text())
    assert '"state": "succeeded"' in said.strip().rpartition("data: ")[2], said
    answer = client.post("/classify", **question)
    assert answer.status_code == 200
    assert answer.json()["adapter"]["version"] == 1
    assert {score["label"] for score in answer.json()["results"][0]["scores"]} == set(LABELS)
