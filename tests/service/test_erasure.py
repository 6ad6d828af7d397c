"""A tenant erased by the command, beside another who notices nothing, with a worker at one of the jobs."""

import subprocess
import sys

import pytest

from service.keys import KeyFile
from tests.worker.processes import start_worker, wait_for_end, wait_for_epoch, wait_until


@pytest.fixture
def keys(settings):
    return KeyFile(settings.data_dir / "keys.json")


@pytest.fixture
def erase(settings, redis_url):
    """The command, as an operator runs it."""

    def erase(*arguments, answer=""):
        environment = {"EARSHOT_DATA_DIR": str(settings.data_dir), "EARSHOT_REDIS_URL": redis_url, "PATH": ""}
        command = [sys.executable, "-m", "service", "tenants", "erase", *arguments]
        return subprocess.run(command, input=answer, capture_output=True, text=True, env=environment, timeout=120)

    return erase


@pytest.fixture
def worker(settings, queue):
    process = start_worker(settings)
    wait_until(queue.workers, 90)
    yield process
    process.kill()
    process.communicate()


def left_of(tenant, settings, redis, jobs):
    """What names the tenant, or one of its jobs, in Redis, in names and contents of files."""
    names = [tenant, *jobs]
    read = {"hash": redis.hgetall, "string": redis.get, "stream": redis.xrange, "set": redis.smembers}
    read |= {"zset": lambda key: redis.zrange(key, 0, -1), "list": lambda key: redis.lrange(key, 0, -1)}
    read |= {"none": lambda key: ""}  # it ran out since it was listed
    told = {key.decode(): key.decode() + str(read[redis.type(key).decode()](key)) for key in redis.scan_iter()}
    for path in (path for path in settings.data_dir.rglob("*") if path.is_file()):
        told[str(path)] = str(path.relative_to(settings.data_dir)) + path.read_bytes().decode(errors="ignore")
    return [place for place, text in told.items() if any(name in text for name in names)]


def test_nothing_is_left_of_the_tenant_and_all_of_the_other(erase, keys, queue, submit, store, settings, redis, worker):
    for tenant in ("acme", "other"):
        keys.add(tenant)
        store.publish(tenant, "old", b"x", {"labels": []})
        assert wait_for_end(queue, submit(tenant=tenant)).state == "succeeded"
        redis.set(f"earshot:tenant:{tenant}:rate", 1)
    queue.claim("acme", "once")
    before = queue.records.list("other")[0]
    runs = submit(tenant="acme", name="late", epochs=1000, epoch_s=0.05)
    waits = submit(tenant="acme", name="later")
    wait_for_epoch(queue, runs, 1)
    jobs = [record.id for record in queue.records.list("acme")[0]]
    done = erase("acme", "--yes")
    assert done.returncode == 0, done.stderr
    removed = done.stdout.partition("Removed:")[2]
    assert "keys: 1" in removed and "jobs, with their results: 3" in removed and "uploads: 2" in removed
    assert "pets: 1 versions" in removed and "old: 1 versions" in removed
    assert {runs.id, waits.id} <= set(jobs) and not keys.records("acme")
    # RQ keeps what it knows of a job, an id and no more, for a minute.
    rq = "rq:"
    wait_until(lambda: not [p for p in left_of("acme", settings, redis, jobs) if not p.startswith(rq)], 30)
    assert store.usage("acme").stored_bytes == 0 and store.names("acme") == ([], None)
    assert store.names("other") == (["old", "pets"], None) and len(keys.records("other")) == 1
    assert queue.records.list("other")[0] == before
    assert wait_for_end(queue, submit(tenant="other")).state == "succeeded"
    assert worker.poll() is None
    again = erase("acme", "--yes")
    assert again.returncode == 0 and "jobs, with their results: 0" in again.stdout


def test_it_asks_before(erase, keys, store):
    keys.add("acme")
    store.publish("acme", "old", b"x", {"labels": []})
    for answer in ("y\n", ""):
        asked = erase("acme", answer=answer)
        assert asked.returncode == 1 and "Nothing was removed" in asked.stderr and "old: 1 versions" in asked.stdout
    assert store.names("acme")[0] == ["old"] and keys.records("acme")
    assert erase("acme", answer="acme\n").returncode == 0
    assert store.names("acme")[0] == []


def test_a_name_that_is_none_is_refused(erase):
    assert "is not 1 to 64" in erase("*", "--yes").stderr
