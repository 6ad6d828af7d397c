import json

import pytest
import structlog

from tests.service.sounds import tone

CLIPS = [("clips", ("secret-a.wav", tone(440))), ("clips", ("secret-b.wav", tone(900)))]


@pytest.fixture
def lines():
    """What is logged, each line as a dictionary."""
    processors, found = structlog.get_config()["processors"], []

    def keep(logger, method, event):
        found.append(dict(event, level=method))
        raise structlog.DropEvent

    structlog.configure(processors=[structlog.contextvars.merge_contextvars, keep])
    yield found
    structlog.configure(processors=processors)


def test_a_request_is_logged_with_whose_it_is_and_what_it_names(client, context, publish, lines):
    publish("animals", ["secret dog", "secret cat"], tenant="acme")
    headers = {"X-API-Key": context.keys.add("acme"), "X-Request-ID": "r1"}
    files = [("audio", ("secret.wav", tone(440)))]
    client.post("/classify", files=files, data={"adapter": "animals"}, headers=headers)
    client.post("/classify", files=files, data={"labels": ["secret a", "secret b"]}, headers=headers)
    data = {"name": "birds", "labels": ["secret a", "secret b"], "description": "secret"}
    job = client.post("/adapt", files=CLIPS, data=data, headers=headers).json()
    named, zero_shot, adapted = [line for line in lines if line["event"] == "request"]
    assert {line["request_id"] for line in (named, zero_shot, adapted)} == {"r1"}
    assert {line["tenant"] for line in (named, zero_shot, adapted)} == {"acme"}
    assert (named["adapter"], named["status"]) == ("animals@1", 200)
    assert "adapter" not in zero_shot
    assert (adapted["adapter"], adapted["job"], adapted["status"]) == ("birds", job["id"], 202)
    assert "secret" not in json.dumps(lines, default=str)
    assert headers["X-API-Key"] not in json.dumps(lines, default=str)


def test_nothing_of_one_request_is_logged_with_the_next(client, publish, lines):
    publish("animals", ["dog", "cat"])
    client.post("/classify", files=[("audio", ("a.wav", tone(440)))], data={"adapter": "animals"})
    client.get("/jobs")
    named, plain = [line for line in lines if line["event"] == "request"]
    assert "adapter" in named and "adapter" not in plain
