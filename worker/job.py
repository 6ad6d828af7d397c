"""One job from the queue to its end: what RQ calls, in the worker's own process, beside the runner that does the work.

A job ends in its record first and in RQ second, and RQ is never told that a job failed: whatever is to be tried again
goes back to RQ as a `Retry`, and the attempts are counted in our record.
"""

from typing import Any

import structlog
from rq import Retry

from adapters_store import open_store
from adapters_store.errors import AdapterNotFound, StoreError
from jobs.queue import adapter_deleted_error
from jobs.records import JobRecord, utc_now
from worker.attempt import Attempt
from worker.context import CONTEXT, WorkerContext
from worker.kinds import KINDS
from worker.publication import find_published, promoted
from worker.runner_process import RunnerDied
from worker.runner_watch import RunnerWatch

AGAIN = Retry(max=1_000_000, enqueue_at_front=True)
AT_THE_END = Retry(max=1_000_000)
"""As AGAIN, once others have had their turn; see JobWorker, for RQ forgets no wish to be at the front."""
LEFT_ALONE = "left alone"
"""What the function returns of a job that another attempt has: RQ is to be told nothing of it."""

log = structlog.get_logger()


def run(job_id: str) -> Retry | str | None:
    """Run the job of this id; RQ calls it by its dotted name. A Retry sends the job back to the queue."""
    job = JobAttempt(job_id, CONTEXT.get())
    try:
        return job.run()
    finally:
        structlog.contextvars.clear_contextvars()


