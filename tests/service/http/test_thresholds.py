import pytest

from tests.service.sounds import tone


def put(client, name="tones", **wanted):
    return client.put(f"/adapters/{name}/thresholds", json=wanted)


def row_of(client, adapter="tones"):
    answer = client.post("/classify", files=[("audio", ("a.wav", tone(440)))], data={"adapter": adapter})
    return answer.json()["results"][0]


def test_thresholds_make_a_version_that_differs_in_nothing_else(client, publish_taught):
    publish_taught("tones", threshold=0.1)
    first, before = client.get("/adapters/tones").json(), row_of(client)
    summary = put(client, low=1, high=1).json()
    assert (summary["current"], summary["adapter"]["is_current"]) == (2, True)
    assert summary["adapter"]["thresholds"] == {"low": 1.0, "high": 1.0}
    assert "version 1" in summary["adapter"]["promoted"]["reason"]
    same = ("labels", "method", "shots", "seed", "report", "num_parameters", "template", "model")
    assert [summary["adapter"][name] for name in same] == [first["adapter"][name] for name in same]
    after = row_of(client)
    assert (before["unknown"], after["unknown"]) == (False, True)
    assert {**before, "unknown": True} == after


def test_labels_that_are_not_named_keep_their_threshold(client, publish_taught):
    publish_taught("tones", threshold=0.1)
    assert put(client, low=0.7).json()["adapter"]["thresholds"] == {"low": 0.7, "high": 0.1}
    assert put(client, "tones@1", high=0.8).json()["adapter"]["thresholds"] == {"low": 0.1, "high": 0.8}
    assert client.get("/adapters/tones").json()["versions"] == [1, 2, 3]


@pytest.mark.parametrize(
    ("sensitivity", "threshold"), [("high", 0.25), ("normal", 0.6), ("low", 0.6), ("balanced", 0.6)]
)
def test_a_sensitivity_stands_for_thresholds(client, publish_taught, sensitivity, threshold):
    publish_taught("tones", threshold=0.6)
    summary = put(client, sensitivity=sensitivity).json()
    assert summary["adapter"]["thresholds"] == dict.fromkeys(["low", "high"], threshold)


@pytest.mark.parametrize(
    ("wanted", "named"),
    [
        ({"snow": 0.5}, "'snow'"),
        ({"low": 1.5}, "'low'"),
        ({"low": "high"}, "'low'"),
        ({"sensitivity": "utmost"}, "balanced"),
        ({"sensitivity": "high", "low": 0.5}, "either"),
        ({}, "sensitivity"),
    ],
)
def test_what_cannot_be_set_is_named_and_changes_nothing(client, publish_taught, wanted, named):
    publish_taught("tones")
    answer = put(client, **wanted)
    assert (answer.status_code, answer.json()["code"]) == (422, "thresholds_invalid")
    assert named in answer.json()["detail"]
    assert client.get("/adapters/tones").json()["versions"] == [1]


def test_an_adapter_of_the_first_release_takes_one_threshold_for_all_labels(client, publish):
    publish("animals", ["dog", "cat"])
    assert not row_of(client, "animals")["unknown"]
    assert put(client, "animals", dog=1, cat=1).json()["adapter"]["threshold"] == 1
    assert row_of(client, "animals")["unknown"]
    for wanted in ({"dog": 0.5}, {"dog": 0.5, "cat": 0.6}, {"sensitivity": "high"}):
        answer = put(client, "animals", **wanted)
        assert (answer.status_code, answer.json()["code"]) == (409, "thresholds_unsupported")
        assert "teach it again" in answer.json()["detail"]
        assert "retry-after" not in answer.headers


def test_an_adapter_that_is_not_there_is_not_found(client):
    assert put(client, "none", low=0.5).json()["code"] == "adapter_not_found"


def test_a_body_that_is_not_said_to_be_json_is_told_so(client, publish_taught):
    publish_taught("tones")
    answer = client.put("/adapters/tones/thresholds", content=b'{"low": 0.5}')
    assert answer.status_code == 422 and "Content-Type: application/json" in answer.json()["detail"]
