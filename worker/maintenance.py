"""Put right what a crash left between our records, RQ and the uploads on disk."""

from datetime import UTC, datetime

import structlog
from rq.exceptions import NoSuchJobError
from rq.job import Job, JobStatus

from jobs.leases import Leases
from jobs.queue import SERIALIZER, JobQueue
from jobs.records import JobRecord
from jobs.uploads import Uploads

# A job is written into its record first and into RQ right after; younger ones may be in between.
SETTLED_AFTER_S = 30
WAITING = (JobStatus.QUEUED, JobStatus.RATE_LIMITED, JobStatus.SCHEDULED, JobStatus.DEFERRED)

log = structlog.get_logger()


def reconcile(queue: JobQueue, leases: Leases, uploads: Uploads, *, upload_ttl_s: float) -> None:
    """Hand live jobs that RQ does not have to it again, and remove uploads that no job will use."""
    in_use = set()
    for job_id in queue.records.live_ids():
        record = queue.records.find(job_id)
        if record is None or not record.is_live:  # damaged: an end takes the id from the live ones
            queue.records.forget(job_id)
            continue
        in_use.add(record.upload_id)
        if _is_settled(record) and not leases.is_held(record.id) and not _is_under_way(queue, record):
            log.warning("a job that rq lost is queued again", job=record.id, tenant=record.tenant)
            queue.enqueue(record)
    removed = uploads.sweep(in_use, older_than_s=upload_ttl_s)
    if removed:
        log.info("uploads without a job removed", uploads=len(removed))


def _is_settled(record: JobRecord) -> bool:
    age = datetime.now(UTC) - datetime.fromisoformat(record.created_at)
    return age.total_seconds() > SETTLED_AFTER_S


def _is_under_way(queue: JobQueue, record: JobRecord) -> bool:
    try:
        job = Job.fetch(record.id, connection=queue.redis, serializer=SERIALIZER)
    except NoSuchJobError:
        return False
    status = job.get_status(refresh=False)
    return status in WAITING or (status == JobStatus.STARTED and job.id in job.started_job_registry)
