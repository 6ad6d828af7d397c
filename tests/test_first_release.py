"""What users of the first release (0.1.0) hold goes on working: adapter files, a store, jobs that wait in Redis.

`fixtures/first_release` was written by that release on the bundled model.
"""

import base64
import json
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from adapters_store import open_store
from aspl import Adapter, FrozenClap, classify
from aspl.sound.clip import decode
from jobs.queue import JobQueue
from tests.worker.processes import start_worker, wait_for_end
from worker.settings import WorkerSettings

ROOT = Path(__file__).parents[1]
HELD = ROOT / "tests" / "fixtures" / "first_release"
EXPECTED = json.loads((HELD / "expected.json").read_text())
MODEL = ROOT / "models" / "tiny-clap"


@pytest.fixture(scope="module")
def bundled():
    torch.set_num_threads(1)
    return FrozenClap.load(MODEL)


@pytest.fixture
def settings(redis_url, tmp_path):
    shutil.copytree(HELD / "store", tmp_path / "adapters")
    return WorkerSettings(redis_url=redis_url, data_dir=tmp_path, model=str(MODEL))


@pytest.fixture
def held_jobs(redis, settings):
    """What the first release left in Redis and on the disk: a job that waits, one that has ended, a key."""
    held = json.loads((HELD / "redis.json").read_text())
    write = {
        "hash": lambda key, value: redis.hset(key, mapping={n: base64.b64decode(v) for n, v in value.items()}),
        "stream": lambda key, value: [redis.xadd(key, entry) for entry in value],
        "zset": lambda key, value: redis.zadd(key, dict(value)),
        "set": lambda key, value: redis.sadd(key, *value),
        "string": lambda key, value: redis.set(key, value),
        "list": lambda key, value: redis.rpush(key, *value),
    }
    for key, entry in held["keys"].items():
        write[entry["type"]](key, entry["value"])
    # RQ starts a job that has waited for its tenant's turn by the clock.
    redis.zadd("rq:rl:earshot:local:allowed", {held["queued"]: time.time()})
    upload = settings.data_dir / "staging" / held["upload"]
    upload.mkdir(parents=True)
    shutil.copy(HELD / "upload-manifest.json", upload / "manifest.json")
    for number, clip in enumerate(held["clips"]):
        shutil.copy(ROOT / clip, upload / f"{number:06d}.clip")
    return held


@pytest.mark.parametrize("name", EXPECTED["adapters"])
def test_an_adapter_file_answers_as_it_did(name, bundled):
    adapter = Adapter.from_bytes((HELD / "adapters" / f"{name}.safetensors").read_bytes(), bundled)
    expected = EXPECTED["adapters"][name]
    assert list(adapter.labels) == expected["labels"]
    assert adapter.threshold == expected["threshold"]
    waveforms = [decode((ROOT / clip).read_bytes()).waveform for clip in EXPECTED["clips"]]
    for answer, scores in zip(
        classify(bundled, waveforms, [adapter] * len(waveforms)), expected["scores"], strict=True
    ):
        np.testing.assert_allclose([answer.scores[label] for label in scores], list(scores.values()), atol=1e-4)


def test_a_store_is_read_and_written_on(settings, bundled):
    store = open_store(settings.store_url_or_local)
    assert store.names("local") == (["farm"], None)
    ref = store.resolve("local", "farm")
    assert (ref.version, store.versions("local", "farm")) == (1, [1, 2])
    assert store.manifest(ref)["description"] == "ours"
    adapter = Adapter.from_bytes(store.read(ref), bundled)
    assert store.publish("local", "farm", adapter.to_bytes(), store.manifest(ref)).version == 3


def test_records_are_shown_and_a_waiting_job_is_done(redis, settings, held_jobs):
    queue = JobQueue(redis, settings)
    listed, _ = queue.records.list("local")
    assert {record.id: record.state for record in listed} == {
        held_jobs["queued"]: "queued",
        held_jobs["succeeded"]: "succeeded",
    }
    ended = queue.records.get("local", held_jobs["succeeded"])
    assert ended.public()["adapter"] == {"name": "old", "version": 1}
    assert [event.record.state for event in queue.records.events(ended.id)] == ["queued", "succeeded"]
    assert queue.claim("local", "once", "digest").id == held_jobs["queued"]
    worker = start_worker(settings, module="worker", MODEL=str(MODEL))
    try:
        done = wait_for_end(queue, queue.records.get("local", held_jobs["queued"]), timeout_s=120)
    finally:
        worker.terminate()
        worker.communicate(timeout=30)
    assert (done.state, done.error, done.adapter) == ("succeeded", None, {"name": "farm", "version": 3})
