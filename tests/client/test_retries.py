"""What is refused for now is sent again when the answer says so, and what must not be done twice is not."""

import pytest
from earshot_client import EarshotError, Unreachable

from tests.client.scripted import BROKEN, Told, problem

JOB = {"id": "j1", "kind": "adapt", "state": "queued", "later": {"a": 1}}
FILE = b"an adapter"


def test_a_submission_is_sent_again_as_one_job(scripted, call):
    server = scripted(
        adapt=[problem(503, "queue_full", Retry_After="0.4"), problem(429, "rate"), BROKEN, Told(202, JOB)]
    )
    job = call(server.url, "teach", "farm", {"rain": [b"RIFF" * 100]}, wait=False)
    assert (job.id, job.raw["later"]) == ("j1", {"a": 1})
    first, second, *_ = asked = server.to("/adapt")
    assert len(asked) == 4
    assert second.at - first.at >= 0.4
    assert len({request.headers["idempotency-key"] for request in asked}) == 1
    assert len({request.body for request in asked}) == 1
    assert b"RIFF" * 100 in first.body


def test_calls_have_their_own_keys_or_the_given_one(scripted, call):
    server = scripted(adapt=[Told(202, JOB)])
    for options in ({}, {}, {"idempotency_key": "mine"}):
        call(server.url, "teach", "farm", {"rain": b"x"}, wait=False, **options)
    keys = [request.headers["idempotency-key"] for request in server.to("/adapt")]
    assert len(set(keys)) == 3
    assert keys[2] == "mine"


def test_at_the_end_of_retries_the_error_is_raised(scripted, call):
    server = scripted(jobs=[problem(429, "rate_limited", Retry_After="0")])
    told = []
    retries = {"retries": 2, "on_retry": lambda error, wait_s: told.append((error.code, wait_s))}
    with pytest.raises(EarshotError) as refused:
        call(server.url, "jobs", client=retries)
    error = refused.value
    assert (error.code, error.status, error.retry_after_s, str(error)) == (
        "rate_limited",
        429,
        0,
        "It is rate_limited.",
    )
    assert len(server.asked) == 3
    assert told == [("rate_limited", 0), ("rate_limited", 0)]


def test_nobody_waits_for_an_hour(scripted, call):
    server = scripted(jobs=[problem(429, "rate_limited", Retry_After="3600")])
    with pytest.raises(EarshotError) as refused:
        call(server.url, "jobs")
    assert refused.value.retry_after_s == 3600
    assert len(server.asked) == 1


@pytest.mark.parametrize(("status", "num_asked"), [(404, 1), (500, 1), (502, 3), (504, 3)])
def test_only_what_may_pass_is_tried_again(scripted, call, status, num_asked):
    server = scripted(jobs=[Told(status, b"<html>", {"Retry_After": "0"})])
    with pytest.raises(EarshotError) as refused:
        call(server.url, "jobs", client={"retries": 2})
    assert refused.value.code == f"http_{status}"
    assert len(server.asked) == num_asked


@pytest.mark.parametrize(("told", "num_asked"), [(BROKEN, 1), (problem(502, "bad", Retry_After="0"), 1)])
def test_an_import_that_may_have_arrived_is_not_sent_again(scripted, call, told, num_asked):
    server = scripted(**{"adapters/farm/file": [told, Told(201, {"version": 1})]})
    with pytest.raises(EarshotError):
        call(server.url, "import_", "farm", FILE)
    assert len(server.asked) == num_asked


def test_an_import_that_was_refused_is_sent_again(scripted, call):
    server = scripted(**{"adapters/farm/file": [problem(503, "not_ready", Retry_After="0"), Told(201, {"version": 4})]})
    assert call(server.url, "import_", "farm", FILE).version == 4
    assert [request.body for request in server.asked] == [FILE, FILE]


def test_a_broken_line_is_tried_again(scripted, call):
    server = scripted(jobs=[BROKEN, Told(200, b'{"jobs": ', breaks=True), Told(200, {"jobs": [JOB]})])
    assert [job.id for job in call(server.url, "jobs")] == ["j1"]


def test_what_does_not_answer_is_named(call):
    with pytest.raises(Unreachable, match=r"http://127\.0\.0\.1:9 does not answer") as refused:
        call("http://127.0.0.1:9/", "info", client={"retries": 0})
    assert refused.value.code == "unreachable"
    assert refused.value.__cause__ is not None


def test_other_servers_are_told_apart(scripted, call):
    server = scripted(info=[Told(200, b"<html>")], jobs=[Told(301, b"", {"Location": "https://a.example/jobs"})])
    with pytest.raises(EarshotError, match="none of earshot's"):
        call(server.url, "info")
    with pytest.raises(EarshotError, match=r"https://a\.example/jobs"):
        call(server.url, "jobs")


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "ftp://a", "http://"])
def test_what_is_no_url_is_refused(call, url):
    with pytest.raises(ValueError, match="no URL"):
        call(url, "info")


def test_the_key_and_the_prefix_go_along(scripted, call, monkeypatch):
    server = scripted(**{"tools/earshot/jobs": [Told(200, {"jobs": []})]})
    monkeypatch.setenv("EARSHOT_URL", f"{server.url}/tools/earshot/")
    monkeypatch.setenv("EARSHOT_API_KEY", "from the environment")
    for options in ({}, {"key": "given"}):
        assert call(None, "jobs", client=options) == []
    assert [asked.headers["authorization"] for asked in server.asked] == ["Bearer from the environment", "Bearer given"]
