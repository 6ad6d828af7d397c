"""How often a tenant may call: a token bucket each, in Redis for all replicas together.

While Redis is away every replica counts for itself: a rate is not worth refusing anybody for.
"""

import time
from collections import OrderedDict

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from service.http.problems import ServiceError

MAX_BUCKETS = 10_000
# After Redis has failed, so that an outage slows down one request in so many seconds and not every one.
PAUSE_S = 1.0

log = structlog.get_logger(__name__)

# A bucket as the one moment at which it will be full again, in microseconds: the generic cell rate algorithm.
SPEND = """
local time = redis.call('TIME')
local now, per_token, burst = time[1] * 1000000 + time[2], tonumber(ARGV[1]), tonumber(ARGV[2])
local full_at = math.max(now, tonumber(redis.call('GET', KEYS[1]) or now)) + per_token
local wait = full_at - now - per_token * burst
if wait > 0 then return wait end
redis.call('SET', KEYS[1], string.format('%.0f', full_at), 'PX', math.ceil((full_at - now) / 1000))
return 0
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
    """Refuses what exceeds `requests_per_s` on average or `burst` at once; 0 a second is no limit, and asks nobody."""

    def __init__(self, redis: Redis, *, requests_per_s: float, burst: int):
        self._redis = redis
        self._local = LocalRates(requests_per_s=requests_per_s, burst=burst)
        self._spend_shared = redis.register_script(SPEND)
        self._ask_redis_at = 0.0  # on time.monotonic's clock

    async def spend(self, tenant: str) -> None:
        """Count one request of a tenant, or raise `ServiceError`."""
        rate = self._local.requests_per_s
        if rate and (wait_s := await self._wait_s(tenant)) > 0:
            detail = f"More than {rate:g} requests a second; slow down."
            raise ServiceError("rate_limited", detail, limit=("requests_per_s", rate), retry_after_s=wait_s)

    async def _wait_s(self, tenant: str) -> float:
        if time.monotonic() < self._ask_redis_at:
            return self._local.spend(tenant)
        try:
            arguments = [1e6 / self._local.requests_per_s, self._local.burst]
            return await self._spend_shared(keys=[self.key(tenant)], args=arguments) / 1e6
        except RedisError as error:
            log.warning("rates are not shared while redis does not answer", error=type(error).__name__)
            self._ask_redis_at = time.monotonic() + PAUSE_S
            return self._local.spend(tenant)

    @staticmethod
    def key(tenant: str) -> str:
        """Where Redis keeps the tenant's bucket, until it is full again."""
        return f"earshot:tenant:{tenant}:rate"
