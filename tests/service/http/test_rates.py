import asyncio
import time

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from starlette.testclient import TestClient

from service.http import rates
from service.http.app import create_app
from service.http.problems import ServiceError
from service.http.rates import LocalRates, TenantRates


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


def test_far_from_the_limit_nobody_waits_for_redis(replicas):
    async def ask(replica):
        await replica.spend("a")
        ask_redis, may_answer = replica._spend_shared, asyncio.Event()

        async def late(**given):
            await may_answer.wait()
            return await ask_redis(**given)

        replica._spend_shared = late
        async with asyncio.timeout(1):
            assert await spent(replica, "a", 5) == 5
        with pytest.raises(TimeoutError):  # half of the burst is gone: this one waits
            async with asyncio.timeout(0.2):
                await replica.spend("a")
        may_answer.set()
        return await spent(replica, "a", 10)

    assert replicas(ask, requests_per_s=0.01, burst=10) == 3  # the one that nobody waited for was counted too


def test_what_other_replicas_let_in_is_known_with_the_next_answer(replicas):
    async def ask(here, there):
        first = await spent(here, "a", 1), await spent(there, "a", 20)
        late = await spent(here, "a", 1)
        await asyncio.sleep(0.1)
        return *first, late, await spent(here, "a", 10)

    assert replicas(ask, count=2, requests_per_s=0.01, burst=10) == (1, 9, 1, 0)


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


def test_what_is_let_in_while_redis_fails_counts_once(replicas):
    async def ask(replica):
        await replica.spend("a")

        async def fails(**given):
            await asyncio.sleep(0.05)
            raise RedisConnectionError

        replica._spend_shared = fails
        let_in = await spent(replica, "a", 4)
        await asyncio.sleep(0.2)
        return let_in, await spent(replica, "a", 10)

    assert replicas(ask, requests_per_s=0.01, burst=10) == (4, 5)


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


@pytest.mark.parametrize(("requests_per_s", "expected_s"), [(0.01, 100), (0.001, 1000), (50.0, 1)])
def test_a_refusal_says_how_long_to_wait(context, settings, requests_per_s, expected_s):
    context.settings = settings.model_copy(update={"requests_per_s": requests_per_s, "request_burst": 1})
    with TestClient(create_app(context)) as client:
        refused = next(answer for _ in range(500) if (answer := client.get("/jobs")).status_code == 429)
    assert 0.8 * expected_s <= int(refused.headers["retry-after"]) <= expected_s


def test_a_replica_remembers_only_so_many_tenants(monkeypatch):
    monkeypatch.setattr(rates, "MAX_BUCKETS", 3)
    local = LocalRates(requests_per_s=0.001, burst=1)
    for tenant in ("idle", "busy", "c", "busy", "d"):
        local.spend(tenant)
    assert local.spend("busy") > 0
    assert local.spend("idle") == 0  # forgotten, as the one that called least lately


def test_a_burst_takes_one_connection_and_is_no_outage(redis_url):
    async def ask():
        client = Redis.from_url(redis_url)
        replica = TenantRates(client, requests_per_s=0.01, burst=400)
        passed = await asyncio.gather(*(spent(replica, "a", 1) for _ in range(1000)))
        try:
            return sum(passed), replica._ask_redis_at, len(client.connection_pool._available_connections)
        finally:
            await client.aclose()

    assert asyncio.run(ask()) == (400, 0.0, 1)
