"""Job records in Redis, kept by us so that they outlive RQ's own jobs."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Iterable
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from redis import Redis
from redis.client import Pipeline
from redis.exceptions import (
    ConnectionError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
    TimeoutError,
    WatchError,
)

from jobs.errors import JobNotFound, RedisUnavailable
from jobs.record import LIVE_STATES, JobEvent, JobRecord

PREFIX = "earshot"
LIVE_KEY = f"{PREFIX}:jobs:live"
EVENTS_KEPT = 1000
JOB_ID = re.compile(r"[0-9a-f]{32}")


class JobRecords:
    """Records and their events in Redis: a hash and a stream a job, and the tenant's index by age.

    The records of live jobs stay; those of ended jobs are dropped `ttl_s` seconds after their end.
    """

    def __init__(self, redis: Redis, *, ttl_s: int):
        self.redis = redis
        self.ttl_s = ttl_s

    def create(self, record: JobRecord, pipeline: Pipeline) -> None:
        """Write a new record and its first event as part of the caller's transaction."""
        self._write(record, pipeline)
        index, score = self.index_key(record.tenant), _score(record.created_at)
        pipeline.zadd(index, {record.id: score})
        pipeline.zremrangebyscore(index, "-inf", score - 2 * self.ttl_s * 1_000_000)
        pipeline.zadd(LIVE_KEY, {record.id: score})
        pipeline.sadd(self.live_key(record.tenant), record.id)

    def get(self, tenant: str, job_id: str) -> JobRecord:
        """The tenant's record of that id; raises JobNotFound, also where the job is another tenant's."""
        record = self.find(job_id)
        if record is None or record.tenant != tenant:
            raise JobNotFound(f"there is no job {job_id!r}, or its record has expired")
        return record

    def find(self, job_id: str) -> JobRecord | None:
        """The record of that id, of whichever tenant; None where there is none."""
        if not JOB_ID.fullmatch(job_id):
            # A client's word must not become another of our keys.
            return None
        with translated():
            stored = self.redis.hgetall(self.record_key(job_id))
        return self._parsed(job_id, stored)

    def list(self, tenant: str, *, limit: int = 50, after: str | None = None) -> tuple[list[JobRecord], str | None]:
        """Up to `limit` records, newest first, and the cursor to pass as `after` for those that follow, or None."""
        found: list[JobRecord] = []
        last = 0
        cursor = f"({int(after)}" if after is not None else "+inf"
        index = self.index_key(tenant)
        with translated():
            while True:
                page = self.redis.zrevrangebyscore(index, cursor, "-inf", start=0, num=limit + 1, withscores=True)
                for member, score in page:
                    if len(found) == limit:
                        return found, str(last)
                    record = self.find(_text(member))
                    if record is not None:
                        found.append(record)
                        last = int(score)
                    cursor = f"({int(score)}"
                if len(page) <= limit:
                    return found, None

    def live_ids(self) -> list[str]:
        """The ids of all jobs that are still to end, oldest first."""
        with translated():
            return [_text(member) for member in self.redis.zrange(LIVE_KEY, 0, -1)]

    def num_unfinished(self) -> dict[str, int]:
        """How many jobs of all tenants are queued, and how many running."""
        with translated(), self.redis.pipeline(transaction=False) as pipeline:
            for job_id in self.live_ids():
                pipeline.hget(self.record_key(job_id), "state")
            states = pipeline.execute()
        return {state: states.count(json.dumps(state).encode()) for state in LIVE_STATES}

    def states(self, job_ids: Iterable[str]) -> dict[str, str]:
        """The state of each of these jobs whose record is there."""
        job_ids = list(job_ids)
        with translated(), self.redis.pipeline(transaction=False) as pipeline:
            for job_id in job_ids:
                pipeline.hgetall(self.record_key(job_id))
            found = pipeline.execute()
        return {job: self._parsed(job, stored).state for job, stored in zip(job_ids, found, strict=True) if stored}

    def forget(self, job_id: str) -> None:
        """Drop the id of a job whose record is gone or damaged from the live ones, and from its tenant's.

        Nothing tells any more whose it was, so that all tenants are looked through, which is seldom needed.
        """
        with translated():
            self.redis.zrem(LIVE_KEY, job_id)
            for key in self.redis.scan_iter(match=self.live_key("*"), count=1000):
                self.redis.srem(key, job_id)

    def live_of(self, tenant: str) -> list[JobRecord]:
        """The tenant's jobs that are still to end."""
        with translated():
            members = self.redis.smembers(self.live_key(tenant))
        return [record for record in (self.find(_text(member)) for member in members) if record is not None]

    def update(self, job_id: str, *, only_in: Iterable[str] = LIVE_STATES, **changes: Any) -> JobRecord | None:
        """Change fields of the record and append the event, in one transaction.

        Args:
            only_in: the states in which the change is allowed; an ended job never changes again.
            changes: fields of JobRecord; a callable value is given the present record.

        Returns:
            The record as it now is, or None where it is gone or in another state: then nothing was written.
        """
        return self.update_if(job_id, lambda record: record.state in only_in, **changes)

    def update_if(self, job_id: str, allows: Callable[[JobRecord], bool], **changes: Any) -> JobRecord | None:
        """As `update`, under any condition on the present record."""
        key = self.record_key(job_id)
        with translated(), self.redis.pipeline() as pipeline:
            while True:
                try:
                    pipeline.watch(key)
                    stored = pipeline.hgetall(key)
                    record = self._parsed(job_id, stored)
                    if record is None or not allows(record):
                        return None
                    values = {name: value(record) if callable(value) else value for name, value in changes.items()}
                    record = replace(record, **values)
                    pipeline.multi()
                    self._write(record, pipeline)
                    pipeline.execute()
                    return record
                except WatchError:
                    continue

    def events(self, job_id: str, *, after: str = "0", limit: int = 100) -> list[JobEvent]:
        """The job's changes after the event with the id `after` ("0": from the first), oldest first."""
        with translated():
            answer = self.redis.xread({self.events_key(job_id): after}, count=limit)
        return self.parse_events(answer)

    @staticmethod
    def parse_events(answer: Any) -> list[JobEvent]:
        """The events in an answer to XREAD on `events_key`, for callers that read it with a client of their own."""
        entries = []
        for _, batch in answer.items() if isinstance(answer, dict) else answer or []:
            # Under RESP3 a stream's entries, each a tuple, come inside one more list.
            entries += batch[0] if batch and isinstance(batch[0], list) else batch
        return [JobEvent(_text(event_id), JobRecord.from_fields(stored)) for event_id, stored in entries]

    @staticmethod
    def _parsed(job_id: str, stored: dict[bytes, bytes]) -> JobRecord | None:
        return replace(JobRecord.from_fields(stored), id=job_id) if stored else None

    @staticmethod
    def record_key(job_id: str) -> str:
        """The hash that holds the record."""
        return f"{PREFIX}:job:{job_id}"

    @staticmethod
    def events_key(job_id: str) -> str:
        """The stream that holds the record's changes."""
        return f"{PREFIX}:job:{job_id}:events"

    @staticmethod
    def tenant_prefix(tenant: str) -> str:
        """What the keys of all that is the tenant's own begin with; jobs aside, which have ids."""
        return f"{PREFIX}:tenant:{tenant}:"

    @classmethod
    def index_key(cls, tenant: str) -> str:
        """The sorted set of the tenant's job ids, by their age."""
        return f"{cls.tenant_prefix(tenant)}jobs"

    @classmethod
    def live_key(cls, tenant: str) -> str:
        """The set of the tenant's job ids that are still to end."""
        return f"{cls.tenant_prefix(tenant)}live"

    def _write(self, record: JobRecord, pipeline: Pipeline) -> None:
        key, events_key = self.record_key(record.id), self.events_key(record.id)
        pipeline.hset(key, mapping=record.to_fields())
        pipeline.xadd(events_key, record.to_event(), maxlen=EVENTS_KEPT, approximate=True)
        if not record.is_live:
            pipeline.expire(key, self.ttl_s)
            pipeline.expire(events_key, self.ttl_s)
            pipeline.zrem(LIVE_KEY, record.id)
            pipeline.srem(self.live_key(record.tenant), record.id)


@contextmanager
def translated():
    """Turn what Redis raises while it is away, or takes no writes, into RedisUnavailable."""
    try:
        yield
    except (ConnectionError, TimeoutError) as error:
        raise RedisUnavailable("the job queue does not answer; try again in a few seconds") from error
    except ResponseError as error:
        # MISCONF: the last snapshot failed, most often for want of disk space.
        if isinstance(error, OutOfMemoryError | ReadOnlyError) or "MISCONF " in str(error):
            raise RedisUnavailable("the job queue takes nothing in at present; try again in a few seconds") from error
        raise


def new_job_id() -> str:
    """A job id that cannot be guessed, of characters that RQ takes."""
    return uuid.uuid4().hex


def utc_now() -> str:
    """The present as an ISO 8601 string in UTC, to the microsecond."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _score(timestamp: str) -> int:
    # Microseconds fit a double's 53 bits until the year 2255.
    moment = datetime.fromisoformat(timestamp)
    return int(moment.timestamp()) * 1_000_000 + moment.microsecond


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
