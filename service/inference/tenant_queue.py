"""What waits for the model, taken from the tenants in turn."""

import asyncio
import threading
import time
from collections import OrderedDict, deque
from typing import Any

from service.inference.errors import QueueTimeout
from service.inference.queued import Queued, Slice


class TenantQueue:
    """Holds work by tenant; thread-safe. How much may wait is the accounts' to say, see service.inference.account."""

    def __init__(self, changed: threading.Condition | None = None):
        """`changed` may be shared by queues that the same threads serve."""
        self._work: OrderedDict[str, deque[Queued]] = OrderedDict()
        self._changed = changed or threading.Condition()

    def __bool__(self) -> bool:
        return bool(self._work)

    def put(self, work: Queued) -> None:
        """Append a piece of work."""
        with self._changed:
            self._work.setdefault(work.tenant, deque()).append(work)
            self._changed.notify_all()

    def take(self, max_units: int) -> list[Slice]:
        """Up to `max_units` units of what waits now.

        One unit a turn, tenant after tenant, so neither a long clip nor a busy tenant holds up the others.
        """
        with self._changed:
            taken: dict[Queued, int] = {}
            now = time.monotonic()
            num_taken = 0
            while self._work and num_taken < max_units:
                if (work := self._next(now)) is not None:
                    taken[work] = taken.get(work, 0) + 1
                    num_taken += 1
            return [work.last_taken(count, now) for work, count in taken.items()]

    def expire(self, work: Queued) -> None:
        """Refuse what has not begun yet: while the model hangs, nobody else would tell its caller."""
        with self._changed:
            is_late = work.num_taken == 0
            if is_late:
                self._remove(work)
        if is_late:
            work.fail(_expired(work))

    def withdraw(self, work: Queued) -> None:
        """Remove what is left of something that nobody waits for."""
        with self._changed:
            self._remove(work)

    def drain(self) -> list[Queued]:
        """Remove and return everything that waits."""
        with self._changed:
            waiting = [work for works in self._work.values() for work in works]
            self._work.clear()
            return waiting

    def num_units(self) -> int:
        """How many units wait."""
        with self._changed:
            return sum(work.num_left for works in self._work.values() for work in works)

    def _remove(self, work: Queued) -> None:
        works = self._work.get(work.tenant, deque())
        if work in works:
            works.remove(work)
            if not works:
                del self._work[work.tenant]

    def _next(self, now: float) -> Queued | None:
        """Count one unit of the next tenant's first work as taken; None where that is no longer wanted."""
        tenant, works = self._work.popitem(last=False)
        work = works.popleft()
        is_wanted = not work.future.done()  # cancelled by its client, or failed in an earlier step
        if is_wanted and work.is_expired(now):
            work.fail(_expired(work))
            is_wanted = False
        if is_wanted:
            work.num_taken += 1
            if work.num_left:
                works.append(work)
        if works:
            self._work[tenant] = works
        return work if is_wanted else None


def result_of(work: Queued, queue: TenantQueue) -> "asyncio.Future[Any]":
    """The result of what was put into a queue: refused at its deadline, and withdrawn where its caller leaves."""
    result = asyncio.wrap_future(work.future)
    wait_s = work.deadline - time.monotonic()
    expiring = asyncio.get_running_loop().call_later(wait_s, queue.expire, work)
    result.add_done_callback(lambda _: expiring.cancel())
    result.add_done_callback(lambda _: queue.withdraw(work))
    return result


def _expired(work: Queued) -> QueueTimeout:
    waited_s = work.deadline - work.submitted_at
    return QueueTimeout(f"The clip waited for the model for more than {waited_s:.3g} s; try again.")
