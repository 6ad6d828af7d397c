"""Whether this process can answer: a real pass through its model, and Redis. One look at a time, whoever asks."""

import asyncio
import time

from redis.asyncio import Redis
from redis.exceptions import RedisError

from aspl import Adapter
from jobs.errors import RedisUnavailable
from jobs.records import JobRecords
from service.inference.engine import Engine, noise_windows
from service.inference.errors import InferenceError, NotReady
from service.inference.queued_clip import QueuedClip
from service.inference.tenant_queue import result_of
from service.shared import Shared

PROBE_TENANT = "~readiness"  # no tenant can be called so
PROBE_TIMEOUT_S = 5.0


class Readiness:
    """What probes and scrapes ask, however many of them come at once."""

    def __init__(self, engine: Engine, redis: Redis, records: JobRecords, *, max_age_s: float):
        self._engine = engine
        self._redis = redis
        self._records = records
        self._max_age_s = max_age_s
        self._look = Shared(self._check)
        self._count = Shared(self._count_jobs)

    async def check(self) -> None:
        """Raise NotReady or RedisUnavailable unless a forward pass has run lately, and Redis answers."""
        await self._look.result()

    async def num_unfinished_jobs(self) -> dict[str, int]:
        """How many jobs are queued and how many running; raises RedisUnavailable."""
        return await self._count.result()

    async def _check(self) -> None:
        if not self._engine.is_fresh(self._max_age_s):
            await self._probe()
        await self._ping()

    async def _ping(self) -> None:
        try:
            await self._redis.ping()
        except RedisError as error:
            raise RedisUnavailable("the job queue does not answer; try again in a few seconds") from error

    async def _count_jobs(self) -> dict[str, int]:
        await self._ping()  # counting holds a thread, and while Redis hangs every scrape would hold one
        return await asyncio.to_thread(self._records.num_unfinished)

    async def _probe(self) -> None:
        """Send noise through the engine, as any clip."""
        adapter = await asyncio.to_thread(Adapter.zero_shot, self._engine.clap, ["noise", "speech"])
        deadline = time.monotonic() + PROBE_TIMEOUT_S
        clip = QueuedClip(tenant=PROBE_TENANT, windows=noise_windows(1), adapter=adapter, deadline=deadline)
        try:
            self._engine.submit(clip)
            await asyncio.wait_for(result_of(clip, self._engine.queue), PROBE_TIMEOUT_S)
        except (TimeoutError, InferenceError) as error:
            reason = str(error).rstrip(".") or "no forward pass in time"
            raise NotReady(f"The model does not answer: {reason}.") from error
