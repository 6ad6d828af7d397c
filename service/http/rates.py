"""How often a tenant may call: a token bucket each, in Redis for all replicas together.

While Redis is away every replica counts for itself: a rate is not worth refusing anybody for.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Sequence

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from service.http.problems import ServiceError

MAX_BUCKETS = 10_000
MAX_ASKED = 500  # requests in one question to Redis
# After Redis has failed, so that an outage slows down one request in so many seconds and not every one.
PAUSE_S = 1.0

log = structlog.get_logger(__name__)

# Buckets as the moments at which they will be full again, in microseconds: the generic cell rate algorithm.
SPEND = """
local time = redis.call('TIME')
local now, per_token, burst = time[1] * 1000000 + time[2], tonumber(ARGV[1]), tonumber(ARGV[2])
local waits = {}
for number, key in ipairs(KEYS) do
    local full_at = math.max(now, tonumber(redis.call('GET', key) or now)) + per_token
    local wait = full_at - now - per_token * burst
    if wait > 0 then
        waits[number] = wait
    else
        redis.call('SET', key, string.format('%.0f', full_at), 'PX', math.ceil((full_at - now) / 1000))
        waits[number] = 0
    end
end
return waits
"""


class LocalRates:
    """Buckets in this process: `requests_per_s` on average and `burst` at once."""

    def __init__(self, *, requests_per_s: float, burst: int):
        self.requests_per_s = requests_per_s  # > 0
        self.burst = burst
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # tenant: (tokens, at)

    def spend(self, tenant: str) -> float:
        """Count one request of a tenant, or return how long it has to wait, in seconds."""
        now = time.monotonic()
        tokens, at = self._buckets.pop(tenant, (float(self.burst), now))
        tokens = min(self.burst, tokens + (now - at) * self.requests_per_s)
        self._buckets[tenant] = (tokens - 1 if tokens >= 1 else tokens, now)
        if len(self._buckets) > MAX_BUCKETS:
            self._buckets.popitem(last=False)
        return 0.0 if tokens >= 1 else (1 - tokens) / self.requests_per_s


class TenantRates:
    """Refuses what exceeds `requests_per_s` on average or `burst` at once; 0 a second is no limit at all.

    Redis is asked by one caller at a time, for all who came meanwhile: a burst takes one connection.
    """

    def __init__(self, redis: Redis, *, requests_per_s: float, burst: int):
        self._redis = redis
        self._local = LocalRates(requests_per_s=requests_per_s, burst=burst)
        self._spend_shared = redis.register_script(SPEND)
        self._ask_redis_at = 0.0  # on time.monotonic's clock
        self._waiting: list[tuple[str, asyncio.Future[float]]] = []
        self._asking: asyncio.Task[None] | None = None

    async def spend(self, tenant: str) -> None:
        """Count one request of a tenant, or raise `ServiceError`."""
        rate = self._local.requests_per_s
        if rate and (wait_s := await self._wait_s(tenant)) > 0:
            detail = f"More than {rate:g} requests a second; slow down."
            raise ServiceError("rate_limited", detail, limit=("requests_per_s", rate), retry_after_s=wait_s)

    async def _wait_s(self, tenant: str) -> float:
        if time.monotonic() < self._ask_redis_at:
            return self._local.spend(tenant)
        answer = asyncio.get_running_loop().create_future()
        self._waiting.append((tenant, answer))
        if self._asking is None or self._asking.done():
            self._asking = asyncio.ensure_future(self._ask())
        return await answer

    async def _ask(self) -> None:
        while self._waiting:
            asked, self._waiting = self._waiting[:MAX_ASKED], self._waiting[MAX_ASKED:]
            for (_, answer), wait_s in zip(asked, await self._waits_s([tenant for tenant, _ in asked]), strict=True):
                if not answer.done():
                    answer.set_result(wait_s)

    async def _waits_s(self, tenants: Sequence[str]) -> list[float]:
        if time.monotonic() < self._ask_redis_at:
            return [self._local.spend(tenant) for tenant in tenants]
        try:
            arguments = [1e6 / self._local.requests_per_s, self._local.burst]
            waits_us = await self._spend_shared(keys=[self.key(tenant) for tenant in tenants], args=arguments)
            return [wait_us / 1e6 for wait_us in waits_us]
        except RedisError as error:
            log.warning("rates are not shared while redis does not answer", error=type(error).__name__)
            self._ask_redis_at = time.monotonic() + PAUSE_S
            return [self._local.spend(tenant) for tenant in tenants]

    @staticmethod
    def key(tenant: str) -> str:
        """Where Redis keeps the tenant's bucket, until it is full again."""
        return f"earshot:tenant:{tenant}:rate"
