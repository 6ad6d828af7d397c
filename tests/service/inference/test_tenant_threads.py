import asyncio
import threading
import time

import pytest

from service.inference.tenant_threads import Abandoned, TenantThreads


@pytest.fixture
def threads():
    threads = TenantThreads(2, name="test")
    yield threads
    threads.close()


class Held:
    """Work that ends when it is let go; it notes the order in which it began."""

    def __init__(self, name, begun):
        self.name = name
        self.gate = threading.Event()
        self._begun = begun

    def __call__(self, check):
        self._begun.append(self.name)
        self.gate.wait(10)
        return self.name


def test_a_busy_tenant_leaves_a_thread_to_the_others(threads):
    async def scene():
        begun = []
        busy = [Held(f"busy-{number}", begun) for number in range(5)]
        running = [asyncio.ensure_future(threads.run("busy", work)) for work in busy]
        await asyncio.sleep(0.05)
        assert begun == ["busy-0", "busy-1"]
        rare = Held("rare", begun)
        rare.gate.set()
        assert await threads.run("rare", rare) == "rare"
        for work in busy:
            work.gate.set()
        assert await asyncio.gather(*running) == [work.name for work in busy]

    asyncio.run(scene())


def test_tenants_take_turns(threads):
    async def scene():
        begun = []
        works = [Held(f"{tenant}-{number}", begun) for tenant in "abc" for number in range(3)]
        running = [asyncio.ensure_future(threads.run(work.name[0], work)) for work in works]
        await asyncio.sleep(0.05)
        for work in works:
            work.gate.set()
        await asyncio.gather(*running)
        return begun

    begun = asyncio.run(scene())
    assert {name[0] for name in begun[3:6]} >= {"b", "c"}  # a had two at once, and goes to the end


def test_what_is_given_up_while_it_waits_never_begins(threads):
    async def scene():
        begun = []
        works = [Held(str(number), begun) for number in range(4)]
        running = [asyncio.ensure_future(threads.run("a", work)) for work in works]
        await asyncio.sleep(0.05)
        running[2].cancel()
        for work in works:
            work.gate.set()
        await asyncio.gather(*running, return_exceptions=True)
        assert begun == ["0", "1", "3"]
        assert await threads.run("a", lambda check: 7) == 7

    asyncio.run(scene())


@pytest.mark.parametrize("num_cancels", [1, 3])
def test_what_is_given_up_in_the_middle_hears_of_it_and_is_waited_for(threads, num_cancels):
    ended = []

    def work(check):
        try:
            while True:
                check()
                time.sleep(0.01)
        except Abandoned:
            time.sleep(0.05)
            ended.append(True)
            raise

    async def scene():
        running = asyncio.ensure_future(threads.run("a", work))
        await asyncio.sleep(0.03)
        for _ in range(num_cancels):
            running.cancel()
            await asyncio.sleep(0.01)
        await asyncio.wait([running])
        assert running.cancelled() and ended == [True]

    asyncio.run(scene())
