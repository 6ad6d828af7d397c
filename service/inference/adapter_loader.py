"""From what a request calls an adapter to the adapter in memory."""

import asyncio
from concurrent.futures import Executor
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from adapters_store import AdapterStore, Ref
from aspl import Adapter, FrozenClap
from aspl.background import BackgroundLibrary
from service.inference.adapter_cache import AdapterCache


@dataclass(frozen=True)
class StoredKey:
    """A version in the store. The key names the bytes, so an entry never goes stale."""

    ref: Ref


@dataclass(frozen=True)
class ZeroShotKey:
    """Labels that came with a request; the tenant is part of it so that nothing is shared between tenants."""

    tenant: str
    labels: tuple[str, ...]
    template: str


class AdapterLoader:
    """Resolves references in the store and loads adapters through the cache."""

    def __init__(
        self,
        clap: FrozenClap,
        store: AdapterStore,
        cache: AdapterCache,
        *,
        resolvers: Executor,
        library: BackgroundLibrary,
    ):
        self._clap = clap
        self._library = library
        self._store = store
        self._cache = cache
        self._resolvers = resolvers

    async def resolve(self, tenant: str, reference: str) -> Ref:
        """The version that `name` or `name@3` means now; raises the store's errors."""
        # Threads of its own: whatever else holds threads up, a slow upload or a hung Redis, must not stop this.
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._resolvers, self._store.resolve, tenant, reference)

    def stored(self, ref: Ref) -> AbstractAsyncContextManager[Adapter]:
        """A version of the store, in memory until the block ends; raises the store's errors and aspl's of adapters."""
        return self._cache.use(StoredKey(ref), lambda: self._load(ref))

    def _load(self, ref: Ref) -> Adapter:
        return Adapter.from_bytes(self._store.read(ref), self._clap).for_inference()

    def zero_shot(self, tenant: str, labels: tuple[str, ...], template: str) -> AbstractAsyncContextManager[Adapter]:
        """An adapter of these labels alone, in memory until the block ends."""
        key = ZeroShotKey(tenant, labels, template)
        return self._cache.use(key, lambda: self._zero_shot(labels, template))

    def _zero_shot(self, labels: tuple[str, ...], template: str) -> Adapter:
        # A model whose background nobody has heard yet is not made to hear it while a request waits.
        library = self._library
        bank = library.features(self._clap).joint if library.is_at_hand(self._clap) else None
        return Adapter.zero_shot(self._clap, labels, template=template, bank=bank)
