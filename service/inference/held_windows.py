"""The windows that requests hold in memory: bounded for each request, for each tenant and in all.

A window is 1.9 MB. It counts from before its clip is cut until the request that brought it is answered or given up.
So however clips are spread over requests, `max_windows` windows and one whole clip for each decoding thread are the
most that is in memory.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from service.http.problems import ServiceError

Hold = Callable[[int], None]


class HeldWindows:
    """How many windows each tenant's requests hold; thread-safe."""

    def __init__(self, *, max_windows: int, max_tenant_windows: int, max_request_windows: int):
        self.max_windows = max_windows
        self.max_tenant_windows = max_tenant_windows
        self.max_request_windows = max_request_windows
        self._by_tenant: Counter[str] = Counter()
        self._lock = threading.Lock()

    @contextmanager
    def of_request(self, tenant: str) -> Iterator[Hold]:
        """Yields a function by which one request holds so many windows more; all are given back with the block's end.

        It raises `ServiceError` "too_many_windows", "tenant_overloaded" or "overloaded", and then holds nothing more.
        """
        num_held = 0

        def hold(num_windows: int) -> None:
            nonlocal num_held
            with self._lock:
                self._check_request(num_held + num_windows)
                self._check_room(tenant, num_windows)
                self._by_tenant[tenant] += num_windows
                num_held += num_windows

        try:
            yield hold
        finally:
            with self._lock:
                self._by_tenant[tenant] -= num_held
                self._by_tenant += Counter()  # forgets tenants that hold nothing

    def _check_request(self, num_windows: int) -> None:
        if num_windows > self.max_request_windows:
            raise ServiceError(
                "too_many_windows",
                f"The clips make more than max_request_windows = {self.max_request_windows} windows of 10 s.",
                limit=("max_request_windows", self.max_request_windows),
            )

    def _check_room(self, tenant: str, num_windows: int) -> None:
        if self._by_tenant.total() + num_windows > self.max_windows:
            limit = ("max_held_windows", self.max_windows)
            raise ServiceError("overloaded", "Too many clips are being handled; try again shortly.", limit=limit)
        if self._by_tenant[tenant] + num_windows > self.max_tenant_windows:
            limit = ("max_tenant_held_windows", self.max_tenant_windows)
            raise ServiceError("tenant_overloaded", "Too many clips of this tenant are being handled.", limit=limit)
