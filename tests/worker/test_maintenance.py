import os
import time

import pytest
from redis.exceptions import ConnectionError
from rq import Queue
from rq.job import Job
from rq.registry import clean_registries

from jobs.leases import Leases
from jobs.queue import QUEUE_NAME
from worker import job_worker, maintenance
from worker.job_worker import MAINTENANCE_KEY, JobWorker, RqUnknown, Shutdown
from worker.maintenance import reconcile, sweep_store


@pytest.fixture(autouse=True)
def settled(monkeypatch):
    monkeypatch.setattr(maintenance, "SETTLED_AFTER_S", 0)


@pytest.fixture
def leases(redis):
    return Leases(redis, ttl_s=5)


def waiting(redis):
    return [job_id.decode() for job_id in redis.lrange(f"rq:queue:{QUEUE_NAME}", 0, -1)]


def lost(*_, **__):
    raise ConnectionError("connection lost")


def test_a_job_that_rq_has_is_left_alone(submit, queue, leases, uploads, redis):
    records = [submit(), submit()]
    reconcile(queue, leases, uploads, upload_ttl_s=1000)
    assert waiting(redis) == [records[0].id]
    assert len(list(uploads.root.iterdir())) == 2


def test_a_job_that_rq_lost_is_queued_again(submit, queue, leases, uploads, redis):
    record = submit()
    Job.fetch(record.id, connection=redis, serializer="json").delete()
    assert waiting(redis) == []
    reconcile(queue, leases, uploads, upload_ttl_s=1000)
    assert waiting(redis) == [record.id]


def test_a_job_that_rq_never_got_is_queued(submit, queue, leases, uploads, redis, monkeypatch):
    with monkeypatch.context() as outage:
        outage.setattr(Queue, "enqueue_call", lost)
        record = submit()
    assert waiting(redis) == []
    reconcile(queue, leases, uploads, upload_ttl_s=1000)
    assert waiting(redis) == [record.id]
    assert len(uploads.evaluation_clips(record.upload_id).clips) == 4


def test_a_job_that_rq_failed_is_queued_again(submit, queue, leases, uploads, redis):
    record = submit()
    redis.delete(f"rq:queue:{QUEUE_NAME}")
    Job.fetch(record.id, connection=redis, serializer="json").set_status("failed")
    clean_registries(Queue(QUEUE_NAME, connection=redis, serializer="json"))
    reconcile(queue, leases, uploads, upload_ttl_s=1000)
    assert waiting(redis) == [record.id]


def test_an_ended_job_is_not_queued_again(submit, queue, leases, uploads, redis):
    record = submit()
    queue.cancel("t", record.id)
    reconcile(queue, leases, uploads, upload_ttl_s=1000)
    assert waiting(redis) == []


def test_an_id_without_a_record_is_forgotten(submit, queue, leases, uploads, redis):
    record = submit()
    redis.delete(queue.records.record_key(record.id))
    reconcile(queue, leases, uploads, upload_ttl_s=1000)
    assert queue.records.live_ids() == []


def test_a_damaged_record_frees_its_slots(submit, queue, leases, uploads, redis):
    record = submit()
    redis.hset(queue.records.record_key(record.id), "progress", "{")
    reconcile(queue, leases, uploads, upload_ttl_s=1000)
    assert queue.records.live_ids() == [] and queue.records.live_of("t") == []


def test_a_job_whose_holder_lives_is_not_queued_again(submit, queue, leases, uploads, redis):
    record = submit()
    Job.fetch(record.id, connection=redis, serializer="json").delete()
    leases.take(record.id, "a worker")
    reconcile(queue, leases, uploads, upload_ttl_s=1000)
    assert waiting(redis) == []
    leases.release(record.id, "a worker")
    reconcile(queue, leases, uploads, upload_ttl_s=1000)
    assert waiting(redis) == [record.id]


def test_a_job_that_rq_takes_for_running_and_nobody_runs_is_queued_again(submit, queue, leases, uploads, redis):
    record = submit()
    redis.delete(f"rq:queue:{QUEUE_NAME}")
    Job.fetch(record.id, connection=redis, serializer="json").set_status("started")
    reconcile(queue, leases, uploads, upload_ttl_s=1000)
    clean_registries(Queue(QUEUE_NAME, connection=redis, serializer="json"))  # which frees the slot that it had
    assert waiting(redis) == [record.id]


def test_only_uploads_without_a_job_are_swept(submit, queue, leases, uploads):
    used, orphan = submit().upload_id, uploads.new_upload()
    past = time.time() - 2000
    for upload in (used, orphan):
        os.utime(uploads.directory(upload), (past, past))
    reconcile(queue, leases, uploads, upload_ttl_s=1000)
    assert [path.name for path in uploads.root.iterdir()] == [used]


@pytest.fixture
def worker(redis, settings):
    return JobWorker(redis, settings, None, Shutdown())


def test_one_worker_at_a_time_does_the_maintenance(worker, submit, redis):
    record = submit()
    Job.fetch(record.id, connection=redis, serializer="json").delete()
    redis.set(MAINTENANCE_KEY, "another worker")
    worker.clean_registries()
    assert waiting(redis) == [] and redis.get(MAINTENANCE_KEY) == b"another worker"
    redis.delete(MAINTENANCE_KEY)
    worker.clean_registries()
    assert waiting(redis) == [record.id] and redis.get(MAINTENANCE_KEY) is None


def test_the_lock_of_a_worker_that_dies_at_the_maintenance_ends_by_itself(worker, redis, settings, monkeypatch):
    lives_s = []
    monkeypatch.setattr(job_worker, "reconcile", lambda *_, **__: lives_s.append(redis.ttl(MAINTENANCE_KEY)))
    worker.clean_registries()
    assert settings.maintenance_interval_s < lives_s[0] <= 2 * settings.maintenance_interval_s


@pytest.mark.parametrize("parts", ["RQ_PARTS", "RQ_ATTRIBUTES"])
def test_a_release_of_rq_without_what_the_worker_needs_is_named(redis, settings, monkeypatch, parts):
    monkeypatch.setattr(job_worker, parts, ("connection", "no_such_part"))
    monkeypatch.setattr(job_worker.SimpleWorker, "connection", None, raising=False)
    with pytest.raises(RqUnknown, match="lacks no_such_part;"):
        JobWorker(redis, settings, None, Shutdown())


def test_the_store_is_swept_by_one_worker_now_and_then(redis, settings, store, monkeypatch):
    monkeypatch.setattr("adapters_store.sweep.GRACE_S", -1.0)
    store.publish("t", "pets", b"adapter", {})
    store._files.write(f"t/pets/versions-clips/{'0' * 64}.audio", b"stray")
    sweep_store(redis, settings.store_url_or_local).join()
    assert store._files.children("t/pets/versions-clips") == []
    assert sweep_store(redis, settings.store_url_or_local) is None
