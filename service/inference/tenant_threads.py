"""Threads for what takes long, in turns of the tenants."""

import asyncio
import threading
from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from service.inference.futures import wait_for_all

Result = TypeVar("Result")
Check = Callable[[], None]
NUM_SPARE = 1


class Abandoned(Exception):
    """Nobody waits for the result any more."""


class TenantThreads:
    """At most `num_threads` of them for one tenant, and one more for the others: nobody waits behind one tenant alone.

    Everything but the work itself runs on the event loop, so there is nothing to lock.
    """

    def __init__(self, num_threads: int, *, name: str):
        self.num_threads = num_threads
        self._pool = ThreadPoolExecutor(num_threads + NUM_SPARE, thread_name_prefix=name)
        self._running: Counter[str] = Counter()
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    async def run(self, tenant: str, work: Callable[[Check], Result]) -> Result:
        """The result of `work`, once it is the tenant's turn.

        `work` is given a function that raises Abandoned when its caller has been cancelled, to call now and then. The
        caller goes on only when it has ended, for it may use files that the caller closes.
        """
        await self._turn(tenant)
        left = threading.Event()

        def check() -> None:
            if left.is_set():
                raise Abandoned

        try:
            running = asyncio.get_running_loop().run_in_executor(self._pool, work, check)
            try:
                return await asyncio.shield(running)
            except asyncio.CancelledError:
                left.set()
                await wait_for_all([running])
                raise
        finally:
            self._running[tenant] -= 1
            self._running += Counter()
            self._start_next()

    def close(self) -> None:
        """End the threads once they have finished what they are at."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    async def _turn(self, tenant: str) -> None:
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(tenant, deque()).append(turn)
        self._start_next()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # it came in the same moment
                self._running[tenant] -= 1
                self._start_next()
            else:
                self._forget(tenant, turn)
            raise

    def _forget(self, tenant: str, turn: "asyncio.Future[None]") -> None:
        turns = self._waiting.get(tenant, deque())
        if turn in turns:
            turns.remove(turn)
            if not turns:
                del self._waiting[tenant]

    def _start_next(self) -> None:
        while self._running.total() < self.num_threads + NUM_SPARE:
            ready = (tenant for tenant in self._waiting if self._running[tenant] < self.num_threads)
            if (tenant := next(ready, None)) is None:
                return
            turns = self._waiting.pop(tenant)
            self._running[tenant] += 1
            turn = turns.popleft()
            if turns:
                self._waiting[tenant] = turns  # at the end: it is the others' turn first
            if not turn.done():
                turn.set_result(None)
            else:
                self._running[tenant] -= 1
