"""Jobs into RQ, and what may be asked of them afterwards.

Fair between tenants by RQ's rate limit: of each tenant at most `tenant_concurrency` jobs are in the one queue or
running; the rest wait aside, and when one ends the tenant's next goes to the queue's end. So a newcomer stands behind
at most one job of every other tenant, however many those have. Queues per tenant served in turn would do the same,
but a worker would have to learn of new tenants while it blocks, and RQ moves a job atomically (so that a worker
killed in that instant loses nothing) only out of a single queue.
"""

import json
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import structlog
from redis import Redis
from redis.client import Pipeline
from redis.exceptions import ConnectionError, TimeoutError, WatchError
from rq import Queue, Retry, worker_registration
from rq.exceptions import InvalidJobOperation, NoSuchJobError
from rq.job import Job
from rq.rate_limit import RateLimit

from jobs.errors import (
    IdempotencyInFlight,
    IdempotencyMismatch,
    JobUnconfirmed,
    QueueFull,
    RedisUnavailable,
    TenantQueueFull,
)
from jobs.findings import Findings
from jobs.kinds import ADAPT
from jobs.records import LIVE_KEY, PREFIX, JobRecord, JobRecords, new_job_id, translated, utc_now
from jobs.settings import Settings
from jobs.uploads import Uploads

QUEUE_NAME = "earshot"
# RQ's name for what is done. Releases before 0.3 know the first alone, and would take any job for an adaptation.
ADAPT_FUNCTION, JOB_FUNCTION = "worker.training_job.run", "worker.job.run"
JOB_FUNCTIONS = frozenset([ADAPT_FUNCTION, JOB_FUNCTION])
SERIALIZER = "json"
# RQ's own limits are a backstop: the job function counts attempts and watches the time itself.
RQ_RETRIES = 100
RQ_TIMEOUT_MARGIN_S = 120
RQ_RESULT_TTL_S = 60
RQ_FAILURE_TTL_S = 24 * 3600
IN_FLIGHT_TTL_S = 600
CANCEL_TTL_S = 24 * 3600
NOTHING_FOUND = Findings()
# What an Idempotency-Key holds until its request has made a job.
UNANSWERED = b"{}"

log = structlog.get_logger()


@dataclass(frozen=True)
class Idempotency:
    """An Idempotency-Key with the digest of the body it came with."""

    key: str
    digest: str


@dataclass(frozen=True)
class ReadyWorker:
    """A worker process that takes jobs."""

    hostname: str
    pid: int


