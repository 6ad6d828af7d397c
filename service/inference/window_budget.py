"""How many windows requests may keep in memory: bounded for each request, for each tenant and in all.

A window is 1.9 MB. It counts from before its clip is cut until the request that brought it is answered or given up.
So however clips are spread over requests, `max_windows` windows and one whole clip for each decoding thread are the
most that is in memory.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from service.inference.errors import Overloaded, TenantOverloaded, TooManyWindows

Reserve = Callable[[int], None]


class WindowBudget:
    """Counts the windows of each tenant's requests; thread-safe."""

    def __init__(self, *, max_windows: int, max_tenant_windows: int, max_request_windows: int):
        self.max_windows = max_windows
        self.max_tenant_windows = max_tenant_windows
        self.max_request_windows = max_request_windows
        self._by_tenant: Counter[str] = Counter()
        self._lock = threading.Lock()

    @contextmanager
    def of_request(self, tenant: str) -> Iterator[Reserve]:
        """Yields a function that reserves so many windows more for one request; all are given back at the block's end.

        It raises TooManyWindows, TenantOverloaded or Overloaded, and then reserves nothing more.
        """
        num_reserved = 0

        def reserve(num_windows: int) -> None:
            nonlocal num_reserved
            with self._lock:
                self._check_request(num_reserved + num_windows)
                self._check_room(tenant, num_windows)
                self._by_tenant[tenant] += num_windows
                num_reserved += num_windows

        try:
            yield reserve
        finally:
            with self._lock:
                self._by_tenant[tenant] -= num_reserved
                self._by_tenant += Counter()  # forgets tenants without any

    def _check_request(self, num_windows: int) -> None:
        if num_windows > self.max_request_windows:
            raise TooManyWindows(
                f"The clips make more than max_request_windows = {self.max_request_windows} windows of 10 s.",
                limit=("max_request_windows", self.max_request_windows),
            )

    def _check_room(self, tenant: str, num_windows: int) -> None:
        if self._by_tenant.total() + num_windows > self.max_windows:
            limit = ("max_held_windows", self.max_windows)
            raise Overloaded("Too many clips are being handled; try again shortly.", limit=limit)
        if self._by_tenant[tenant] + num_windows > self.max_tenant_windows:
            limit = ("max_tenant_held_windows", self.max_tenant_windows)
            raise TenantOverloaded("Too many clips of this tenant are being handled.", limit=limit)
