"""How often a tenant may call: a token bucket each, in Redis for all replicas together.

A replica keeps what it last heard of a bucket. While more than half of a burst is left by that, it lets a request in
and has it counted meanwhile; only near the limit does a request wait for Redis. So replicas may together let in more
than a burst, by what comes to them within one question. While Redis is away every replica counts for itself: a rate is
not worth refusing anybody for.
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
ROUNDING_S = 1e-6

log = structlog.get_logger(__name__)

# Buckets as the moments at which they will be full again, in microseconds: the generic cell rate algorithm. What is
# returned is how long until then with this request, which is spent only where that is no longer than a burst takes.
SPEND = """
local time = redis.call('TIME')
local now, per_token, burst = time[1] * 1000000 + time[2], tonumber(ARGV[1]), tonumber(ARGV[2])
local until_full = {}
for number, key in ipairs(KEYS) do
    local left = math.max(now, tonumber(redis.call('GET', key) or now)) + per_token - now
    if left <= per_token * burst then
        redis.call('SET', key, string.format('%.0f', now + left), 'PX', math.ceil(left / 1000))
    end
    until_full[number] = left
end
return until_full
"""


class LocalRates:
    """Buckets in this process: `requests_per_s` on average and `burst` at once."""

    def __init__(self, *, requests_per_s: float, burst: int):
        self.requests_per_s = requests_per_s  # > 0
        self.burst = burst
        self._full_at: OrderedDict[str, float] = OrderedDict()  # by tenant, on time.monotonic's clock

    def num_left(self, tenant: str) -> float:
        """How many requests of a tenant would pass at once; none of one that is not known here."""
        if tenant not in self._full_at:
            return 0.0
        return self.burst - max(self._full_at[tenant] - time.monotonic(), 0.0) * self.requests_per_s

    def spend(self, tenant: str) -> float:
        """Count one request of a tenant, or return how long it has to wait, in seconds."""
        now = time.monotonic()
        return self.note(tenant, max(self._full_at.get(tenant, now), now) - now + 1 / self.requests_per_s)

    def note(self, tenant: str, until_full_s: float) -> float:
        """Take it that with one more request the bucket is full in so many seconds; returns as `spend`."""
        wait_s = max(until_full_s - self.burst / self.requests_per_s, 0.0)
        is_spent = wait_s <= ROUNDING_S
        self._full_at[tenant] = time.monotonic() + until_full_s - (0 if is_spent else 1 / self.requests_per_s)
        self._full_at.move_to_end(tenant)
        if len(self._full_at) > MAX_BUCKETS:
            self._full_at.popitem(last=False)
        return 0.0 if is_spent else wait_s


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
        if self._local.num_left(tenant) > self._local.burst / 2:
            answer.set_result(self._local.spend(tenant))
        return await answer

    async def _ask(self) -> None:
        while self._waiting:
            asked, self._waiting = self._waiting[:MAX_ASKED], self._waiting[MAX_ASKED:]
            waits_s = await self._shared_waits_s([tenant for tenant, _ in asked])
            for number, (tenant, answer) in enumerate(asked):
                if not answer.done():  # what was let in meanwhile is counted here already
                    answer.set_result(self._local.spend(tenant) if waits_s is None else waits_s[number])

    async def _shared_waits_s(self, tenants: Sequence[str]) -> list[float] | None:
        """How long each has to wait, as Redis has it; None where Redis does not answer."""
        if time.monotonic() < self._ask_redis_at:
            return None
        try:
            arguments = [1e6 / self._local.requests_per_s, self._local.burst]
            left_us = await self._spend_shared(keys=[self.key(tenant) for tenant in tenants], args=arguments)
            return [self._local.note(tenant, us / 1e6) for tenant, us in zip(tenants, left_us, strict=True)]
        except RedisError as error:
            log.warning("rates are not shared while redis does not answer", error=type(error).__name__)
            self._ask_redis_at = time.monotonic() + PAUSE_S
            return None

    @staticmethod
    def key(tenant: str) -> str:
        """Where Redis keeps the tenant's bucket, until it is full again."""
        return f"earshot:tenant:{tenant}:rate"
