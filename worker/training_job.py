"""One job from the queue to its end: what RQ calls, in the worker's own process, beside the trainer that trains.

A job ends in its record first and in RQ second, and RQ is never told that a job failed: whatever is to be tried again
goes back to RQ as a `Retry`, and the attempts are counted in our record.
"""

import time
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import structlog
from rq import Retry

from adapters_store import Ref, open_store
from adapters_store.errors import AdapterNotFound, StoreError
from jobs.errors import RedisUnavailable
from jobs.queue import JobQueue, adapter_deleted_error
from jobs.records import JobRecord, utc_now
from jobs.settings import WorkerSettings
from jobs.uploads import Staging
from worker.publishing import find_published
from worker.trainer_process import TrainerDied, TrainerProcess

POLL_S = 0.1
WATCH_INTERVAL_S = 0.3
PROGRESS_INTERVAL_S = 0.2
RECONNECT_S = 0.5
AGAIN = Retry(max=1_000_000, enqueue_at_front=True)

log = structlog.get_logger()


@dataclass(frozen=True)
class Surroundings:
    """What the worker process lends to the job that it runs.

    Attributes:
        heartbeat: tells RQ that the job is alive.
        is_stopping: whether the worker is to end.
    """

    queue: JobQueue
    staging: Staging
    trainer: TrainerProcess
    settings: WorkerSettings
    heartbeat: Callable[[], None]
    is_stopping: Callable[[], bool]


SURROUNDINGS: ContextVar[Surroundings] = ContextVar("surroundings")


def run(job_id: str) -> Retry | None:
    """Run the job of this id; RQ calls it by its dotted name. A Retry sends the job back to the queue."""
    job = TrainingJob(job_id, SURROUNDINGS.get())
    try:
        return job.run()
    finally:
        structlog.contextvars.clear_contextvars()


