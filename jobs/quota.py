"""How much of the adapter store a tenant may take: counted from what is there, so that no crash counts twice."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from adapters_store import AdapterStore, Usage
from jobs.errors import QuotaExceeded
from jobs.limits import StorageLimits

MAX_AGE_S = 15.0
"""So long a count is good for, plus what this process has added since."""
SURE_SHARE = 0.9
"""Nearer to a limit than this, and before any refusal, it is counted anew."""
MAX_TENANTS = 10_000


@dataclass
class Count:
    """A tenant's usage when it was counted, with what this process has added since."""

    usage: Usage
    counted_at: float


class Quota:
    """Checks what is to be stored against the limits; one a process, for any number of threads."""

    def __init__(self, limits: StorageLimits):
        self.limits = limits
        self._counts: dict[str, Count] = {}

    def check(
        self,
        store: AdapterStore,
        tenant: str,
        name: str,
        *,
        new_bytes: int = 0,
        audio: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        """Raise QuotaExceeded, naming the limit, where one more version of adapter `name` would be too much.

        Args:
            new_bytes: that the version would add, its clips aside.
            audio: bytes of each clip that it would keep, by id; those that the adapter has already add nothing.
        """
        count, all_bytes = self._counts.get(tenant), new_bytes + sum(audio.values())
        is_old = count is None or time.monotonic() - count.counted_at > MAX_AGE_S
        if is_old or self._excess(count, name, all_bytes, share=SURE_SHARE):
            count = self._count(store, tenant)
            if self._excess(count, name, all_bytes):
                there = store.kept_audio(tenant, name) if audio else frozenset()
                new_bytes += sum(size for clip, size in audio.items() if clip not in there)
                if excess := self._excess(count, name, new_bytes):
                    raise excess

    def note(self, tenant: str, name: str, *, new_bytes: int) -> None:
        """Remember a version that was stored since the tenant's usage was counted."""
        if count := self._counts.get(tenant):
            usage = count.usage
            versions = {**usage.versions, name: usage.versions.get(name, 0) + 1}
            count.usage = Usage(usage.stored_bytes + new_bytes, versions)

    def _count(self, store: AdapterStore, tenant: str) -> Count:
        if len(self._counts) >= MAX_TENANTS:
            self._counts.clear()
        count = self._counts[tenant] = Count(store.usage(tenant), time.monotonic())
        return count

    def _excess(self, count: Count, name: str, new_bytes: int, *, share: float = 1.0) -> QuotaExceeded | None:
        limits, usage = self.limits, count.usage
        if name not in usage.versions and usage.num_adapters + 1 > share * limits.max_adapters:
            return _refusal(f"{usage.num_adapters} adapters are stored", "adapters", "max_adapters", limits)
        num_versions = usage.versions.get(name, 0)
        if num_versions + 1 > share * limits.max_versions:
            return _refusal(f"{name!r} has {num_versions} versions", "old versions", "max_versions", limits)
        if usage.stored_bytes + new_bytes > share * limits.max_stored_bytes:
            had = f"{usage.stored_bytes} bytes are stored and {new_bytes} would come"
            return _refusal(had, "adapters, versions or clips", "max_stored_bytes", limits)
        return None


def _refusal(what: str, deletable: str, name: str, limits: StorageLimits) -> QuotaExceeded:
    value = getattr(limits, name)
    return QuotaExceeded(f"{what}, and {name} is {value}; delete {deletable} first", limit=(name, value))
