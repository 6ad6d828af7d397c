"""Processes killed and paused at random moments, and whether something is held down just now."""

import os
import random
import signal
import threading
import time
from collections import Counter

from tests.e2e.stack import Process, Stack, wait_for

PAUSES_S = (0.5, 2.0, 7.0)
# Readiness, reconnecting and a failed call under way take as long after the fault is over.
AFTERMATH_S = 15.0


class Reaper:
    """Does one fault after the other to a stack of one API, some workers and a Redis."""

    def __init__(self, stack: Stack, api: Process, workers: list[Process], *, seed: int):
        self.stack, self.api, self.workers = stack, api, workers
        self.done: Counter[str] = Counter()
        self.all_workers = list(workers)
        self.struck: list[tuple[str, float]] = []  # who, by its pid or "redis", and when
        self._dice = random.Random(seed)
        self._until = 0.0
        self._is_under_way = threading.Event()

    @property
    def holds_something_down(self) -> bool:
        """Whether a process is down, or was until just now."""
        return self._is_under_way.is_set() or time.monotonic() < self._until

    def strike(self) -> None:
        """One fault: something is killed and started again, or paused and woken."""
        self._is_under_way.set()
        try:
            faults = [
                self.kill_worker,
                self.pause_worker,
                self.kill_api,
                self.pause_api,
                self.kill_redis,
                self.pause_redis,
            ]
            fault = self._dice.choice(faults)
            self.done[fault.__name__.replace("_", " ")] += 1
            fault()
        finally:
            self._until = time.monotonic() + AFTERMATH_S
            self._is_under_way.clear()

    def kill_worker(self) -> None:
        number = self._dice.randrange(len(self.workers))
        self.struck.append((str(self.workers[number].popen.pid), time.time()))
        self.workers[number].kill()
        self.workers[number] = self.stack.start_worker()
        self.all_workers.append(self.workers[number])

    def pause_worker(self) -> None:
        pid = self._dice.choice(self.workers).popen.pid
        self.struck.append((str(pid), time.time()))
        self._pause(pid)

    def kill_api(self) -> None:
        self.api.kill()
        self.api = self.stack.start_api()
        self.stack.wait_until_ready(self.api)

    def pause_api(self) -> None:
        self._pause(self.api.popen.pid)

    def kill_redis(self) -> None:
        self.struck.append(("redis", time.time()))
        self.stack.restart_redis()
        wait_for(lambda: self.stack.redis.poll() is None, 10)

    def pause_redis(self) -> None:
        self.struck.append(("redis", time.time()))
        self._pause(self.stack.redis.pid, (0.5, 2.0))

    def _pause(self, pid: int, pauses_s: tuple[float, ...] = PAUSES_S) -> None:
        os.kill(pid, signal.SIGSTOP)
        time.sleep(self._dice.choice(pauses_s))
        os.kill(pid, signal.SIGCONT)
