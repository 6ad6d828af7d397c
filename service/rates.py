"""How often a tenant may call: a token bucket each, held by this process alone."""

import time
from collections import OrderedDict

from service.problems import ServiceError

MAX_BUCKETS = 10_000


class TenantRates:
    """Refuses what exceeds `requests_per_s` on average or `burst` at once; 0 a second is no limit."""

    def __init__(self, *, requests_per_s: float, burst: int):
        self.requests_per_s = requests_per_s
        self.burst = burst
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # tenant: (tokens, at)

    def spend(self, tenant: str) -> None:
        """Count one request of a tenant, or raise `ServiceError`."""
        if not self.requests_per_s:
            return
        now = time.monotonic()
        tokens, at = self._buckets.pop(tenant, (float(self.burst), now))
        tokens = min(self.burst, tokens + (now - at) * self.requests_per_s)
        self._buckets[tenant] = (tokens - 1 if tokens >= 1 else tokens, now)
        if len(self._buckets) > MAX_BUCKETS:
            self._buckets.popitem(last=False)
        if tokens < 1:
            raise ServiceError(
                "rate_limited",
                f"More than {self.requests_per_s:g} requests a second; slow down.",
                limit=("requests_per_s", self.requests_per_s),
                retry_after_s=(1 - tokens) / self.requests_per_s,
            )
