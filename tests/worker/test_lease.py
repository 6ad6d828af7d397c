"""Two live workers and one job: who was stopped for long and wakes leaves the job to whoever has it now."""

import os
import signal
import time

import pytest
from rq.job import Job

from jobs.leases import Leases
from tests.worker.processes import trainer_of, wait_for_end, wait_for_epoch, wait_until

TTL_S = 2  # of a heartbeat and of a lease; see tests.worker.processes


@pytest.fixture
def leases(redis):
    return Leases(redis, ttl_s=TTL_S)


def holder_of(queue, record):
    return queue.records.find(record.id).holder


def worker_at(workers, redis, record):
    """The worker process that runs the job, and the others."""
    from rq import Worker

    pids = {worker.pid for worker in Worker.all(redis, serializer="json") if worker.get_current_job_id() == record.id}
    return next(process for process in workers if process.pid in pids)


@pytest.mark.parametrize("is_runner_stopped", [False, True], ids=["worker", "worker and runner"])
def test_a_stopped_worker_that_wakes_leaves_the_job_to_its_successor(
    workers, submit, queue, store, redis, is_runner_stopped
):
    both = workers(2, timeout_s=90)
    record = submit(epochs=80, epoch_s=0.1)
    wait_for_epoch(queue, record, 3)
    first = worker_at(both, redis, record)
    stopped = [first.pid, *([trainer_of(first)] if is_runner_stopped else [])]
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: queue.records.find(record.id).attempts == 2, 60)
    second = holder_of(queue, record)
    wait_for_epoch(queue, record, 10, 60)
    for pid in stopped:
        os.kill(pid, signal.SIGCONT)
    # As long as the first one could need to do harm: two searches for dead workers' jobs, and a heartbeat's life.
    until = time.monotonic() + 2 * TTL_S
    while time.monotonic() < until and queue.records.find(record.id).is_live:
        now = queue.records.find(record.id)
        assert (now.attempts, now.holder) == (2, second)
        if now.is_live:
            assert Job.fetch(record.id, connection=redis, serializer="json").get_status() == "started"
        time.sleep(0.05)
    end = wait_for_end(queue, record, 90)
    assert (end.state, end.attempts, end.holder, end.error) == ("succeeded", 2, second, None)
    assert store.versions("t", "pets") == [1]
    assert all(worker.poll() is None for worker in both)
    # The one that was stopped takes jobs again.
    records = [submit(tenant=tenant, epochs=20, epoch_s=0.05) for tenant in ("a", "b")]
    for record in records:
        wait_for_epoch(queue, record, 1, 60)
    assert len({holder_of(queue, record) for record in records}) == 2
    assert all(queue.records.find(record.id).state == "running" for record in records)


def test_a_runner_whose_worker_is_stopped_does_not_go_on(workers, submit, queue, redis, uploads):
    worker = workers(timeout_s=90)
    record = submit(epochs=1000, epoch_s=0.05)
    wait_for_epoch(queue, record, 3)
    checkpoint = next(uploads.directory(record.upload_id).glob("checkpoint-*.safetensors"))
    os.kill(worker.pid, signal.SIGSTOP)
    try:
        time.sleep(TTL_S + 1)
        left = checkpoint.read_text()
        time.sleep(0.5)
        assert checkpoint.read_text() == left
    finally:
        os.kill(worker.pid, signal.SIGCONT)


def test_attempts_never_share_a_file(uploads):
    upload = uploads.new_upload()
    first = uploads.checkpoint(upload, "a")
    first.write_text("first")
    second = uploads.checkpoint(upload, "b")
    assert second != first and second.read_text() == "first"
    second.write_text("second")
    assert first.read_text() == "first"
    os.utime(first, (time.time() + 10,) * 2)
    assert uploads.checkpoint(upload, "b").read_text() == "second"


def test_a_checkpoint_of_the_release_before_is_taken_up(uploads):
    upload = uploads.new_upload()
    (uploads.directory(upload) / "checkpoint.safetensors").write_text("old")
    assert uploads.checkpoint(upload, "a").read_text() == "old"


def test_a_job_whose_holder_lives_is_left_alone(workers, submit, queue, redis):
    record = submit()
    holder = Leases(redis, ttl_s=8)
    assert holder.take(record.id, "another")
    workers()
    wait_until(lambda: Job.fetch(record.id, connection=redis, serializer="json").get_status() == "started")
    time.sleep(0.5)
    assert queue.records.find(record.id).attempts == 0
    # And is taken up once the holder is gone, although it told nobody.
    assert wait_for_end(queue, record, 20).attempts == 1


def test_a_lease_is_its_holders_alone(submit, queue, leases):
    record = submit()
    assert leases.take(record.id, "a") and not leases.take(record.id, "b")
    assert not leases.renew(record.id, "a")  # the record names no holder yet
    queue.records.update(record.id, holder="a")
    assert leases.renew(record.id, "a") and not leases.renew(record.id, "b")
    leases.release(record.id, "b")
    assert leases.is_held(record.id)
    queue.records.update(record.id, holder="b")
    assert not leases.renew(record.id, "a")
    leases.release(record.id, "a")
    assert not leases.is_held(record.id)
    assert leases.renew(record.id, "b") and leases.is_held(record.id)  # it ran out, and nobody took it


def test_a_lease_that_is_not_renewed_ends(submit, redis):
    record, leases = submit(), Leases(redis, ttl_s=0.1)
    leases.take(record.id, "a")
    wait_until(lambda: leases.take(record.id, "b"), 2)
