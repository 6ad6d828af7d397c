import asyncio
import time

import pytest
from redis.asyncio import Redis

from service.http.problems import ServiceError
from service.http.rates import TenantRates


@pytest.fixture
def replicas(redis, redis_url):
    """Ask of replicas' rates, on the Redis of the tests or on one that is not there."""

    def run(ask, *, count=1, url=redis_url, **limits):
        async def opened():
            clients = [Redis.from_url(url) for _ in range(count)]
            try:
                return await ask(*[TenantRates(client, **limits) for client in clients])
            finally:
                for client in clients:
                    await client.aclose()

        return asyncio.run(opened())

    return run


async def spent(replica, tenant, count):
    """How many of so many requests pass."""
    passed = 0
    for _ in range(count):
        try:
            await replica.spend(tenant)
        except ServiceError as error:
            assert (error.code, error.limit[0]) == ("rate_limited", "requests_per_s")
            assert error.retry_after_s > 0
        else:
            passed += 1
    return passed


def test_replicas_share_a_tenants_rate_and_tenants_share_none(replicas):
    async def ask(here, there):
        shared = [await spent(here, "a", 4), await spent(there, "a", 4), await spent(here, "a", 1)]
        return shared, await spent(there, "b", 7)

    assert replicas(ask, count=2, requests_per_s=0.01, burst=6) == ([4, 2, 0], 6)


def test_a_bucket_fills_again(replicas, redis):
    async def ask(replica):
        first = await spent(replica, "a", 3)
        await asyncio.sleep(0.06)
        return first, await spent(replica, "a", 2)

    assert replicas(ask, requests_per_s=20, burst=2) == (2, 1)
    assert 0 < redis.pttl(TenantRates.key("a")) <= 100
    time.sleep(0.11)
    assert not redis.exists(TenantRates.key("a"))  # a full bucket is none


def test_without_redis_each_replica_counts_for_itself(replicas):
    async def ask(replica):
        before = await spent(replica, "a", 5)
        has_paused = replica._ask_redis_at > time.monotonic()
        return before, has_paused

    started_at = time.monotonic()
    assert replicas(ask, url="unix:///nowhere.sock", requests_per_s=0.01, burst=3) == (3, True)
    assert time.monotonic() - started_at < 2


def test_when_redis_is_back_it_counts_again(replicas):
    async def ask(here, there):
        here._ask_redis_at = time.monotonic() + 0.05  # as after a failure
        alone = await spent(here, "a", 3)
        await asyncio.sleep(0.06)
        return alone, await spent(here, "a", 2), await spent(there, "a", 2)

    assert replicas(ask, count=2, requests_per_s=0.01, burst=3) == (3, 2, 1)


def test_without_a_rate_redis_is_not_asked(replicas):
    async def ask(replica):
        return await spent(replica, "a", 5), replica._ask_redis_at

    assert replicas(ask, url="unix:///nowhere.sock", requests_per_s=0, burst=1) == (5, 0.0)
