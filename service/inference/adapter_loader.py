"""From what a request calls an adapter to the adapter in memory."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

import numpy as np

from adapters_store import AdapterStore, Ref
from aspl import Adapter, FrozenClap
from aspl.background import BackgroundLibrary
from aspl.sound.level import HEARD_AT_DB
from aspl.templates import fill_template
from service.inference.account import Charge, Resource
from service.inference.adapter_cache import AdapterCache
from service.inference.engine import Engine
from service.inference.tenant_queue import result_of
from service.inference.tenant_threads import TenantThreads

RESOLVE_THREADS = 8  # they wait for the store, and compute nothing


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
        engine: Engine,
        store: AdapterStore,
        cache: AdapterCache,
        *,
        num_threads: int,
        text_timeout_s: float,
        library: BackgroundLibrary,
    ):
        self._clap: FrozenClap = engine.clap
        self._engine = engine
        self._library = library
        self._store = store
        self._cache = cache
        self._text_timeout_s = text_timeout_s
        self._loaders = TenantThreads(num_threads, name="load")
        # Threads of its own: whatever else holds threads up, a slow upload or a hung Redis, must not stop this.
        self._resolvers = TenantThreads(RESOLVE_THREADS, name="resolve")

    async def resolve(self, tenant: str, reference: str) -> Ref:
        """The version that `name` or `name@3` means now; raises the store's errors."""
        return await self._resolvers.run(tenant, lambda _: self._store.resolve(tenant, reference))

    def stored(self, ref: Ref) -> AbstractAsyncContextManager[Adapter]:
        """A version of the store, in memory until the block ends; raises the store's errors and aspl's of adapters."""

        async def load() -> Adapter:
            return await self._loaders.run(ref.tenant, lambda _: self._load(ref))

        return self._cache.use(StoredKey(ref), load)

    def _load(self, ref: Ref) -> Adapter:
        return Adapter.from_bytes(self._store.read(ref), self._clap).for_inference()

    def zero_shot(self, charge: Charge, labels: tuple[str, ...], template: str) -> AbstractAsyncContextManager[Adapter]:
        """An adapter of these labels alone, in memory until the block ends; raises the engine's and charge's errors."""

        async def load() -> Adapter:
            texts = fill_template(template, labels)
            with charge.apart() as passes:  # others may wait for them when whoever came first has left
                passes.take(Resource.TEXT_PASSES, len(texts))
                # Before any pass: the last label may be the one that does not fit.
                bank = await self._loaders.run(charge.tenant, lambda _: self._prepared(texts))
                work = self._engine.encode_texts(charge.tenant, texts, timeout_s=self._text_timeout_s)
                embeddings = await result_of(work, self._engine.texts)
            return Adapter.zero_shot(self._clap, labels, template=template, bank=bank, embeddings=embeddings)

        return self._cache.use(ZeroShotKey(charge.tenant, labels, template), load)

    def _prepared(self, texts: Sequence[str]) -> np.ndarray | None:
        """The background that labels are held against, once it is sure that all texts fit."""
        self._clap.tokenize(texts)
        # A model whose background nobody has heard yet is not made to hear it while a request waits.
        for level_db in (HEARD_AT_DB, None):  # as fits hear it, or those of an earlier release did
            if self._library.is_at_hand(self._clap, level_db=level_db):
                return self._library.features(self._clap, level_db=level_db).joint
        return None

    def close(self) -> None:
        """End the threads."""
        self._loaders.close()
        self._resolvers.close()
