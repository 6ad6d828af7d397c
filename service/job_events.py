"""The events of all jobs that somebody follows, read from Redis by one reader for the whole process.

A follower would else hold a connection to Redis for as long as its job runs.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field

from redis.asyncio import Redis
from redis.exceptions import RedisError

from jobs.record import JobEvent, JobRecord
from jobs.records import JobRecords

BLOCK_S = 0.25  # a new follower waits as long at most until it is read for
CHECK_S = 2.0  # how often jobs are looked after that end without an event, as one whose record has expired
RETRY_S = 0.5
PAGE = 100  # events of one job in one answer
FROM_THE_FIRST = "0"


@dataclass(eq=False)
class Follower:
    """One stream: where it stands, and what is on its way to it; None ends it."""

    job_id: str
    after: tuple[int, int]
    events: "asyncio.Queue[JobEvent | None]" = field(default_factory=asyncio.Queue)
    has_ended: bool = False
    """Whether the job had ended before the reading that comes next began."""


class JobEvents:
    """Hands events to their followers; everything is on the event loop, so there is nothing to lock."""

    def __init__(self, redis: Redis, *, is_draining: Callable[[], bool] = lambda: False):
        self._redis = redis
        self._is_draining = is_draining
        self._followers: set[Follower] = set()
        self._reader: asyncio.Task[None] | None = None
        self._check_at = 0.0  # on the loop's clock

    async def follow(self, job_id: str, after: str | None) -> AsyncIterator[JobEvent]:
        """The job's events after the one of that id, as they come, until it ends or the service does.

        While Redis cannot be asked its followers wait.
        """
        follower = Follower(job_id, _place(after or FROM_THE_FIRST))
        self._followers.add(follower)
        self._check_at = 0.0
        if self._reader is None or self._reader.done():
            self._reader = asyncio.ensure_future(self._read_on())
        try:
            while (event := await follower.events.get()) is not None:
                yield event
        finally:
            self._followers.discard(follower)

    async def close(self) -> None:
        """End the reader."""
        if self._reader is not None:
            self._reader.cancel()
            with suppress(asyncio.CancelledError):
                await self._reader

    async def _read_on(self) -> None:
        try:
            while self._followers and not self._is_draining():
                try:
                    await self._look_for_ends()
                    await self._read()
                except RedisError:
                    self._check_at = 0.0
                    await asyncio.sleep(RETRY_S)
        finally:
            for follower in list(self._followers):
                self._end(follower)

    async def _look_for_ends(self) -> None:
        now = asyncio.get_running_loop().time()
        if now < self._check_at:
            return
        self._check_at = now + CHECK_S  # who comes meanwhile sets it back
        jobs = list({follower.job_id for follower in self._followers if not follower.has_ended})
        async with self._redis.pipeline(transaction=False) as pipeline:
            for job_id in jobs:
                pipeline.hgetall(JobRecords.record_key(job_id))
            stored = await pipeline.execute()
        ended = {job_id for job_id, fields in zip(jobs, stored, strict=True) if not _is_live(fields)}
        for follower in self._followers:
            follower.has_ended |= follower.job_id in ended

    async def _read(self) -> None:
        """One answer of Redis: of each job what comes after the follower that is furthest behind."""
        followers: dict[str, list[Follower]] = {}
        for follower in self._followers:
            if follower.events.qsize() < PAGE:  # a client that reads slowly gets the rest later
                followers.setdefault(follower.job_id, []).append(follower)
        if not followers:
            return await asyncio.sleep(BLOCK_S)
        starts = {
            JobRecords.events_key(job_id): "{}-{}".format(*min(follower.after for follower in group))
            for job_id, group in followers.items()
        }
        has_ended = any(follower.has_ended for group in followers.values() for follower in group)
        block_ms = None if has_ended else int(BLOCK_S * 1e3)
        answer = await self._redis.xread(starts, count=PAGE, block=block_ms)
        by_key = {
            _text(key): entries for key, entries in (answer.items() if isinstance(answer, dict) else answer or ())
        }
        for job_id, group in followers.items():
            key = JobRecords.events_key(job_id)
            events = JobRecords.parse_events({key: by_key[key]}) if key in by_key else []
            for follower in group:
                self._hand(follower, events, is_last=len(events) < PAGE)

    def _hand(self, follower: Follower, events: list[JobEvent], *, is_last: bool) -> None:
        for event in events:
            if (place := _place(event.id)) > follower.after:
                follower.after = place
                follower.events.put_nowait(event)
        # Only a look that began after the job's end is sure to have seen its last event.
        if is_last and follower.has_ended:
            self._end(follower)
        elif events and not events[-1].record.is_live:
            follower.has_ended = True  # the next look, which does not wait, is the last

    def _end(self, follower: Follower) -> None:
        follower.events.put_nowait(None)
        self._followers.discard(follower)


def _place(event_id: str) -> tuple[int, int]:
    milliseconds, _, number = event_id.partition("-")
    return int(milliseconds), int(number or 0)


def _is_live(stored: dict) -> bool:
    return bool(stored) and JobRecord.from_fields(stored).is_live


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
