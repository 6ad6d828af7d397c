import asyncio
import gc
import weakref
from types import SimpleNamespace

import numpy as np
import pytest

from aspl.errors import AdapterInvalid
from service.inference import adapter_cache
from service.inference.adapter_cache import AdapterCache
from service.metrics import Metrics


@pytest.fixture
def cache():
    return AdapterCache(max_bytes=100, metrics=Metrics())


class Loads:
    """A loader that counts."""

    def __init__(self, size_bytes=40, error=None, pause_s=0.0):
        self.count = 0
        self._size_bytes = size_bytes
        self._error = error
        self._pause_s = pause_s

    async def __call__(self):
        self.count += 1
        await asyncio.sleep(self._pause_s)
        if self._error:
            raise self._error
        return SimpleNamespace(size_bytes=self._size_bytes)


async def use(cache, key, load):
    async with cache.use(key, load) as adapter:
        return adapter


def test_many_who_come_at_once_share_one_load(cache):
    async def crowd():
        return await asyncio.gather(*(use(cache, "a", load) for _ in range(20)))

    load = Loads(pause_s=0.05)
    assert len({id(adapter) for adapter in asyncio.run(crowd())}) == 1
    assert load.count == 1


def test_the_first_client_leaving_does_not_fail_the_others(cache):
    async def scene():
        first = asyncio.ensure_future(use(cache, "a", load))
        second = asyncio.ensure_future(use(cache, "a", load))
        await asyncio.sleep(0.01)
        first.cancel()
        return await second

    load = Loads(pause_s=0.1)
    assert asyncio.run(scene()).size_bytes == 40
    assert load.count == 1


def test_the_least_recently_used_goes_first(cache):
    async def scene():
        for key in ("a", "b", "a", "c"):
            await use(cache, key, loads[key])
        await use(cache, "a", loads["a"])
        await use(cache, "b", loads["b"])

    loads = {key: Loads() for key in "abc"}
    asyncio.run(scene())
    assert {key: load.count for key, load in loads.items()} == {"a": 1, "b": 2, "c": 1}
    assert cache.size_bytes == 80


def test_what_is_in_use_stays(cache):
    async def scene():
        async with cache.use("a", loads["a"]):
            for key in "bcd":
                await use(cache, key, loads[key])
            await use(cache, "a", loads["a"])

    loads = {key: Loads() for key in "abcd"}
    asyncio.run(scene())
    assert loads["a"].count == 1


def test_a_broken_file_is_read_again_only_after_a_growing_pause(cache, monkeypatch):
    now = 1000.0
    monkeypatch.setattr(adapter_cache.time, "monotonic", lambda: now)

    async def attempt():
        with pytest.raises(AdapterInvalid):
            await use(cache, "a", load)

    load = Loads(error=AdapterInvalid("broken"))
    counts = []
    for pause_s in (0, 0.5, 0.6, 1.5, 0.6):
        now += pause_s
        asyncio.run(attempt())
        counts.append(load.count)
    assert counts == [1, 1, 2, 2, 3]


def test_the_pause_grows_to_a_minute_at_most(cache, monkeypatch):
    now = 1000.0
    monkeypatch.setattr(adapter_cache.time, "monotonic", lambda: now)
    load = Loads(error=AdapterInvalid("broken"))
    for count in range(1, 12):
        with pytest.raises(AdapterInvalid):
            asyncio.run(use(cache, "a", load))
        assert load.count == count
        now += 60.0


def test_only_so_many_broken_files_are_remembered(cache, monkeypatch):
    now = 1000.0
    monkeypatch.setattr(adapter_cache.time, "monotonic", lambda: now)
    monkeypatch.setattr(adapter_cache, "MAX_FAILURES", 3)
    load = Loads(error=AdapterInvalid("broken"))

    def attempt(key):
        before = load.count
        with pytest.raises(AdapterInvalid):
            asyncio.run(use(cache, key, load))
        return load.count - before

    assert [attempt(key) for key in "abc"] == [1, 1, 1]
    now += 1.1
    assert attempt("a") == 1
    now -= 1.0  # so that the others would still have to wait
    assert attempt("d") == 1
    assert [attempt(key) for key in "acd"] == [0, 0, 0]
    assert attempt("b") == 1  # forgotten, as the one that failed least lately


def test_a_passing_fault_is_not_remembered(cache):
    async def scene():
        with pytest.raises(OSError, match="away"):
            await use(cache, "a", Loads(error=OSError("away")))
        return await use(cache, "a", Loads())

    assert asyncio.run(scene()).size_bytes == 40


def test_what_could_not_be_loaded_is_let_go_of(cache):
    held = []

    async def load():
        data = np.zeros(10)
        held.append(weakref.ref(data))
        try:
            raise KeyError("part")
        except KeyError as error:
            raise AdapterInvalid("it is none") from error

    with pytest.raises(AdapterInvalid):
        asyncio.run(use(cache, "a", load))
    gc.collect()
    assert held[0]() is None