class JobAttempt:
    """One attempt at a job: how it begins, and how it ends."""

    def __init__(self, job_id: str, context: WorkerContext):
        self.job_id = job_id
        self.context = context
        self.attempt = Attempt(job_id, context.queue.records, context.leases, context.is_stopping)

    def run(self) -> Retry | str | None:
        """Begin, have the runner do it, and end the record as the outcome says; all under the job's lease."""
        if not self.attempt.take():
            log.warning("a job is left to the attempt that has it", job=self.job_id)
            return LEFT_ALONE
        try:
            record = self._begin()
            again = None if record is None else self._run(record)
        except BaseException:
            if self.attempt.is_superseded():
                return LEFT_ALONE
            raise
        finally:
            self.attempt.release()
        return LEFT_ALONE if self.attempt.is_superseded() else again

    def _run(self, record: JobRecord) -> Retry | None:
        runner, watch = self.context.runner, RunnerWatch(self.context, self.attempt)
        try:
            runner.start()
            runner.send({"command": "run", "job": self._job_message(record)})
            outcome = watch.until_end()
        except RunnerDied as error:
            log.warning("the runner died", exit_code=error.exit_code, attempt=self.attempt.number)
            outcome = {"event": "died"}
        except BaseException:
            # RQ's own timeout, which must pass: the runner would otherwise go on with a job that nobody awaits.
            runner.kill()
            raise
        if not self.context.is_stopping():
            # Where it was killed or died, the model is loaded again before the next job comes.
            runner.start()
        return self._end(record, outcome, watch)

    def _job_message(self, record: JobRecord) -> dict[str, Any]:
        names = ("id", "kind", "tenant", "name", "upload_id", "training", "request", "created_at")
        values = {name: getattr(record, name) for name in names}
        return values | {"holder": self.attempt.holder, "findings": record.findings()}

    def _begin(self) -> JobRecord | None:
        record = self.context.queue.records.find(self.job_id)
        if record is None or not record.is_live:
            log.warning("a job without a live record is passed over", job=self.job_id)
            return None
        structlog.contextvars.bind_contextvars(job=record.id, tenant=record.tenant, adapter=record.name)
        reason = self.context.queue.stop_reason(record.id)
        is_last = record.attempts > self.context.settings.max_retries
        if (reason is not None or is_last) and (published := self._find_published(record)):
            return self._succeed(record, published)
        if reason is not None:
            return self._finish_stopped(record, reason)
        if is_last:
            return self._fail(record, "worker_lost", _lost_sentence(record, record.attempts))
        return self.attempt.begin()

    def _end(self, record: JobRecord, outcome: dict[str, Any], watch: RunnerWatch) -> Retry | None:
        if watch.progress is not None:
            self.attempt.update_surely(progress=watch.progress)
        event, reason = outcome["event"], watch.stop_reason
        if event == "done" and outcome.get("again") and reason is None:
            return self._give_back(AT_THE_END, attempts=lambda stored: stored.attempts - 1)
        if event == "done" and not outcome.get("again"):
            return self._succeed(record, outcome)
        if watch.has_leave and reason != "shutdown" and (published := self._find_published(record)):
            return self._succeed(record, published)
        if event == "failed":
            return self._fail(record, outcome["code"], outcome["detail"])
        if reason == "shutdown":
            log.info("job goes back to the queue")
            return self._give_back(attempts=lambda stored: stored.attempts - 1)
        if reason is not None:
            return self._finish_stopped(record, reason)
        if self.attempt.number > self.context.settings.max_retries:
            return self._fail(record, "worker_lost", _lost_sentence(record, self.attempt.number))
        return self._give_back()

    def _give_back(self, again: Retry = AGAIN, **changes: Any) -> Retry | None:
        """Let the job be taken up again; None where it has ended meanwhile or is another attempt's."""
        return again if self.attempt.update_surely(state="queued", **changes) is not None else None

    def _succeed(self, record: JobRecord, result: dict[str, Any]) -> None:
        version, promotion = result.get("version"), result.get("promoted")
        if version is not None and self.context.queue.stop_reason(record.id) == "adapter_deleted":
            # The adapter was deleted in the instant between leave to publish and the publication.
            self._delete_version(record, version)
            return self._finish_stopped(record, "adapter_deleted")
        adapter = version and {"name": record.name, "version": version}
        self._finish(record, state="succeeded", adapter=adapter, promoted=promotion, report=result.get("report"))
        told = promotion or {}
        return log.info("job succeeded", version=version, current=told.get("current"), reason=told.get("reason"))

    def _finish_stopped(self, record: JobRecord, reason: str) -> None:
        if reason == "cancelled":
            self._finish(record, state="cancelled")
            log.info("job cancelled")
        elif reason == "adapter_deleted":
            self._fail(record, **adapter_deleted_error(record.name))
        elif reason == "timeout":
            limit = self.context.settings.job_timeout_s
            self._fail(record, "job_timeout", f"the job took longer than {limit} seconds; {_advice(record)}")
        else:
            log.warning("the job is left to the worker that has it now")

    def _fail(self, record: JobRecord, code: str, detail: str) -> None:
        self._finish(record, state="failed", error={"code": code, "detail": detail})
        log.info("job failed", code=code)

    def _finish(self, record: JobRecord, **changes: Any) -> None:
        """Write the end into the record, and only then let go of the upload."""
        if self.attempt.update_surely(ended_at=utc_now(), **changes) is not None:
            self.context.uploads.remove(record.upload_id)

    def _find_published(self, record: JobRecord) -> dict[str, Any] | None:
        """What an attempt of this job published before it could say so, as far as the store tells."""
        if record.kind not in KINDS or not KINDS[record.kind].publishes:
            return None
        try:
            store = open_store(self.context.settings.store_url_or_local)
            ref = find_published(store, record.tenant, record.name, job_id=record.id, since=record.created_at)
            return ref and {"version": ref.version, "promoted": promoted(store, ref)}
        except StoreError as error:
            log.error("the store cannot tell whether the job has published", code=error.code)
            return None

    def _delete_version(self, record: JobRecord, version: int) -> None:
        try:
            open_store(self.context.settings.store_url_or_local).delete(record.tenant, record.name, version)
        except AdapterNotFound:
            return
        except StoreError as error:
            log.error("a version of a deleted adapter could not be removed", version=version, code=error.code)


def _lost_sentence(record: JobRecord, attempts: int) -> str:
    return (
        f"the job was cut off {attempts} times, most likely for want of memory; {_advice(record)}, or try again later"
    )


def _advice(record: JobRecord) -> str:
    return KINDS[record.kind].advice if record.kind in KINDS else "upgrade the workers"
