"""One attempt at a job, as its record in Redis has it."""

import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import structlog

from jobs.errors import RedisUnavailable
from jobs.leases import Leases
from jobs.records import JobRecord, JobRecords, utc_now

RECONNECT_S = 0.5

log = structlog.get_logger()


class Attempt:
    """Writes the record of a job, unless another attempt has taken the job over.

    Args:
        is_stopping: whether the worker is to end, which is not held up by a Redis that does not answer.
    """

    def __init__(self, job_id: str, records: JobRecords, leases: Leases, is_stopping: Callable[[], bool]):
        self.job_id = job_id
        self.number = 0  # from 1, once it has begun
        self.holder = uuid.uuid4().hex
        self._records = records
        self._leases = leases
        self._is_stopping = is_stopping

    def begin(self) -> JobRecord | None:
        """Count the attempt and say that the job runs; None where the job has ended meanwhile."""
        record = self._records.update(
            self.job_id,
            state="running",
            holder=self.holder,
            attempts=lambda stored: stored.attempts + 1,
            started_at=lambda stored: stored.started_at or utc_now(),
        )
        if record is not None:
            self.number = record.attempts
            log.info("job started", attempt=self.number)
        return record

    def take(self) -> bool:
        """Take the job's lease; False where another attempt at it lives, to which it is left."""
        return self._leases.take(self.job_id, self.holder)

    def renew(self) -> bool:
        """Say that this attempt lives; False where another has the job now."""
        return self._leases.renew(self.job_id, self.holder)

    def release(self) -> None:
        """Give the lease back; while Redis is away, it runs out by itself."""
        with suppress(RedisUnavailable):
            self._leases.release(self.job_id, self.holder)

    def is_superseded(self) -> bool:
        """Whether the job goes on in another attempt, so that RQ's word on it is not this one's to say."""
        try:
            record = self._records.find(self.job_id)
        except RedisUnavailable:
            return False
        if self.number == 0 or record is None or not record.is_live:
            return False
        # One that was given back has its holder's name on it until another takes it, and an attempt less.
        return record.holder != self.holder or record.attempts > self.number

    def _has(self, record: JobRecord) -> bool:
        # Releases before 0.3 count their attempts and leave the holder as it was.
        return record.attempts == self.number and record.holder == self.holder

    def update(self, **changes: Any) -> JobRecord | None:
        """Change the record; None where it has ended, is gone or is another attempt's: then nothing is written.

        Raises RedisUnavailable.
        """
        # An attempt that was taken for dead and replaced must not write over its successor.
        return self._records.update_if(
            self.job_id,
            lambda stored: stored.is_live and (self.number == 0 or self._has(stored)),
            **changes,
        )

    def update_surely(self, **changes: Any) -> JobRecord | None:
        """As `update`, waiting for Redis as long as it takes; raises RedisUnavailable once the worker is to end."""
        while True:
            try:
                return self.update(**changes)
            except RedisUnavailable:
                if self._is_stopping():
                    raise
                log.warning("redis does not answer; the end of the job waits to be written")
                time.sleep(RECONNECT_S)
