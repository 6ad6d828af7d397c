"""The clips that wait for the model: bounded, and taken from the tenants in turn."""

import threading
import time
from collections import OrderedDict, deque

from service.http.problems import ServiceError
from service.inference.ticket import Rows, Ticket


class TenantQueue:
    """Holds tickets by tenant; thread-safe. Bounds count windows, for those are what takes time and memory."""

    def __init__(self, *, max_windows: int, max_tenant_windows: int):
        self.max_windows = max_windows
        self.max_tenant_windows = max_tenant_windows
        self._tickets: OrderedDict[str, deque[Ticket]] = OrderedDict()
        self._changed = threading.Condition()
        self._is_closed = False

    def put(self, ticket: Ticket) -> None:
        """Append a clip; raises `ServiceError` "tenant_overloaded" or "overloaded" when there is no room."""
        with self._changed:
            self._check_room(ticket.tenant, ticket.num_windows)
            self._tickets.setdefault(ticket.tenant, deque()).append(ticket)
            self._changed.notify()

    def check_room(self, tenant: str) -> None:
        """Refuse early, before a clip is decoded, when not even one window would fit."""
        with self._changed:
            self._check_room(tenant, 1)

    def take(self, max_windows: int, *, timeout_s: float | None = None) -> list[Rows]:
        """Wait for clips, then return up to `max_windows` windows without waiting for more; [] when closed or late.

        One window a turn, tenant after tenant, so neither a long clip nor a busy tenant holds up the others.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._is_closed or bool(self._tickets), timeout_s)
            taken: dict[Ticket, int] = {}
            now = time.monotonic()
            while self._tickets and sum(taken.values()) < max_windows:
                if (ticket := self._next(now)) is not None:
                    taken[ticket] = taken.get(ticket, 0) + 1
            return [ticket.last_taken(count, now) for ticket, count in taken.items()]

    def expire(self, ticket: Ticket) -> None:
        """Refuse a clip that no batch has taken yet: while the model hangs, nobody else would tell its caller."""
        with self._changed:
            is_late = ticket.num_taken == 0
            if is_late:
                self._remove(ticket)
        if is_late:
            ticket.fail(_expired(ticket))

    def withdraw(self, ticket: Ticket) -> None:
        """Remove what is left of a clip that nobody waits for, and with it its room and its windows."""
        with self._changed:
            self._remove(ticket)

    def drain(self) -> list[Ticket]:
        """Remove and return every clip that waits."""
        with self._changed:
            tickets = [ticket for tickets in self._tickets.values() for ticket in tickets]
            self._tickets.clear()
            return tickets

    def close(self) -> None:
        """Wake whoever waits in `take`, for good."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def num_windows(self, tenant: str | None = None) -> int:
        """How many windows wait, of one tenant or of all."""
        with self._changed:
            return self._count(tenant)

    def _remove(self, ticket: Ticket) -> None:
        tickets = self._tickets.get(ticket.tenant, deque())
        if ticket in tickets:
            tickets.remove(ticket)
            if not tickets:
                del self._tickets[ticket.tenant]

    def _count(self, tenant: str | None) -> int:
        queues = self._tickets.values() if tenant is None else [self._tickets.get(tenant, ())]
        return sum(ticket.num_left for tickets in queues for ticket in tickets)

    def _check_room(self, tenant: str, num_windows: int) -> None:
        if self._count(None) + num_windows > self.max_windows:
            limit = ("max_queue_windows", self.max_windows)
            raise ServiceError("overloaded", "The queue of the model is full; try again shortly.", limit=limit)
        if self._count(tenant) + num_windows > self.max_tenant_windows:
            limit = ("max_tenant_queue_windows", self.max_tenant_windows)
            raise ServiceError("tenant_overloaded", "This tenant's share of the model's queue is full.", limit=limit)

    def _next(self, now: float) -> Ticket | None:
        """Count one window of the next tenant's first clip as taken; None where that clip is no longer wanted."""
        tenant, tickets = self._tickets.popitem(last=False)
        ticket = tickets.popleft()
        is_wanted = not ticket.future.done()  # cancelled by its client, or failed in an earlier batch
        if is_wanted and ticket.is_expired(now):
            ticket.fail(_expired(ticket))
            is_wanted = False
        if is_wanted:
            ticket.num_taken += 1
            if ticket.num_left:
                tickets.append(ticket)
        if tickets:
            self._tickets[tenant] = tickets
        return ticket if is_wanted else None


def _expired(ticket: Ticket) -> ServiceError:
    waited_s = ticket.deadline - ticket.submitted_at
    return ServiceError("queue_timeout", f"The clip waited for the model for more than {waited_s:.3g} s; try again.")
