import json
import threading
import time
from typing import get_args

import httpx2
import pytest
from redis.asyncio import Redis
from redis.asyncio.client import Pipeline
from redis.exceptions import ConnectionError, TimeoutError

from aspl.progress import PHASES
from jobs.kinds import KINDS
from service import job_events
from service.http.schemas import Phase
from service.inference.account import Resource
from tests.service.sounds import tone

CLIPS = [("clips", ("a.wav", tone(440))), ("clips", ("b.wav", tone(900)))]

NUM_STREAMS = 130


@pytest.fixture
def job(client):
    return client.post("/adapt", files=CLIPS, data={"name": "animals", "labels": ["dog", "cat"]}).json()


def parse(text):
    """The events in a stream: (id, data)."""
    events = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line and not line.startswith(":"))
        if "data" in fields:
            events.append((fields["id"], json.loads(fields["data"])))
    return events


def test_jobs_are_listed_newest_first_by_pages(client):
    for name in ("one", "two", "three"):
        client.post("/adapt", files=CLIPS, data={"name": name, "labels": ["dog", "cat"]})
    first = client.get("/jobs", params={"limit": 2}).json()
    second = client.get("/jobs", params={"limit": 2, "after": first["next"]}).json()
    assert [len(first["jobs"]), len(second["jobs"]), second["next"]] == [2, 1, None]
    times = [row["created_at"] for row in first["jobs"] + second["jobs"]]
    assert times == sorted(times, reverse=True)


def test_a_job_is_its_tenants_alone(client, context, job):
    headers = {"X-API-Key": context.keys.add("other")}
    for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/events")):
        answer = client.request(method, f"/jobs/{job['id']}{path}", headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (404, "job_not_found")


def test_cancelling_ends_a_waiting_job(client, job):
    assert client.delete(f"/jobs/{job['id']}").json()["state"] == "cancelled"
    assert client.delete(f"/jobs/{job['id']}").json()["state"] == "cancelled"


def test_events_end_with_the_service(address, context, monkeypatch):
    monkeypatch.setattr(job_events, "BLOCK_S", 0.1)
    job = httpx2.post(f"{address}/adapt", files=CLIPS, data={"name": "animals", "labels": ["dog", "cat"]}).json()
    with httpx2.stream("GET", f"{address}/jobs/{job['id']}/events", timeout=10) as events:
        lines = events.iter_lines()
        assert next(lines) == "event: job"
        context.is_draining = True
        assert len(parse("\n".join(lines))) <= 1  # and the answer is whole: a cut one raises


def test_events_are_followed_until_the_end_and_resumed(address, context):
    url = f"{address}/adapt"
    job = httpx2.post(url, files=CLIPS, data={"name": "animals", "labels": ["dog", "cat"]}).json()
    url = f"{address}/jobs/{job['id']}/events"
    seen = []

    def work():
        for epoch in (1, 2, 3):
            context.jobs.records.update(job["id"], state="running", progress={**job["progress"], "epoch": epoch})
        context.jobs.records.update(job["id"], state="succeeded", adapter={"name": "animals", "version": 1})

    with httpx2.stream("GET", url, timeout=20) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        worker = threading.Timer(0.3, work)
        worker.start()
        seen = parse("".join(stream.iter_text()))
    worker.join()
    assert [data["state"] for _, data in seen] == ["queued", "running", "running", "running", "succeeded"]
    shown = httpx2.get(f"{address}/jobs/{job['id']}").json()
    assert shown.pop("report") is None and seen[-1][1] == shown  # a report is with the job alone
    resumed = parse(httpx2.get(url, headers={"Last-Event-ID": seen[2][0]}, timeout=20).text)
    assert resumed == seen[3:]
    assert parse(httpx2.get(url, headers={"Last-Event-ID": seen[-1][0]}, timeout=20).text) == []


class Outage:
    """Redis is away for some calls of one command; `before` says which, and what else happens then."""

    def __init__(self, monkeypatch, command, before):
        owner = {"execute": Pipeline, "xread": Redis}[command]
        self._call = getattr(owner, command)
        self._before = before
        self.num_calls = 0
        monkeypatch.setattr(owner, command, lambda *arguments, **options: self.call(*arguments, **options))
        for name in ("BLOCK_S", "CHECK_S", "RETRY_S"):
            monkeypatch.setattr(job_events, name, 0.01)

    async def call(self, *arguments, **options):
        self.num_calls += 1
        self._before(self.num_calls)
        return await self._call(*arguments, **options)


def states(client, job):
    answer = client.get(f"/jobs/{job['id']}/events")
    return [data["state"] for _, data in parse(answer.text)]


@pytest.mark.parametrize("error", [ConnectionError, TimeoutError])
@pytest.mark.parametrize("command", ["execute", "xread"])
def test_events_of_an_ended_job_outlast_an_outage_of_redis(client, context, job, monkeypatch, command, error):
    def before(number):
        if number < 3:
            raise error("away")

    client.delete(f"/jobs/{job['id']}")
    outage = Outage(monkeypatch, command, before)
    assert states(client, job) == ["queued", "cancelled"]
    assert outage.num_calls >= 3


@pytest.mark.parametrize("command", ["execute", "xread"])
def test_an_outage_of_redis_is_no_end_of_a_live_job(client, context, job, monkeypatch, command):
    def before(number):
        if number in (2, 3):  # after the events so far were read
            raise ConnectionError("away")
        if number == 5:
            context.jobs.queue.cancel("local", job["id"])

    Outage(monkeypatch, command, before)
    assert states(client, job) == ["queued", "cancelled"]


def test_the_document_names_every_phase_of_a_job():
    assert {"queued", *PHASES, *(set(KINDS) - {"adapt"}), "publishing"} == set(get_args(Phase))


def test_many_more_streams_than_redis_connections_are_told(address, context):
    job = httpx2.post(f"{address}/adapt", files=CLIPS, data={"name": "animals", "labels": ["dog", "cat"]}).json()
    opened, ended = threading.Semaphore(0), []

    def follow():
        with httpx2.stream("GET", f"{address}/jobs/{job['id']}/events", timeout=30) as stream:
            lines = stream.iter_lines()
            while not next(lines).startswith("data:"):
                continue
            opened.release()
            ended.append(parse("\n".join(lines))[-1][1]["state"])

    followers = [threading.Thread(target=follow) for _ in range(NUM_STREAMS)]
    for follower in followers:
        follower.start()
    assert all(opened.acquire(timeout=30) for _ in followers)
    assert len(context.redis.events.connection_pool._in_use_connections) <= 1
    assert context.accounts.held(Resource.STREAMS, "local") == NUM_STREAMS
    context.jobs.queue.cancel("local", job["id"])
    for follower in followers:
        follower.join(30)
    assert ended == ["cancelled"] * NUM_STREAMS
    deadline = time.monotonic() + 5
    while context.accounts.held(Resource.STREAMS) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert context.accounts.held(Resource.STREAMS) == 0


def test_a_tenants_streams_are_bounded(client, context, job):
    context.accounts.take("local", Resource.STREAMS, 384)
    refused = client.get(f"/jobs/{job['id']}/events")
    assert (refused.status_code, refused.json()["code"]) == (429, "tenant_overloaded")
    assert refused.headers["Retry-After"] == "1"
