"""Real worker processes on a real Redis, with a stand-in for the training."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict

import pytest

from aspl.report import ClipWarning, LeftOut
from jobs.connection import connect, private_url
from jobs.findings import Findings
from jobs.queue import QUEUE_NAME, JobQueue
from local import private_redis
from tests.worker.processes import is_alive, start_worker, trainer_of, wait_for_end, wait_for_epoch, wait_until
from worker.job_worker import EXIT_AFTER_S, WAIT_S
from worker.settings import WorkerSettings


def published(store, record, version=1):
    return json.loads(store.read(store.resolve(record.tenant, f"{record.name}@{version}")))


def left_uploads(uploads):
    return list(uploads.root.iterdir())


def wait_for_phase(queue, record, phase):
    wait_until(lambda: queue.records.find(record.id).progress["phase"] == phase)


def test_a_job_publishes_its_adapter(workers, submit, queue, store, uploads):
    workers()
    record = submit(epochs=3, description="house pets")
    end = wait_for_end(queue, record)
    assert (end.state, end.adapter) == ("succeeded", {"name": "pets", "version": 1})
    assert end.created_at < end.started_at < end.ended_at and end.error is None
    assert published(store, record) == {"sum": 14, "clips": [f"clip {number}" for number in range(4)]}
    manifest = store.manifest(store.resolve("t", "pets"))
    assert (manifest["job"], manifest["description"], manifest["labels"]) == (record.id, "house pets", ["cat", "dog"])
    wait_until(lambda: not left_uploads(uploads))
    states = [event.record.state for event in queue.records.events(record.id)]
    assert states[0] == "queued" and states[-1] == "succeeded" and set(states[1:-1]) == {"running"}
    assert end.progress == {"phase": "publishing", "epoch": 3, "epochs": 3, "loss": None, "accuracy": 0.5, "eta_s": 1.0}


def test_a_job_says_whether_its_version_took_over(workers, submit, queue, store):
    workers()
    first, second = submit(), submit(promote="never")
    assert wait_for_end(queue, first).promoted["current"] is True
    end = wait_for_end(queue, second)
    assert end.adapter["version"] == 2
    asked = {"current": False, "reason": "it was asked to stand by (promote=never)", "comparison": None}
    assert end.public()["promoted"] == asked
    assert store.current("t", "pets") == 1


def test_the_report_names_what_was_left_out(workers, submit, queue, store):
    workers()
    left_out = LeftOut("dog/3.wav", "dog", {"code": "audio_undecodable", "detail": "damaged"})
    warning = ClipWarning("clip_repeated", "dog/2.wav", "dog", "the same bytes as dog/1.wav")
    record = submit(findings=Findings.of([left_out], [warning]))
    end = wait_for_end(queue, record)
    report = store.manifest(store.resolve("t", "pets"))["report"]
    assert report == end.findings() == record.findings()
    assert report["left_out"] == [asdict(left_out)] and report["warnings"] == [asdict(warning)]
    assert (report["num_left_out"], report["num_warnings"]) == (1, 1)


def test_the_next_job_starts_at_once(workers, submit, queue):
    # Whoever only looked for jobs between two maintenances would take a minute.
    worker = workers(MAINTENANCE_INTERVAL_S=60)
    trainer = trainer_of(worker)
    wait_for_end(queue, submit())
    wait_for_epoch(queue, submit(epochs=30, epoch_s=0.05), 1)
    assert trainer_of(worker) == trainer


@pytest.mark.parametrize(
    ("behaviour", "code"), [("unfit", "training_data_invalid"), ("bug", "internal_error")], ids=["unfit", "bug"]
)
def test_a_job_that_cannot_succeed_fails_once(workers, submit, queue, store, uploads, behaviour, code):
    workers()
    end = wait_for_end(queue, submit(behaviour=behaviour))
    assert (end.state, end.error["code"], end.attempts) == ("failed", code, 1)
    assert store.names("t") == ([], None)
    wait_until(lambda: not left_uploads(uploads))
    assert wait_for_end(queue, submit()).state == "succeeded"


def test_missing_clips_are_named(workers, submit, queue, uploads):
    record = submit()
    uploads.remove(record.upload_id)
    workers()
    assert wait_for_end(queue, record).error["code"] == "upload_not_found"


@pytest.mark.parametrize("behaviour", ["", "deaf"])
def test_cancelling_ends_a_running_job(workers, submit, queue, store, uploads, behaviour):
    worker = workers()
    record = submit(epochs=1000, epoch_s=0.05, behaviour=behaviour)
    wait_for_epoch(queue, record, 2)
    trainer = trainer_of(worker)
    begin = time.monotonic()
    queue.cancel("t", record.id)
    end = wait_for_end(queue, record)
    assert end.state == "cancelled" and end.error is None
    assert time.monotonic() - begin < 5
    assert is_alive(trainer) == (behaviour != "deaf")
    wait_until(lambda: not left_uploads(uploads))
    assert store.names("t") == ([], None)
    assert wait_for_end(queue, submit()).state == "succeeded"


def test_deleting_the_adapter_fails_the_running_job(workers, submit, queue, store):
    workers()
    wait_for_end(queue, submit())
    record = submit(epochs=1000, epoch_s=0.05)
    wait_for_epoch(queue, record, 1)
    queue.adapter_deleted("t", "pets")
    store.delete("t", "pets")
    end = wait_for_end(queue, record)
    assert (end.state, end.error["code"]) == ("failed", "adapter_deleted")
    assert store.names("t") == ([], None)


def test_a_job_that_takes_too_long_fails(workers, submit, queue):
    workers(JOB_TIMEOUT_S=1)
    end = wait_for_end(queue, submit(epochs=1000, epoch_s=0.05))
    assert (end.state, end.error["code"], end.attempts) == ("failed", "job_timeout", 1)


def test_another_worker_takes_over_from_a_killed_one(workers, submit, queue, store):
    first = workers()
    record = submit(epochs=25, epoch_s=0.1)
    wait_for_epoch(queue, record, 5)
    trainer = trainer_of(first)
    first.kill()
    wait_until(lambda: not is_alive(trainer))
    workers()
    end = wait_for_end(queue, record)
    assert (end.state, end.attempts) == ("succeeded", 2)
    assert published(store, record)["sum"] == sum(epoch**2 for epoch in range(26))
    # Resumed in its second start, where a training from scratch would show one.
    assert store.manifest(store.resolve("t", "pets"))["starts"] == 2
    epochs = [event.record.progress["epoch"] for event in queue.records.events(record.id, limit=1000)]
    assert epochs == sorted(epochs)


def test_a_job_that_kills_its_trainer_fails_after_two_retries(workers, submit, queue, uploads):
    worker = workers()
    record = submit(behaviour="crash")
    end = wait_for_end(queue, record)
    assert (end.state, end.error["code"], end.attempts) == ("failed", "worker_lost", 3)
    assert "memory" in end.error["detail"]
    assert worker.poll() is None
    wait_until(lambda: not left_uploads(uploads))
    assert wait_for_end(queue, submit()).state == "succeeded"


def test_a_job_whose_workers_die_fails_after_two_retries(workers, submit, queue):
    record = submit(epochs=1000, epoch_s=0.05)
    for attempt in range(3):
        worker = workers()
        wait_until(lambda attempt=attempt: queue.records.find(record.id).attempts == attempt + 1)
        wait_for_epoch(queue, record, 1)
        worker.kill()
    workers()
    end = wait_for_end(queue, record)
    assert (end.state, end.error["code"], end.attempts) == ("failed", "worker_lost", 3)


@pytest.mark.parametrize("behaviour", ["", "deaf"])
def test_a_stopped_worker_gives_its_job_back(workers, submit, queue, store, redis, behaviour):
    first = workers()
    record = submit(epochs=40, epoch_s=0.1, behaviour=behaviour)
    wait_for_epoch(queue, record, 3)
    trainer = trainer_of(first)
    first.send_signal(signal.SIGTERM)
    # By itself: one that takes longer than EXIT_AFTER_S ends with status 1.
    assert first.wait(timeout=20) == 0
    assert not is_alive(trainer)
    waiting = queue.records.find(record.id)
    assert (waiting.state, waiting.attempts, waiting.progress["phase"]) == ("queued", 0, "train_text")
    assert redis.lrange(f"rq:queue:{QUEUE_NAME}", 0, -1) == [record.id.encode()]  # for whoever comes first
    workers()
    end = wait_for_end(queue, record)
    assert (end.state, end.attempts) == ("succeeded", 1)
    assert published(store, record)["sum"] == sum(epoch**2 for epoch in range(41))


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_worker_stops_soon(workers, queue, signum):
    worker = workers(MAINTENANCE_INTERVAL_S=60)
    trainer = trainer_of(worker)
    worker.send_signal(signum)
    assert worker.wait(timeout=20) == 0
    assert not is_alive(trainer)
    assert queue.workers() == []


def test_a_worker_that_is_stopped_is_gone_within_five_seconds():
    assert WorkerSettings.model_fields["shutdown_grace_s"].default < EXIT_AFTER_S < 5
    assert WAIT_S < EXIT_AFTER_S  # after which an idle one looks


def test_tenants_take_turns(workers, submit, queue):
    many = [submit(tenant="many", name=f"a{number}", epochs=1, epoch_s=0.02) for number in range(50)]
    one = submit(tenant="one", epochs=1)
    workers()
    end = wait_for_end(queue, one)
    ended_before = [record for record in many if (queue.records.find(record.id).ended_at or "z") < end.ended_at]
    assert len(ended_before) <= 2
    assert all(wait_for_end(queue, record, 40).state == "succeeded" for record in many)


def test_two_workers_train_two_tenants_at_once(workers, submit, queue):
    workers(2)
    records = [submit(tenant=tenant, epochs=100, epoch_s=0.05) for tenant in ("a", "b")]
    for record in records:
        wait_for_epoch(queue, record, 1)
    assert all(queue.records.find(record.id).state == "running" for record in records)


def test_a_long_job_stays_with_its_worker(workers, submit, queue):
    workers(2)
    # Longer than a heartbeat lives, and two maintenances.
    end = wait_for_end(queue, submit(epochs=45, epoch_s=0.1))
    assert (end.state, end.attempts) == ("succeeded", 1)


def test_an_attempt_that_was_replaced_publishes_nothing(workers, submit, queue, store):
    worker = workers()
    record = submit(epochs=40, epoch_s=0.1)
    wait_for_epoch(queue, record, 2)
    queue.records.update(record.id, attempts=2)
    # The next job tells when this attempt is over.
    assert wait_for_end(queue, submit(tenant="another")).state == "succeeded"
    assert (queue.records.find(record.id).state, store.names("t")) == ("running", ([], None))
    assert worker.poll() is None


@pytest.mark.parametrize("attempts", [1, 0], ids=["killed", "stopped"])
@pytest.mark.parametrize("has_pointer", [True, False], ids=["published", "pointer missing"])
def test_a_retry_after_the_publication_publishes_nothing_more(
    workers, submit, queue, store, settings, has_pointer, attempts
):
    record = submit(epochs=3)
    # As a worker leaves it that ends between the publication and the end of the record.
    store.publish("t", "pets", b"{}", {"job": record.id})
    queue.records.update(record.id, state="running", attempts=attempts)
    if not has_pointer:
        (settings.data_dir / "adapters" / "t" / "pets" / "current").unlink()
    workers()
    end = wait_for_end(queue, record)
    assert (end.state, end.adapter) == ("succeeded", {"name": "pets", "version": 1})
    assert store.versions("t", "pets") == [1] and store.current("t", "pets") == 1


@pytest.mark.parametrize("stop", [None, JobQueue.cancel], ids=["lost", "cancelled"])
def test_the_last_attempts_publication_counts_although_it_died(workers, submit, queue, store, stop):
    record = submit()
    store.publish("t", "pets", b"{}", {"job": record.id})
    queue.records.update(record.id, state="running", attempts=3)
    if stop:
        stop(queue, "t", record.id)
    workers()
    end = wait_for_end(queue, record)
    assert (end.state, end.adapter) == ("succeeded", {"name": "pets", "version": 1})


def test_what_a_dead_attempt_published_goes_with_its_deleted_adapter(workers, submit, queue, store):
    record = submit()
    queue.records.update(record.id, state="running", attempts=1)
    queue.adapter_deleted("t", "pets")
    store.publish("t", "pets", b"{}", {"job": record.id})
    workers()
    end = wait_for_end(queue, record)
    assert (end.state, end.error["code"]) == ("failed", "adapter_deleted")
    assert store.names("t") == ([], None)


def test_a_stop_does_not_cut_a_publication_off(workers, submit, queue, store):
    workers(CANCEL_GRACE_S=0.1)
    with store._files.lock("t/pets"):
        record = submit()
        wait_for_phase(queue, record, "publishing")
        queue.cancel("t", record.id)
        time.sleep(1.5)
        assert queue.records.find(record.id).is_live
    end = wait_for_end(queue, record)
    assert (end.state, end.adapter["version"], store.current("t", "pets")) == ("succeeded", 1, 1)


def test_a_publication_counts_although_its_trainer_died(workers, submit, queue, store):
    worker = workers(MAX_RETRIES=0)
    with store._files.lock("t/pets"):
        record = submit()
        wait_for_phase(queue, record, "publishing")
        trainer = trainer_of(worker)
        os.kill(trainer, signal.SIGSTOP)
        time.sleep(0.2)
    store.publish("t", "pets", b"{}", {"job": record.id})
    os.kill(trainer, signal.SIGKILL)
    end = wait_for_end(queue, record)
    assert (end.state, end.attempts, end.adapter) == ("succeeded", 1, {"name": "pets", "version": 1})


def test_a_store_that_cannot_be_written_fails_the_job(workers, submit, queue, settings):
    (settings.data_dir / "adapters").write_text("not a directory")
    workers(PUBLISH_TIMEOUT_S=0.5)
    end = wait_for_end(queue, submit(epochs=1))
    assert (end.state, end.error["code"]) == ("failed", "store_unavailable")


def test_the_worker_never_imports_torch():
    code = "import sys, worker.__main__, worker.training_job; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_logs_hold_ids_and_no_labels(workers, submit, queue, settings):
    worker = workers(LOG_LEVEL="info")
    wait_for_end(queue, submit(tenant="tenant-7", name="alarms"))
    worker.terminate()
    _, stderr = worker.communicate(timeout=10)
    lines = [json.loads(line) for line in stderr.splitlines()]
    started = next(line for line in lines if line["event"] == "job started")
    assert (started["tenant"], started["adapter"]) == ("tenant-7", "alarms") and started["job"]
    assert "cat" not in stderr and "dog" not in stderr


def test_help_lists_every_setting():
    shown = subprocess.run([sys.executable, "-m", "worker", "--help"], capture_output=True, text=True)
    assert shown.returncode == 0
    assert "EARSHOT_HEARTBEAT_TTL_S" in shown.stdout and "[30]" in shown.stdout


def test_an_unusable_setting_is_named():
    shown = subprocess.run(
        [sys.executable, "-m", "worker"], capture_output=True, text=True, env={"EARSHOT_MAX_RETRIES": "-1"}
    )
    assert shown.returncode == 2
    assert shown.stderr == "earshot: EARSHOT_MAX_RETRIES is '-1': it must be greater than or equal to 0\n"


def test_a_job_outlives_a_restart_of_redis(settings, tmp_path_factory):
    data_dir = tmp_path_factory.mktemp("r")
    server, url = private_redis.start(data_dir)
    own = settings.model_copy(update={"redis_url": url, "data_dir": data_dir})
    queue = JobQueue(connect(url), own)
    worker = start_worker(own)
    try:
        wait_until(queue.workers)
        upload = queue.uploads.new_upload()
        queue.uploads.add_clip(upload, "cat", [b"a"])
        record = queue.submit("t", "pets", upload, {"epochs": 40, "epoch_s": 0.1})
        wait_for_epoch(queue, record, 3)
        server.send_signal(signal.SIGTERM)
        server.wait()
        time.sleep(1)
        server, _ = private_redis.start(data_dir)
        end = wait_for_end(queue, record)
        assert (end.state, end.attempts) == ("succeeded", 1)
        upload = queue.uploads.new_upload()
        queue.uploads.add_clip(upload, "cat", [b"a"])
        assert wait_for_end(queue, queue.submit("t", "pets", upload, {})).state == "succeeded"
    finally:
        worker.kill()
        worker.communicate()
        server.terminate()
        server.wait()


def test_a_job_outlives_a_redis_that_is_full_for_a_while(workers, submit, queue, redis):
    worker = workers()
    record = submit(epochs=30, epoch_s=0.1)
    wait_for_epoch(queue, record, 3)
    trainer = trainer_of(worker)
    redis.config_set("maxmemory", 1)
    time.sleep(1)
    redis.config_set("maxmemory", 0)
    end = wait_for_end(queue, record)
    assert (end.state, end.attempts, is_alive(trainer)) == ("succeeded", 1, True)


def test_a_worker_stops_in_time_without_redis(settings, tmp_path_factory):
    data_dir = tmp_path_factory.mktemp("r")
    server, url = private_redis.start(data_dir)
    own = settings.model_copy(update={"redis_url": url, "data_dir": data_dir})
    queue = JobQueue(connect(url), own)
    worker = start_worker(own)
    try:
        wait_until(queue.workers)
        upload = queue.uploads.new_upload()
        queue.uploads.add_clip(upload, "cat", [b"a"])
        wait_for_epoch(queue, queue.submit("t", "pets", upload, {"epochs": 1000, "epoch_s": 0.1}), 1)
        trainer = trainer_of(worker)
        server.terminate()
        server.wait()
        worker.terminate()
        assert worker.wait(timeout=20) == 1
        wait_until(lambda: not is_alive(trainer))
    finally:
        worker.kill()
        worker.communicate()
        server.kill()
        server.wait()


def test_a_worker_waits_for_redis_to_come_up(settings, tmp_path_factory):
    data_dir = tmp_path_factory.mktemp("r")
    own = settings.model_copy(update={"redis_url": private_url(data_dir), "data_dir": data_dir})
    worker = start_worker(own)
    time.sleep(3)
    server, url = private_redis.start(data_dir)
    try:
        queue = JobQueue(connect(url), own)
        wait_until(lambda: [ready.pid for ready in queue.workers()] == [worker.pid], 30)
    finally:
        worker.kill()
        worker.communicate()
        server.kill()
        server.wait()


def test_a_worker_without_its_model_says_so_and_ends(settings):
    worker = start_worker(settings, MODEL="missing")
    _, stderr = worker.communicate(timeout=30)
    assert worker.returncode == 1
    assert "checkpoint_not_found" in stderr


def test_nothing_but_records_is_left_in_redis(workers, submit, queue, redis):
    workers()
    for _ in range(3):
        record = submit()
        wait_for_end(queue, record)
    kept = (b"rq:workers", b"rq:worker:", b"rq:queues", b"earshot:tenant:t:jobs", b"rq:finished:")

    def left():
        return [key for key in redis.scan_iter() if redis.ttl(key) == -1 and not key.startswith(kept)]

    wait_until(lambda: not left())