class TrainingJob:
    """One attempt at a job."""

    def __init__(self, job_id: str, surroundings: Surroundings):
        self.job_id = job_id
        self.queue = surroundings.queue
        self.records = surroundings.queue.records
        self.staging = surroundings.staging
        self.trainer = surroundings.trainer
        self.settings = surroundings.settings
        self.heartbeat = surroundings.heartbeat
        self.is_stopping = surroundings.is_stopping
        self.attempt = 0
        self._progress: dict[str, Any] | None = None
        self._next_progress = self._next_watch = self._next_heartbeat = 0.0
        self._has_leave = False
        self._stop_reason: str | None = None
        self._kill_at = float("inf")
        self._deadline = time.monotonic() + self.settings.job_timeout_s

    def run(self) -> Retry | None:
        """Begin, watch over the trainer, and end the record as the outcome says."""
        record = self._begin()
        if record is None:
            return None
        try:
            self.trainer.start()
            self.trainer.send({"command": "train", "job": _job_message(record)})
            outcome = self._watch_trainer()
        except TrainerDied as error:
            log.warning("the trainer died", exit_code=error.exit_code, attempt=self.attempt)
            outcome = {"event": "died"}
        except BaseException:
            # RQ's own timeout, which must pass: the trainer would otherwise go on with a job that nobody awaits.
            self.trainer.kill()
            raise
        if not self.is_stopping():
            # Where it was killed or died, the model is loaded again before the next job comes.
            self.trainer.start()
        return self._end(record, outcome)

    def _begin(self) -> JobRecord | None:
        record = self.records.find(self.job_id)
        if record is None or not record.is_live:
            log.warning("a job without a live record is passed over", job=self.job_id)
            return None
        structlog.contextvars.bind_contextvars(job=record.id, tenant=record.tenant, adapter=record.name)
        reason = self.queue.stop_reason(record.id)
        is_last = record.attempts > self.settings.max_retries
        if (reason is not None or is_last) and (published := self._find_published(record)):
            return self._succeed(record, published.version)
        if reason is not None:
            return self._finish_stopped(record, reason)
        if is_last:
            return self._fail(record, "worker_lost", _lost_sentence(record.attempts))
        record = self.records.update(
            record.id,
            state="running",
            attempts=lambda stored: stored.attempts + 1,
            started_at=lambda stored: stored.started_at or utc_now(),
        )
        if record is not None:
            self.attempt = record.attempts
            log.info("job started", attempt=record.attempts)
        return record

    def _watch_trainer(self) -> dict[str, Any]:
        """Pass on progress, send heartbeats and stop the trainer where need be, until it says how the job ended."""
        is_trained = False
        while True:
            message = self.trainer.receive(timeout_s=POLL_S)
            event = message["event"] if message else None
            if event in ("published", "stopped", "failed"):
                return message
            if event == "unusable":
                log.error("the trainer cannot load its model", code=message["code"], detail=message["detail"])
                detail = "the model of this service cannot be loaded; try again later"
                return {"event": "failed", "code": "model_unavailable", "detail": detail}
            if event == "progress":
                self._progress = message["progress"]
            elif event == "trained":
                is_trained = True
            self._look_around()
            if is_trained and self._may_publish():
                is_trained, self._has_leave = False, True
                self.trainer.send({"command": "publish"})
            if time.monotonic() > self._kill_at:
                log.warning("the trainer does not step down and is killed", reason=self._stop_reason)
                self.trainer.kill()
                return {"event": "stopped"}

    def _may_publish(self) -> bool:
        """Whether this attempt still has the job and nothing speaks against its end; not while Redis is away."""
        last = self._progress or {}
        try:
            if reason := self.queue.stop_reason(self.job_id):
                self._stop(reason, self.settings.cancel_grace_s)
            elif self._update(progress=lambda stored: stored.progress | last | {"phase": "publishing"}) is None:
                self._stop("superseded", self.settings.cancel_grace_s)
        except RedisUnavailable:
            return False
        self._progress = None
        return self._stop_reason is None

    def _look_around(self) -> None:
        now = time.monotonic()
        if self.is_stopping():
            self._stop("shutdown", self.settings.shutdown_grace_s)
        elif now > self._deadline:
            self._stop("timeout", self.settings.cancel_grace_s)
        try:
            if now >= self._next_watch:
                self._next_watch = now + WATCH_INTERVAL_S
                if reason := self.queue.stop_reason(self.job_id):
                    self._stop(reason, self.settings.cancel_grace_s)
            if now >= self._next_heartbeat:
                self._next_heartbeat = now + self.settings.heartbeat_s
                self.heartbeat()
            if self._progress is not None and now >= self._next_progress:
                self._next_progress = now + PROGRESS_INTERVAL_S
                self._write_progress()
        except RedisUnavailable:
            log.warning("redis does not answer; the training goes on")

    def _write_progress(self) -> None:
        progress, self._progress = self._progress, None
        try:
            if self._update(progress=progress) is None:
                # Another worker took the job up while this one seemed dead, or the record is gone.
                self._stop("superseded", self.settings.cancel_grace_s)
        except RedisUnavailable:
            self._progress = self._progress or progress
            raise

    def _stop(self, reason: str, grace_s: float) -> None:
        if self._stop_reason is None:
            self._stop_reason = reason
            if self._has_leave and reason != "shutdown":
                # A publication is not cut off: nobody could tell whether the version is there.
                grace_s = max(grace_s, self.settings.publish_timeout_s)
            self._kill_at = time.monotonic() + grace_s
            log.info("the training is told to stop", reason=reason)
            self.trainer.send({"command": "stop"})

    def _end(self, record: JobRecord, outcome: dict[str, Any]) -> Retry | None:
        if self._progress is not None:
            self._persist(progress=self._progress)
        event, reason = outcome["event"], self._stop_reason
        if event == "published":
            return self._succeed(record, outcome["version"])
        if self._has_leave and reason != "shutdown" and (published := self._find_published(record)):
            return self._succeed(record, published.version)
        if event == "failed":
            return self._fail(record, outcome["code"], outcome["detail"])
        if reason == "shutdown":
            self._persist(state="queued", attempts=lambda stored: stored.attempts - 1)
            log.info("job goes back to the queue")
            return AGAIN
        if reason is not None:
            return self._finish_stopped(record, reason)
        if self.attempt > self.settings.max_retries:
            return self._fail(record, "worker_lost", _lost_sentence(self.attempt))
        self._persist(state="queued")
        return AGAIN

    def _succeed(self, record: JobRecord, version: int) -> None:
        if self.queue.stop_reason(record.id) == "adapter_deleted":
            # The adapter was deleted in the instant between leave to publish and the publication.
            self._delete_version(record, version)
            return self._finish_stopped(record, "adapter_deleted")
        adapter = {"name": record.name, "version": version}
        self._finish(record, state="succeeded", adapter=adapter)
        return log.info("job succeeded", version=version)

    def _finish_stopped(self, record: JobRecord, reason: str) -> None:
        if reason == "cancelled":
            self._finish(record, state="cancelled")
            log.info("job cancelled")
        elif reason == "adapter_deleted":
            self._fail(record, **adapter_deleted_error(record.name))
        elif reason == "timeout":
            limit = self.settings.job_timeout_s
            detail = (
                f"the training took longer than {limit} seconds; send fewer or shorter clips, or ask for fewer epochs"
            )
            self._fail(record, "job_timeout", detail)
        else:
            log.warning("the job is left to the worker that has it now")

    def _fail(self, record: JobRecord, code: str, detail: str) -> None:
        self._finish(record, state="failed", error={"code": code, "detail": detail})
        log.info("job failed", code=code)

    def _finish(self, record: JobRecord, **changes: Any) -> None:
        """Write the end into the record, and only then let go of the upload."""
        if self._persist(ended_at=utc_now(), **changes) is not None:
            self.staging.remove(record.upload_id)

    def _persist(self, **changes: Any) -> JobRecord | None:
        """Update the record, waiting for Redis as long as it takes, or until the worker is to end."""
        while True:
            try:
                return self._update(**changes)
            except RedisUnavailable:
                if self.is_stopping():
                    raise
                log.warning("redis does not answer; the end of the job waits to be written")
                time.sleep(RECONNECT_S)

    def _update(self, **changes: Any) -> JobRecord | None:
        # An attempt that was taken for dead and replaced must not write over its successor.
        return self.records.update_if(
            self.job_id,
            lambda stored: stored.is_live and (self.attempt == 0 or stored.attempts == self.attempt),
            **changes,
        )

    def _find_published(self, record: JobRecord) -> Ref | None:
        """What an attempt of this job published before it could say so, as far as the store tells."""
        try:
            store = open_store(self.settings.store_url_or_local)
            return find_published(store, record.tenant, record.name, job_id=record.id, since=record.created_at)
        except StoreError as error:
            log.error("the store cannot tell whether the job has published", code=error.code)
            return None

    def _delete_version(self, record: JobRecord, version: int) -> None:
        try:
            open_store(self.settings.store_url_or_local).delete(record.tenant, record.name, version)
        except AdapterNotFound:
            return
        except StoreError as error:
            log.error("a version of a deleted adapter could not be removed", version=version, code=error.code)


def _job_message(record: JobRecord) -> dict[str, Any]:
    names = ("id", "tenant", "name", "upload_id", "training", "created_at")
    return {name: getattr(record, name) for name in names} | {"findings": record.findings()}


def _lost_sentence(attempts: int) -> str:
    return (
        f"the training was cut off {attempts} times, most likely for want of memory; "
        "send fewer or shorter clips, or try again later"
    )
