import asyncio
import time

import pytest

from service.inference.account import Accounts, Bound, Limit, Resource
from service.inference.adapter_cache import AdapterCache
from service.inference.adapter_loader import AdapterLoader
from service.inference.errors import TenantOverloaded
from service.inference.queued import QueuedTexts
from service.inference.tenant_queue import TenantQueue
from service.metrics import Metrics

LIMIT, NUM_LABELS = 500, 200


class Clap:
    def tokenize(self, texts):
        return texts


class Engine:
    """Takes texts and never gets round to them."""

    clap = Clap()

    def __init__(self):
        self.texts = TenantQueue()

    def encode_texts(self, tenant, texts, timeout_s):
        deadline = time.monotonic() + timeout_s
        work = QueuedTexts(tenant=tenant, deadline=deadline, num_passes=len(texts), run=None, complete=None)
        self.texts.put(work)
        return work


class Library:
    def is_at_hand(self, clap, *, level_db):
        return False


def test_passes_that_others_wait_for_count_when_the_first_has_left():
    def limit(amount):
        return Limit(amount, ("max_text_passes", amount))

    accounts = Accounts({resource: Bound(limit(1000), limit(LIMIT)) for resource in Resource})
    cache = AdapterCache(max_bytes=2**20, metrics=Metrics())
    loader = AdapterLoader(Engine(), None, cache, num_threads=2, text_timeout_s=60, library=Library())

    async def ask(number):
        labels = tuple(f"{number}-{place}" for place in range(NUM_LABELS))
        with accounts.open("t") as charge:
            async with loader.zero_shot(charge, labels, "{}"):
                pass

    async def leave(request):
        await asyncio.sleep(0.02)
        request.cancel()
        await asyncio.sleep(0.02)

    async def scene():
        others = []
        for number in range(2):
            first = asyncio.ensure_future(ask(number))
            await asyncio.sleep(0.02)
            others.append(asyncio.ensure_future(ask(number)))
            await leave(first)
        assert accounts.held(Resource.TEXT_PASSES, "t") == 2 * NUM_LABELS
        with pytest.raises(TenantOverloaded):
            await ask(2)
        for other in others:
            await leave(other)
        assert accounts.held(Resource.TEXT_PASSES, "t") == 0

    asyncio.run(scene())
    loader.close()
