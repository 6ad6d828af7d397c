"""What each tenant has under way, from the gate to the answer: counted in one place, and bounded.

A request opens a `Charge`, everything that it holds is taken on it where it is found out, and its end gives all of it
back. A tenant that is alone may hold its share of each resource; the more tenants hold some, the less each may have, so
that there is always room for the next one.
"""

import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from enum import Enum

from service.inference.errors import Overloaded, TenantOverloaded, TooManyWindows


@dataclass(frozen=True)
class Limit:
    """An amount of a resource, and the setting that it comes from, with its value."""

    amount: float
    setting: tuple[str, float]


class Resource(Enum):
    """What is counted; the values are words for messages."""

    BODY_BYTES = "bytes of bodies"
    """Of requests that are not answered yet; they lie on the disk."""
    BODY_MEMORY = "bytes of bodies in memory"
    """The part of them that does not: while there is room, small files are spared the disk."""
    SECONDS = "seconds of audio"
    """As they are decoded, whatever comes of the clip."""
    WINDOWS = "windows of 10 s"
    """Of 1.9 MB each."""
    TEXT_PASSES = "passes of the text encoder"
    """One a label that is heard of for the first time; under CoCoOp, one a label and row."""
    STREAMS = "event streams"


@dataclass(frozen=True)
class Bound:
    """How much of a resource all tenants may hold, how much of it one of them alone, and how much one request."""

    all: Limit
    tenant: Limit
    request: Limit | None = None


class Accounts:
    """The accounts of all tenants; thread-safe."""

    def __init__(self, bounds: Mapping[Resource, Bound]):
        self.bounds = bounds
        self._held: dict[Resource, Counter[str]] = {resource: Counter() for resource in bounds}
        self._lock = threading.Lock()

    @contextmanager
    def open(self, tenant: str) -> Iterator["Charge"]:
        """A charge for one request, of which all is given back at the block's end."""
        charge = Charge(self, tenant)
        try:
            yield charge
        finally:
            charge.close()

    def held(self, resource: Resource, tenant: str | None = None) -> float:
        """How much a tenant holds, or all of them."""
        with self._lock:
            held = self._held[resource]
            return held.total() if tenant is None else held[tenant]

    def take(self, tenant: str, resource: Resource, amount: float) -> None:
        """Count so much more for a tenant; raises Overloaded or TenantOverloaded where that is too much."""
        with self._lock:
            self._check(tenant, resource, amount)
            self._held[resource][tenant] += amount

    def check(self, tenant: str, resource: Resource, amount: float) -> None:
        """Raise what `take` would raise now."""
        with self._lock:
            self._check(tenant, resource, amount)

    def give_back(self, tenant: str, amounts: Mapping[Resource, float]) -> None:
        """Count so much less for a tenant."""
        with self._lock:
            for resource, amount in amounts.items():
                held = self._held[resource]
                held[tenant] -= amount
                if held[tenant] < 1e-6:  # sums of seconds end a little beside zero
                    del held[tenant]

    def _check(self, tenant: str, resource: Resource, amount: float) -> None:
        bound, held = self.bounds[resource], self._held[resource]
        most, tenant_most = bound.all.amount, bound.tenant.amount
        own, total = held[tenant] + amount, held.total() + amount
        if total > most:
            raise Overloaded(f"Too many {resource.value} are under way; try again shortly.", limit=bound.all.setting)
        if own > tenant_most:
            raise TenantOverloaded(f"This tenant has too many {resource.value} under way.", limit=bound.tenant.setting)
        # Of a tenant that has more than an equal part, what is left must bear the proportion that it would bear to
        # the share of a tenant that is alone.
        has_more = own > most / (len(held.keys() | {tenant}) + 1)
        if has_more and own * (most - tenant_most) > tenant_most * (most - total):
            detail = f"This tenant has as many {resource.value} under way as leaves room for others."
            raise TenantOverloaded(detail, limit=bound.tenant.setting)


class Charge:
    """What one request of a tenant holds; thread-safe."""

    def __init__(self, accounts: Accounts, tenant: str):
        self.tenant = tenant
        self._accounts = accounts
        self._amounts: Counter[Resource] = Counter()
        self._lock = threading.Lock()
        self._is_closed = False

    def take(self, resource: Resource, amount: float = 1) -> None:
        """Hold so much more.

        Raises TooManyWindows where it is more than one request may have, TenantOverloaded, Overloaded.
        """
        with self._lock:
            own = self._amounts[resource] + amount
            limit = self._accounts.bounds[resource].request
            if limit and own > limit.amount:
                raise TooManyWindows(_too_much(resource, limit), limit=limit.setting)
            if not self._is_closed:
                self._accounts.take(self.tenant, resource, amount)
                self._amounts[resource] = own

    def has_taken(self, resource: Resource, amount: float) -> bool:
        """Hold so much more where there is room for it, and say whether there was."""
        try:
            self.take(resource, amount)
        except (TenantOverloaded, Overloaded):
            return False
        return True

    def check(self, resource: Resource, amount: float = 1) -> None:
        """Raise what `take` would raise now."""
        self._accounts.check(self.tenant, resource, amount)

    def apart(self) -> AbstractContextManager["Charge"]:
        """A charge of the same tenant for what may go on when this one has been closed."""
        return self._accounts.open(self.tenant)

    def close(self) -> None:
        """Give everything back."""
        with self._lock:
            self._is_closed = True
            self._accounts.give_back(self.tenant, self._amounts)
            self._amounts.clear()


def _too_much(resource: Resource, limit: Limit) -> str:
    name, value = limit.setting
    return f"The clips make more than {limit.amount:g} {resource.value}, of which {name} = {value:g} is the limit."
