import json

import pytest
from redis.client import Pipeline
from redis.exceptions import WatchError
from rq import Queue
from rq.job import Job, JobStatus

from jobs.connection import connect
from jobs.errors import (
    IdempotencyInFlight,
    IdempotencyMismatch,
    JobNotFound,
    QueueFull,
    RedisUnavailable,
    TenantQueueFull,
)
from jobs.queue import ADAPT_FUNCTION, QUEUE_NAME, Idempotency, JobQueue


def submit(queue, tenant="t", name="dogs", **values):
    return queue.submit(tenant, name, "0" * 32, {"method": "palm"}, **values)


def waiting(redis):
    return [job_id.decode() for job_id in redis.lrange(f"rq:queue:{QUEUE_NAME}", 0, -1)]


def test_rq_is_given_the_id_and_nothing_else(queue, redis):
    record = submit(queue, tenant="secret-tenant")
    stored = redis.hgetall(f"rq:job:{record.id}")
    job = Job.fetch(record.id, connection=redis, serializer="json")
    assert (job.func_name, list(job.args), job.kwargs) == (ADAPT_FUNCTION, [record.id], {})
    assert b"palm" not in b"".join(stored.values())
    assert queue.records.get("secret-tenant", record.id).state == "queued"


def test_of_each_tenant_one_job_stands_in_line(queue, redis):
    first = [submit(queue, tenant="many") for _ in range(50)]
    late = submit(queue, tenant="one")
    assert waiting(redis) == [first[0].id, late.id]


def test_queues_are_bounded_per_tenant_and_in_all(redis, settings):
    queue = JobQueue(redis, settings.model_copy(update={"tenant_queue_limit": 2, "queue_limit": 3}))
    submit(queue, "a"), submit(queue, "a")
    with pytest.raises(TenantQueueFull, match="2"):
        submit(queue, "a")
    submit(queue, "b")
    with pytest.raises(QueueFull):
        submit(queue, "b")
    assert (len(queue.records.live_of("a")), len(queue.records.live_of("b"))) == (2, 1)


def test_a_cancelled_job_leaves_the_queue_and_the_next_moves_up(queue, redis):
    first, second, third = (submit(queue) for _ in range(3))
    assert queue.cancel("t", second.id).state == "cancelled"
    assert queue.cancel("t", first.id).public()["ended_at"] is not None
    assert waiting(redis) == [third.id]
    assert queue.records.live_of("t") == [third]
    assert Job.fetch(third.id, connection=redis, serializer="json").get_status() == JobStatus.QUEUED


def test_cancelling_a_running_job_raises_its_flag(queue):
    record = submit(queue)
    queue.records.update(record.id, state="running")
    assert queue.cancel("t", record.id).state == "running"
    assert queue.stop_reason(record.id) == "cancelled"


def test_cancelling_an_ended_job_changes_nothing(queue):
    record = submit(queue)
    queue.records.update(record.id, state="succeeded")
    assert queue.cancel("t", record.id).state == "succeeded"


def test_another_tenants_job_cannot_be_cancelled(queue):
    record = submit(queue)
    with pytest.raises(JobNotFound):
        queue.cancel("other", record.id)
    assert queue.stop_reason(record.id) is None


def test_deleting_an_adapter_stops_the_jobs_that_would_write_it(queue, redis):
    waits, runs, other = submit(queue), submit(queue), submit(queue, name="cats")
    queue.records.update(runs.id, state="running")
    assert set(queue.adapter_deleted("t", "dogs")) == {waits.id, runs.id}
    assert queue.records.get("t", waits.id).error["code"] == "adapter_deleted"
    assert queue.stop_reason(runs.id) == "adapter_deleted"
    assert queue.stop_reason(other.id) is None


def test_a_key_is_answered_with_its_first_job(queue):
    assert queue.claim("t", "k") is None
    record = submit(queue, idempotency=Idempotency("k", "digest"))
    assert queue.claim("t", "k").id == record.id
    assert queue.claim("t", "k", "digest").id == record.id
    assert queue.claim("other", "k") is None
    with pytest.raises(IdempotencyMismatch):
        queue.claim("t", "k", "another")


def test_a_key_in_use_is_refused_until_it_is_released(queue):
    queue.claim("t", "k")
    with pytest.raises(IdempotencyInFlight):
        queue.claim("t", "k")
    queue.release("t", "k")
    assert queue.claim("t", "k") is None


def test_a_key_with_a_job_is_not_released(queue):
    queue.claim("t", "k")
    record = submit(queue, idempotency=Idempotency("k", "digest"))
    queue.release("t", "k")
    assert queue.claim("t", "k").id == record.id


def test_a_job_whose_making_is_not_confirmed_is_made_once(redis, settings, monkeypatch):
    queue = JobQueue(redis, settings.model_copy(update={"tenant_queue_limit": 1}))
    execute, is_lost = Pipeline._execute_transaction, [True]

    def unconfirmed(pipeline, *arguments):
        answer = execute(pipeline, *arguments)
        if is_lost:
            is_lost.clear()
            raise WatchError("connection lost")  # as Redis's client reports it
        return answer

    monkeypatch.setattr(Pipeline, "_execute_transaction", unconfirmed)
    record = submit(queue)
    assert len(queue.records.events(record.id)) == 1
    assert waiting(redis) == [record.id]


def test_redis_away_is_named(settings):
    queue = JobQueue(connect("unix:///nowhere/redis.sock", num_retries=0), settings)
    with pytest.raises(RedisUnavailable):
        submit(queue)
    with pytest.raises(RedisUnavailable):
        queue.workers()


def test_nothing_in_redis_is_pickled(queue, redis):
    record = submit(queue)
    queue.records.update(record.id, state="running")
    for value in redis.hgetall(queue.records.record_key(record.id)).values():
        json.loads(value)
    assert Queue(QUEUE_NAME, connection=redis, serializer="json").serializer.__name__.endswith("JSONSerializer")
