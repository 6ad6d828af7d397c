"""Adapters in memory: loaded on first use beside the running batch, kept while they fit, never another tenant's.

Everything here runs on the event loop, so there is nothing to lock.
"""

import asyncio
import time
import traceback
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from adapters_store.errors import AdapterCorrupt
from aspl import Adapter
from aspl.errors import AdapterInvalid, AdapterMismatch
from service.metrics import Metrics

BROKEN = (AdapterCorrupt, AdapterInvalid, AdapterMismatch)
FIRST_BACKOFF_S = 1.0
LONGEST_BACKOFF_S = 60.0
MAX_FAILURES = 10_000


@dataclass
class Entry:
    adapter: Adapter
    num_users: int = 0


@dataclass
class Loading:
    """A load under way, and how many wait for it."""

    task: "asyncio.Task[Entry]"
    num_waiting: int = 0


@dataclass
class Failure:
    error: Exception
    count: int
    retry_at: float  # on time.monotonic's clock


class AdapterCache:
    """An LRU by bytes with single flight, pinning and a negative cache for broken files."""

    def __init__(self, *, max_bytes: int, metrics: Metrics):
        self.max_bytes = max_bytes
        self.size_bytes = 0
        self._metrics = metrics
        self._entries: OrderedDict[Hashable, Entry] = OrderedDict()
        self._loading: dict[Hashable, Loading] = {}
        self._failures: OrderedDict[Hashable, Failure] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    @asynccontextmanager
    async def use(self, key: Hashable, load: Callable[[], Awaitable[Adapter]]) -> AsyncIterator[Adapter]:
        """The adapter of `key`, pinned until the block ends; it is loaded once for all who wait for it."""
        entry = self._entries.get(key) or await self._load(key, load)
        if key in self._entries:
            self._entries.move_to_end(key)
        entry.num_users += 1
        try:
            yield entry.adapter
        finally:
            entry.num_users -= 1
            self._evict()

    async def _load(self, key: Hashable, load: Callable[[], Awaitable[Adapter]]) -> Entry:
        failure = self._failures.get(key)
        if failure and time.monotonic() < failure.retry_at:
            raise failure.error.with_traceback(None)
        if key not in self._loading:
            self._loading[key] = Loading(asyncio.ensure_future(self._load_once(key, load)))
            self._loading[key].task.add_done_callback(_retrieve_error)
        loading = self._loading[key]
        loading.num_waiting += 1
        try:
            # Shielded: the first client's leaving must not fail the others who wait for the same adapter.
            return await asyncio.shield(loading.task)
        finally:
            loading.num_waiting -= 1
            if not loading.num_waiting and not loading.task.done():
                self._loading.pop(key, None)  # who comes now begins anew
                loading.task.cancel()

    async def _load_once(self, key: Hashable, load: Callable[[], Awaitable[Adapter]]) -> Entry:
        try:
            adapter = await load()
        except BROKEN as error:
            self._remember_failure(key, error)
            self._metrics.adapter_loads.labels("broken").inc()
            raise
        finally:
            if (loading := self._loading.get(key)) and loading.task is asyncio.current_task():
                del self._loading[key]
        self._failures.pop(key, None)
        self._metrics.adapter_loads.labels("loaded").inc()
        entry = self._entries[key] = Entry(adapter)
        self.size_bytes += adapter.size_bytes
        self._evict(keep=key)
        return entry

    def _remember_failure(self, key: Hashable, error: Exception) -> None:
        _let_go_of_locals(error)
        count = self._failures[key].count + 1 if key in self._failures else 1
        backoff_s = min(FIRST_BACKOFF_S * 2 ** (count - 1), LONGEST_BACKOFF_S)
        self._failures[key] = Failure(error, count, time.monotonic() + backoff_s)
        self._failures.move_to_end(key)
        if len(self._failures) > MAX_FAILURES:
            self._failures.popitem(last=False)

    def _evict(self, keep: Hashable = None) -> None:
        """Drop the least recently used adapters that nobody is using, until the rest fits."""
        for key in list(self._entries) if self.size_bytes > self.max_bytes else []:
            if key != keep and not self._entries[key].num_users:
                self.size_bytes -= self._entries.pop(key).adapter.size_bytes
            if self.size_bytes <= self.max_bytes:
                break
        self._metrics.cached_adapters.set(len(self._entries))
        self._metrics.cached_bytes.set(self.size_bytes)


def _retrieve_error(task: "asyncio.Task[Entry]") -> None:
    """Mark a failed load as seen, even where every client that waited for it has left."""
    if not task.cancelled():
        task.exception()


def _let_go_of_locals(error: BaseException | None) -> None:
    """Free what the frames in an error's tracebacks hold, such as the file that could not be loaded."""
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__
