"""Server-sent events, and a job followed over lines that break."""

import json

import pytest
from earshot_client import JobFailed, Unreachable
from earshot_client.event_stream import EventParser

from tests.client.scripted import Told, problem

TEXT = 'id: 1-0\nevent: job\ndata: {"a": "é"}\n\n: ping\n\nid: 2-0\r\ndata: x\r\ndata:y\r\n\r\ndata: z\n\ndata: cut'


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_events_out_of_pieces_of_any_size(size):
    parser, data = EventParser(), TEXT.encode()
    events = [event for start in range(0, len(data), size) for event in parser.feed(data[start : start + size])]
    assert [(event.id, event.data) for event in events] == [("1-0", '{"a": "é"}'), ("2-0", "x\ny"), ("2-0", "z")]


def stream(*events, breaks=True):
    text = "".join(
        f"id: {id}\nevent: job\ndata: {json.dumps({'id': 'j1', 'state': state})}\n\n" for id, state in events
    )
    return Told(200, text.encode(), {"Content-Type": "text/event-stream"}, breaks=breaks)


def follow(server, call, **options):
    return [(event.id, event.job.state) for event in call(server.url, "events", "j1", **options)]


def last_ids(server):
    return [asked.headers.get("last-event-id") for asked in server.to("/jobs/j1/events")]


def test_a_stream_is_taken_up_after_its_last_event(scripted, call):
    streams = [
        stream(("1-0", "queued"), ("2-0", "running")),
        stream(),
        problem(503, "redis_unavailable", Retry_After="0"),
        stream(("3-0", "running"), breaks=False),  # a service that ends
        stream(("4-0", "succeeded")),
    ]
    server = scripted(**{"jobs/j1/events": streams})
    found = follow(server, call)
    assert found == [("1-0", "queued"), ("2-0", "running"), ("3-0", "running"), ("4-0", "succeeded")]
    assert last_ids(server) == [None, "2-0", "2-0", "2-0", "3-0"]


def test_a_stream_without_events_of_a_job_that_has_ended_is_the_end(scripted, call):
    job = Told(200, {"id": "j1", "state": "succeeded"})
    server = scripted(**{"jobs/j1/events": [stream(breaks=False)], "jobs/j1": [job]})
    assert follow(server, call, after="9-0") == []
    assert last_ids(server) == ["9-0"]


def test_a_line_that_keeps_breaking_is_told(scripted, call):
    server = scripted(**{"jobs/j1/events": [stream()]})
    with pytest.raises(Unreachable):
        follow(server, call, client={"retries": 1})
    assert len(server.asked) == 2


def test_waiting_ends_with_the_whole_job(scripted, call):
    job = Told(200, {"id": "j1", "state": "succeeded", "kind": "evaluate", "report": {"report": {"accuracy": 0.9}}})
    server = scripted(**{"jobs/j1/events": [stream(("1-0", "running"), ("2-0", "succeeded"))], "jobs/j1": [job]})
    told = []
    found = call(server.url, "wait", "j1", on_progress=told.append)
    assert found.evaluation.report.accuracy == 0.9
    assert [job.state for job in told] == ["running", "succeeded"]


@pytest.mark.parametrize(
    ("ended", "code"),
    [
        ({"state": "failed", "error": {"code": "worker_died", "detail": "It died."}}, "worker_died"),
        ({"state": "cancelled", "error": None}, "job_cancelled"),
    ],
)
def test_a_job_that_does_not_succeed_is_raised(scripted, call, ended, code):
    job = Told(200, {"id": "j1", **ended})
    server = scripted(**{"jobs/j1/events": [stream(("1-0", ended["state"]))], "jobs/j1": [job]})
    with pytest.raises(JobFailed) as failed:
        call(server.url, "wait", "j1")
    assert failed.value.code == code
    assert failed.value.job.state == ended["state"]
