import os
import time

import pytest
from redis.exceptions import ConnectionError
from rq import Queue
from rq.job import Job
from rq.registry import clean_registries

from jobs.queue import QUEUE_NAME
from worker import reconciling
from worker.reconciling import reconcile


@pytest.fixture(autouse=True)
def settled(monkeypatch):
    monkeypatch.setattr(reconciling, "SETTLED_AFTER_S", 0)


def waiting(redis):
    return [job_id.decode() for job_id in redis.lrange(f"rq:queue:{QUEUE_NAME}", 0, -1)]


def lost(*_, **__):
    raise ConnectionError("connection lost")


def test_a_job_that_rq_has_is_left_alone(submit, queue, staging, redis):
    records = [submit(), submit()]
    reconcile(queue, staging, upload_ttl_s=1000)
    assert waiting(redis) == [records[0].id]
    assert len(list(staging.root.iterdir())) == 2


def test_a_job_that_rq_lost_is_queued_again(submit, queue, staging, redis):
    record = submit()
    Job.fetch(record.id, connection=redis, serializer="json").delete()
    assert waiting(redis) == []
    reconcile(queue, staging, upload_ttl_s=1000)
    assert waiting(redis) == [record.id]


def test_a_job_that_rq_never_got_is_queued(submit, queue, staging, redis, monkeypatch):
    with monkeypatch.context() as outage:
        outage.setattr(Queue, "enqueue_call", lost)
        record = submit()
    assert waiting(redis) == []
    reconcile(queue, staging, upload_ttl_s=1000)
    assert waiting(redis) == [record.id]
    assert len(staging.load(record.upload_id)) == 4


def test_a_job_that_rq_failed_is_queued_again(submit, queue, staging, redis):
    record = submit()
    redis.delete(f"rq:queue:{QUEUE_NAME}")
    Job.fetch(record.id, connection=redis, serializer="json").set_status("failed")
    clean_registries(Queue(QUEUE_NAME, connection=redis, serializer="json"))
    reconcile(queue, staging, upload_ttl_s=1000)
    assert waiting(redis) == [record.id]


def test_an_ended_job_is_not_queued_again(submit, queue, staging, redis):
    record = submit()
    queue.cancel("t", record.id)
    reconcile(queue, staging, upload_ttl_s=1000)
    assert waiting(redis) == []


def test_an_id_without_a_record_is_forgotten(submit, queue, staging, redis):
    record = submit()
    redis.delete(queue.records.record_key(record.id))
    reconcile(queue, staging, upload_ttl_s=1000)
    assert queue.records.live_ids() == []


def test_only_uploads_without_a_job_are_swept(submit, queue, staging):
    used, orphan = submit().upload_id, staging.new_upload()
    past = time.time() - 2000
    for upload in (used, orphan):
        os.utime(staging.directory(upload), (past, past))
    reconcile(queue, staging, upload_ttl_s=1000)
    assert [path.name for path in staging.root.iterdir()] == [used]
