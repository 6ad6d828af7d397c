"""Processes killed, Redis restarted, a store that cannot be written: clear errors, nothing lost or half-written."""

import resource
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest

from jobs.connection import connect
from tests.e2e.sounds import clips
from tests.e2e.stack import wait_for

TENANT = "tenant-7"


class Caller:
    """A tenant's calls to the first API, wherever that runs by now."""

    def __init__(self, stack):
        self.stack = stack

    def __call__(self, method, path, **content):
        headers = {"X-API-Key": self.stack.keys[TENANT]}
        return httpx2.request(method, self.stack.apis[0].address + path, headers=headers, timeout=60, **content)

    def classify(self):
        return self("POST", "/classify", files=[("audio", clips("rain")[0])], data={"adapter": "kept"})

    def adapt(self, name):
        files = [("clips", clips(label)[0]) for label in ("rain", "rooster")]
        return self("POST", "/adapt", files=files, data={"name": name, "labels": ["rain", "rooster"]})

    def restart_api(self):
        api = self.stack.start_api()
        self.stack.apis[0] = self.stack.apis.pop()
        self.stack.wait_until_ready(api)


@pytest.fixture
def call(replicas, make_file):
    call = Caller(replicas)
    assert call("POST", "/adapters/kept/file", content=make_file(["a", "b"], 0)).status_code == 201
    return call


def test_an_api_killed_in_mid_request_loses_nothing(call):
    job = call.adapt("later").json()
    before = call.classify().json()["results"]
    answers, broken = [], []

    def ask():
        try:
            while True:
                answers.append(call.classify().status_code)
        except httpx2.TransportError as error:
            broken.append(error)

    clients = [threading.Thread(target=ask) for _ in range(4)]
    for client in clients:
        client.start()
    wait_for(lambda: len(answers) >= 2, 60)
    call.stack.apis[0].kill()
    for client in clients:
        client.join()
    assert len(broken) == 4
    assert set(answers) == {200}
    call.restart_api()
    assert call.classify().json()["results"] == before
    assert call("GET", f"/jobs/{job['id']}").json() == job


def test_what_is_under_way_is_answered_before_an_api_ends(call):
    job = call.adapt("some-day").json()
    api, headers = call.stack.apis[0], {"X-API-Key": call.stack.keys[TENANT]}
    long = {"files": [("audio", clips("rain")[0])] * 48, "data": {"adapter": "kept"}}
    with (
        ThreadPoolExecutor(1) as threads,
        httpx2.stream("GET", f"{api.address}/jobs/{job['id']}/events", headers=headers, timeout=60) as events,
    ):
        answer = threads.submit(call, "POST", "/classify", **long)
        wait_for(lambda: "earshot_queue_windows 0.0" not in call("GET", "/metrics").text, 60)
        api.popen.terminate()
        assert answer.result().status_code == 200
        events.read()  # raises where the stream was cut
    assert api.popen.wait(60) == -signal.SIGTERM
    call.restart_api()


def test_redis_may_restart(call):
    job = call.adapt("sooner").json()
    with connect(call.stack.redis_url) as redis:
        # While a disk is busy Redis holds back what it is to write, for two seconds at the most: that a kill takes.
        wait_for(lambda: redis.info("persistence")["aof_buffer_length"] == 0, 10)
    call.stack.redis.kill()
    call.stack.redis.wait()
    lost = call("GET", f"/jobs/{job['id']}")
    assert (lost.status_code, lost.json()["code"]) == (503, "redis_unavailable")
    assert call("GET", "/readyz").json()["code"] == "redis_unavailable"
    assert call.classify().status_code == 200  # needs no Redis
    call.stack.restart_redis()
    wait_for(lambda: call("GET", "/readyz").status_code == 200, 20)
    assert call("GET", f"/jobs/{job['id']}").json() == job
    assert call.adapt("again").status_code == 202


def test_a_store_that_cannot_be_written_still_serves(call, make_file):
    pid = call.stack.apis[0].popen.pid
    stored = sorted((call.stack.directory / "adapters").rglob("*.safetensors"))
    _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    # No file of that process can grow: for root too, to whom a read-only directory means nothing.
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, hard))
    try:
        refused = call("POST", "/adapters/new/file", content=make_file(["a", "b"], 0))
        assert (refused.status_code, refused.json()["code"]) == (503, "store_unavailable")
        assert call("GET", "/adapters/new").status_code == 404
        assert call.classify().status_code == 200
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))
    assert sorted((call.stack.directory / "adapters").rglob("*.safetensors")) == stored
    assert call("POST", "/adapters/new/file", content=make_file(["a", "b"], 0)).status_code == 201
