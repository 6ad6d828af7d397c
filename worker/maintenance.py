"""Put right what a crash left between our records, RQ and the uploads on disk."""

import threading
from datetime import UTC, datetime

import structlog
from redis import Redis
from rq.exceptions import NoSuchJobError
from rq.job import Job, JobStatus

from adapters_store import StoreError, open_store
from jobs.leases import Leases
from jobs.queue import SERIALIZER, JobQueue
from jobs.record import LIVE_STATES
from jobs.records import PREFIX, JobRecord, translated, utc_now
from jobs.results import Results
from jobs.uploads import Uploads

# A job is written into its record first and into RQ right after; younger ones may be in between.
SETTLED_AFTER_S = 30
WAITING = (JobStatus.QUEUED, JobStatus.RATE_LIMITED, JobStatus.SCHEDULED, JobStatus.DEFERRED)
SWEEP_INTERVAL_S = 6 * 3600
SWEEP_KEY = f"{PREFIX}:swept"

log = structlog.get_logger()


def reconcile(queue: JobQueue, leases: Leases, uploads: Uploads, *, upload_ttl_s: float) -> None:
    """Hand live jobs that RQ does not have to it again, and remove uploads and results that no job will use."""
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
    Results(queue.settings.data_dir).sweep(queue.records.states, live_states=LIVE_STATES)
    removed = uploads.sweep(in_use, older_than_s=upload_ttl_s)
    if removed:
        log.info("uploads without a job removed", uploads=len(removed))


def sweep_store(redis: Redis, url: str) -> threading.Thread | None:
    """Remove what crashes left in the adapter store, one worker every `SWEEP_INTERVAL_S`, beside the jobs."""
    with translated():
        if not redis.set(SWEEP_KEY, utc_now(), nx=True, ex=SWEEP_INTERVAL_S):
            return None
    thread = threading.Thread(target=_swept, args=(url,), name="sweep", daemon=True)
    thread.start()
    return thread


def _swept(url: str) -> None:
    try:
        if removed := open_store(url).sweep():
            log.info("files that no adapter uses removed from the store", files=removed)
    except StoreError as error:
        log.warning("the store could not be swept", code=error.code, error=str(error))


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