class JobQueue:
    """The one queue of jobs."""

    def __init__(self, redis: Redis, settings: Settings):
        self.redis = redis
        self.settings = settings
        self.records = JobRecords(redis, ttl_s=settings.job_ttl_s)
        self.uploads = Uploads(settings.data_dir)

    def submit(
        self,
        tenant: str,
        name: str,
        upload_id: str,
        training: dict[str, Any],
        *,
        kind: str = ADAPT,
        request: dict[str, Any] | None = None,
        findings: Findings = NOTHING_FOUND,
        idempotency: Idempotency | None = None,
    ) -> JobRecord:
        """Queue a job about adapter `name` on an upload, which then belongs to the job.

        Args:
            name: the adapter's; "" where the job is about none.
            upload_id: "" where the job has no upload.
            training: method, audio_prompt, preset, template, epochs, ... as aspl.TrainingConfig takes them, and
                `description`; values are JSON. Of kind `adapt` alone.
            kind: one of jobs.kinds.KINDS.
            request: what a job of another kind is told; values are JSON.
            findings: what was found in the upload, for the job and the adapter's report.
            idempotency: the request's key, claimed before with `claim`.

        Raises TenantQueueFull, QueueFull, RedisUnavailable; then the caller removes the upload, except after
        JobUnconfirmed: it may belong to a job, and if not is swept by its age.
        """
        record = JobRecord(
            id=new_job_id(),
            tenant=tenant,
            name=name,
            upload_id=upload_id,
            training=training,
            kind=kind,
            request=request or {},
            created_at=utc_now(),
            request_digest=idempotency.digest if idempotency else "",
            **findings.to_json(),
        )
        with translated():
            self._create(record, idempotency)
        try:
            with translated():
                self.enqueue(record)
        except RedisUnavailable:
            # From its record on the job is promised; the workers' maintenance hands it to RQ.
            log.warning("redis does not answer; the job is queued later", job=record.id)
        return record

    def enqueue(self, record: JobRecord) -> None:
        """Hand the job to RQ; its only argument is the id."""
        Queue(QUEUE_NAME, connection=self.redis, serializer=SERIALIZER).enqueue_call(
            ADAPT_FUNCTION if record.kind == ADAPT else JOB_FUNCTION,
            args=[record.id],
            job_id=record.id,
            description=f"job {record.id}",
            timeout=self.settings.job_timeout_s + RQ_TIMEOUT_MARGIN_S,
            result_ttl=RQ_RESULT_TTL_S,
            failure_ttl=RQ_FAILURE_TTL_S,
            retry=Retry(max=RQ_RETRIES, enqueue_at_front=True),
            rate_limit=RateLimit(f"{PREFIX}:{record.tenant}", self.settings.tenant_concurrency),
        )

    def cancel(self, tenant: str, job_id: str) -> JobRecord:
        """Cancel a job: at once where it waits, within seconds where it runs; one that has ended stays as it is.

        Returns the record, which of a running job still says so. Raises JobNotFound.
        """
        self.records.get(tenant, job_id)
        with translated():
            self.redis.set(self.cancel_key(job_id), "cancelled", ex=CANCEL_TTL_S)
        cancelled = self.records.update(job_id, only_in=("queued",), state="cancelled", ended_at=utc_now())
        if cancelled is not None:
            self._withdraw(cancelled)
        return cancelled or self.records.get(tenant, job_id)

    def adapter_deleted(self, tenant: str, name: str) -> list[str]:
        """Fail the tenant's unfinished jobs about adapter `name`; call it before the store's delete.

        Returns the ids of those jobs; a running one stops within seconds and publishes nothing.
        """
        ids = [record.id for record in self.records.live_of(tenant) if record.name == name]
        for job_id in ids:
            with translated():
                self.redis.set(self.cancel_key(job_id), "adapter_deleted", ex=CANCEL_TTL_S)
            failure = {"state": "failed", "error": adapter_deleted_error(name), "ended_at": utc_now()}
            failed = self.records.update(job_id, only_in=("queued",), **failure)
            if failed is not None:
                self._withdraw(failed)
        return ids

    def stop_reason(self, job_id: str) -> str | None:
        """Why the job is to stop: "cancelled", "adapter_deleted", or None."""
        with translated():
            reason = self.redis.get(self.cancel_key(job_id))
        return reason.decode() if reason else None

    def workers(self) -> list[ReadyWorker]:
        """The workers that are ready for jobs, or at one; one that was killed is listed for some two minutes more."""
        found = []
        with translated():
            for key in worker_registration.get_keys(Queue(QUEUE_NAME, connection=self.redis, serializer=SERIALIZER)):
                hostname, pid = self.redis.hmget(key, "hostname", "pid")
                if pid is not None:
                    found.append(ReadyWorker(hostname.decode(), int(pid)))
        return found

    def claim(self, tenant: str, key: str, digest: str | None = None) -> JobRecord | None:
        """Reserve an Idempotency-Key, before the body is read and again when its digest is known.

        Args:
            digest: of the body, where it is known already.

        Returns:
            None where the key is new: submit with it, or `release` it; else the first request's job.

        Raises IdempotencyInFlight while the first request runs, IdempotencyMismatch where the body is another.
        """
        with translated():
            if self.redis.set(self.idempotency_key(tenant, key), UNANSWERED, nx=True, ex=IN_FLIGHT_TTL_S):
                return None
            first = json.loads(self.redis.get(self.idempotency_key(tenant, key)) or UNANSWERED)
        if "job" not in first:
            raise IdempotencyInFlight("a request with this Idempotency-Key is still being answered; try again shortly")
        if digest is not None and digest != first["digest"]:
            raise IdempotencyMismatch("this Idempotency-Key came before with another body; use a new key")
        return self.records.get(tenant, first["job"])

    def release(self, tenant: str, key: str) -> None:
        """Give back a claimed key whose request was refused, so that it may be sent again; one with a job stays."""
        redis_key = self.idempotency_key(tenant, key)
        with translated():
            if self.redis.get(redis_key) == UNANSWERED:
                self.redis.delete(redis_key)

    @staticmethod
    def cancel_key(job_id: str) -> str:
        """The key that a running job watches."""
        return f"{PREFIX}:job:{job_id}:cancel"

    @staticmethod
    def idempotency_key(tenant: str, key: str) -> str:
        """Where the answer to the tenant's Idempotency-Key is remembered."""
        return f"{PREFIX}:tenant:{tenant}:idempotency:{key}"

    def _withdraw(self, record: JobRecord) -> None:
        """Take a job that has not started out of RQ, and remove its upload."""
        with translated(), suppress(NoSuchJobError, InvalidJobOperation):
            job = Job.fetch(record.id, connection=self.redis, serializer=SERIALIZER)
            job.cancel()
            job.delete()
        self.uploads.remove(record.upload_id)

    def _create(self, record: JobRecord, idempotency: Idempotency | None) -> None:
        tenant_key = self.records.live_key(record.tenant)
        is_sent = False
        with self.redis.pipeline() as pipeline:
            while True:
                try:
                    pipeline.watch(tenant_key)
                    if pipeline.sismember(tenant_key, record.id):
                        return
                    self._check_limits(pipeline, tenant_key)
                    pipeline.multi()
                    self.records.create(record, pipeline)
                    if idempotency is not None:
                        answer = json.dumps({"job": record.id, "digest": idempotency.digest})
                        key = self.idempotency_key(record.tenant, idempotency.key)
                        pipeline.set(key, answer, ex=self.settings.idempotency_ttl_s)
                    is_sent = True
                    pipeline.execute()
                    return
                except WatchError:
                    # Another's change, or an outage that took the answer.
                    continue
                except (ConnectionError, TimeoutError) as error:
                    if is_sent:
                        raise JobUnconfirmed("the job queue stopped answering; see whether the job is there") from error
                    raise

    def _check_limits(self, pipeline: Pipeline, tenant_key: str) -> None:
        if pipeline.scard(tenant_key) >= self.settings.tenant_queue_limit:
            limit = self.settings.tenant_queue_limit
            raise TenantQueueFull(f"{limit} jobs are unfinished, as many as one tenant may have; wait for one to end")
        if pipeline.zcard(LIVE_KEY) >= self.settings.queue_limit:
            raise QueueFull("too many jobs are waiting on this machine; try again later")


def adapter_deleted_error(name: str) -> dict[str, str]:
    """The error of a job whose adapter was deleted before its end."""
    return {"code": "adapter_deleted", "detail": f"the adapter {name!r} was deleted before this job had ended"}
