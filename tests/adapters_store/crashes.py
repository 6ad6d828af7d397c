"""Processes that publish with clips and are killed, and what must hold of the store after each."""

import os
import random
import signal
import time

from adapters_store import AdapterNotFound, AdapterStore, StoreError, open_store
from tests.adapters_store.clips import check_sound, digest, sound, strays, taught
from tests.adapters_store.killing_files import KillingFiles

TENANT, NAME = "acme", "birds"
NUM_SOUNDS = 12
LONGEST_S = 0.2


class Crashes:
    """Crashes on one store, counted.

    Attributes:
        num_lacking: how often a version lacked a file, a clip or a feature of it.
        num_strays: how many files of no version a sweep left.
        num_miscounted: how often the usage was not that of the files.
    """

    def __init__(self, url: str, rng: random.Random):
        self._url, self._rng = url, rng
        self.num_killed = self.num_lacking = self.num_strays = self.num_miscounted = self.num_versions = 0

    def crash(self) -> None:
        """Let one process work until it is killed, and look at what it left."""
        by_change = self._rng.random() < 0.5
        kill_at = self._rng.randrange(40) if by_change else 10**9
        seed = self._rng.randrange(10**9)
        child = os.fork()
        if child == 0:
            try:
                store = AdapterStore(KillingFiles.at(open_store(self._url)._files, kill_at))
                work(store, random.Random(seed), num_steps=10 if by_change else 1000)
            finally:
                os._exit(0)
        if not by_change:
            time.sleep(self._rng.uniform(0, LONGEST_S))
            os.kill(child, signal.SIGKILL)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        self.num_killed += status == -signal.SIGKILL
        self._look()

    def _look(self) -> None:
        store = open_store(self._url)
        self.num_lacking += not _is_sound(store)
        store.sweep()
        self.num_lacking += not _is_sound(store)
        self.num_strays += len(strays(store, TENANT, NAME))
        usage, files = store.usage(TENANT), store._files.tree(TENANT)
        versions = store.versions(TENANT, NAME)
        is_right = usage.stored_bytes == sum(entry.size_bytes for entry in files.values())
        self.num_miscounted += not (is_right and usage.versions.get(NAME, 0) == len(versions))
        self.num_versions = max([self.num_versions, *versions])


def work(store: AdapterStore, rng: random.Random, *, num_steps: int) -> None:
    """Publish, go on, erase and delete at random."""
    for _ in range(num_steps):
        versions = store.versions(TENANT, NAME)
        new = rng.sample(range(NUM_SOUNDS), rng.randrange(1, 4))
        step = rng.random()
        try:
            if not versions or step < 0.3:
                store.publish(TENANT, NAME, b"adapter", {}, taught=taught(*new))
            elif step < 0.7:
                base = store.clips(store.resolve(TENANT, f"{NAME}@{rng.choice(versions)}"))
                fresh = [number for number in new if digest(sound(number)) not in base.ids]
                store.publish(TENANT, NAME, b"adapter", {}, taught=taught(*fresh, base=base))
            elif step < 0.8:
                store.erase_clips(TENANT, NAME, [digest(sound(rng.randrange(NUM_SOUNDS)))])
            else:
                store.delete(TENANT, NAME, rng.choice(versions))
        except AdapterNotFound:
            continue


def _is_sound(store: AdapterStore) -> bool:
    try:
        check_sound(store, TENANT, NAME)
    except (StoreError, AssertionError):
        return False
    return True
