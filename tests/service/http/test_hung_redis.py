"""A Redis that takes connections and never answers: what needs it says so at once, what does not goes on."""

import signal
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import httpx2
import pytest

from local import private_redis
from service.settings import ServiceSettings
from tests.service.sounds import tone

NUM_CALLERS = 24
PROMPT_S = 8.0  # on a busy machine; a thread that waited for this Redis would take 40


@pytest.fixture
def redis_process():
    with tempfile.TemporaryDirectory(prefix="earshot-") as directory:
        process, url = private_redis.start(Path(directory))
        yield process, url
        process.send_signal(signal.SIGCONT)
        process.terminate()
        process.wait(timeout=10)


@pytest.fixture
def settings(redis_process, tmp_path):
    return ServiceSettings(redis_url=redis_process[1], data_dir=tmp_path, batch_windows=4, allowed_hosts="*")


def test_classification_goes_on_and_readiness_tells(redis_process, address, publish):
    publish("animals", ["dog", "cat"])
    clip_form = {"files": [("audio", ("a.wav", tone(440)))], "data": {"adapter": "animals"}}
    assert httpx2.post(f"{address}/classify", timeout=20, **clip_form).status_code == 200
    assert httpx2.get(f"{address}/readyz", timeout=20).status_code == 200
    redis, _ = redis_process
    redis.send_signal(signal.SIGSTOP)
    with ThreadPoolExecutor(2 * NUM_CALLERS) as callers:
        probes = [callers.submit(timed, f"{address}/readyz") for _ in range(NUM_CALLERS)]
        scrapes = [callers.submit(timed, f"{address}/metrics") for _ in range(NUM_CALLERS)]
        wait(probes + scrapes, 0.2)  # all are under way
        started_at = time.monotonic()
        answer = httpx2.post(f"{address}/classify", timeout=20, **clip_form)
        assert (answer.status_code, time.monotonic() - started_at < PROMPT_S) == (200, True)
        for probe in probes:
            answer, elapsed_s = probe.result()
            assert (answer.status_code, answer.json()["code"], elapsed_s < PROMPT_S) == (503, "redis_unavailable", True)
        for scrape in scrapes:
            answer, elapsed_s = scrape.result()
            assert (answer.status_code, elapsed_s < PROMPT_S) == (200, True)
    redis.send_signal(signal.SIGCONT)
    assert httpx2.get(f"{address}/readyz", timeout=20).status_code == 200


def timed(url):
    started_at = time.monotonic()
    return httpx2.get(url, timeout=60), time.monotonic() - started_at
