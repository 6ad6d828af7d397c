"""`python -m local`: Redis, a worker and the API on one machine, until Ctrl-C ends all three."""

import argparse
import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import FrameType

from jobs.connection import connect, private_url
from jobs.errors import RedisUnavailable
from jobs.queue import JobQueue
from jobs.settings import describe
from local import private_redis
from local.ending import end
from local.guard import Guard
from service.http import listener
from service.settings import ServiceSettings

POLL_S = 0.1
READINESS_TIMEOUT_S = 10.0
NEWS_EVERY_S = 30.0
# Together under 5 s: first those that use Redis, then Redis itself.
GRACE_S = 4.0
REDIS_GRACE_S = 0.7
PR_SET_CHILD_SUBREAPER = 36  # <linux/prctl.h>
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class ChildEnded(Exception):
    """A process ended that should have gone on."""


class Stop:
    """The wish to end: Ctrl-C, SIGTERM, SIGHUP or, where asked for, the end of the parent process.

    A flag and no exception, which a second Ctrl-C would raise in the middle of the clean-up.
    """

    def __init__(self, *, with_parent: bool):
        self._is_signalled = False
        self._parent_pid = os.getppid() if with_parent else None
        for number in STOP_SIGNALS:
            signal.signal(number, self._signalled)

    @property
    def is_wanted(self) -> bool:
        """Whether it is time to end."""
        return self._is_signalled or self._parent_pid not in (None, os.getppid())

    def _signalled(self, number: int, frame: FrameType | None) -> None:
        self._is_signalled = True


class Stack:
    """The processes that this one started, by name; `stop` leaves none of them behind."""

    def __init__(self, settings: ServiceSettings, sockets: list[socket.socket]):
        self._settings = settings
        self._sockets = sockets
        self._environment = dict(os.environ)
        self._processes: dict[str, subprocess.Popen] = {}
        self._guard: Guard | None = None
        self.address = listener.url_of(settings.host, listener.port_of(sockets))

    def start(self) -> None:
        """Start Redis unless one is given, then the worker and the API beside each other."""
        self._guard = Guard()
        if self._settings.redis_url is None:
            redis = self._processes["redis"] = private_redis.spawn(self._settings.data_dir)
            self._guard.watch("redis", redis.pid)
            private_redis.wait_until_it_answers(redis, self._settings.data_dir)
            self._environment["EARSHOT_REDIS_URL"] = private_url(self._settings.data_dir)
        self._start("worker")
        descriptors = [bound.fileno() for bound in self._sockets]
        self._start("service", *(f"--socket={descriptor}" for descriptor in descriptors), descriptors=descriptors)

    def waits_for(self) -> list[str]:
        """What is not ready yet: an API that has run a forward pass, a worker that waits for jobs."""
        is_ready = {"the API": self._is_api_ready(), "a worker": self._is_worker_ready()}
        return [name for name, ready in is_ready.items() if not ready]

    def hand_over(self) -> None:
        """Leave the port to the API alone, so that it is free as soon as that ends."""
        for bound in self._sockets:
            bound.close()

    def check(self) -> None:
        """Raise ChildEnded if any process has ended."""
        for name, process in {**self._processes, "guard": self._guard.process}.items():
            if process.poll() is not None:
                raise ChildEnded(f"{name} ended with status {process.returncode}")

    def stop(self) -> None:
        """End every process, by force what does not end by itself in time."""
        self.hand_over()
        pids = {process.pid: process for process in self._processes.values()}
        redis = [process.pid for name, process in self._processes.items() if name == "redis"]
        for group, grace_s in (([pid for pid in pids if pid not in redis], GRACE_S), (redis, REDIS_GRACE_S)):
            end(group, lambda pid: pids[pid].poll() is None, grace_s=grace_s)
        for process in pids.values():
            process.wait()
        if self._guard is not None:
            self._guard.release()
        _kill_orphans()

    def _start(self, module: str, *arguments: str, descriptors: list[int] | None = None) -> None:
        # A session each: Ctrl-C reaches this process alone, which then ends the others in order.
        self._processes[module] = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            env=self._environment,
            start_new_session=True,
            pass_fds=descriptors or (),
        )
        self._guard.watch("user", self._processes[module].pid)

    def _is_api_ready(self) -> bool:
        # Whatever else may answer under this address: our own sockets listen only once the API does so on them.
        if not all(listener.is_listening(bound) for bound in self._sockets):
            return False
        try:
            with urllib.request.urlopen(f"{self.address}/readyz", timeout=READINESS_TIMEOUT_S) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False

    def _is_worker_ready(self) -> bool:
        redis = connect(self._settings.redis_url_or_private, num_retries=0)
        try:
            ready = JobQueue(redis, self._settings).workers()  # those of an earlier run may still be listed
            return self._processes["worker"].pid in {worker.pid for worker in ready}
        except RedisUnavailable:
            return False
        finally:
            redis.close()


def main() -> int:
    """Run the stack; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m local",
        description=__doc__,
        epilog="Settings, read from the environment once:\n" + describe(ServiceSettings),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--with-parent", action="store_true", help="end, too, when the process that started this ends")
    stop = Stop(with_parent=parser.parse_args().with_parent)
    settings = ServiceSettings.read()
    try:
        run(settings, listener.bind(settings.host, settings.port), stop)
    except (listener.AddressUnusable, ChildEnded, private_redis.PrivateRedisFailed) as error:
        print(f"earshot: {error}", file=sys.stderr, flush=True)
        return 1
    return 0


def run(settings: ServiceSettings, sockets: list[socket.socket], stop: Stop) -> None:
    """Start everything, watch over it until a stop is wanted, and end everything.

    Raises ChildEnded and PrivateRedisFailed.
    """
    _adopt_orphans()
    stack = Stack(settings, sockets)
    try:
        _say_what_begins(settings, stack.address)
        started_at = time.monotonic()
        stack.start()
        if not _wait_until_ready(stack, stop):
            return
        stack.hand_over()
        _say(f"earshot listens on {stack.address} (ready in {time.monotonic() - started_at:.0f} s; Ctrl-C ends it)")
        while not stop.is_wanted:
            stack.check()
            time.sleep(POLL_S)
    finally:
        stack.stop()


def _wait_until_ready(stack: Stack, stop: Stop) -> bool:
    """Whether all came up before a stop was wanted; tells now and then what is still waited for."""
    started_at, news_at = time.monotonic(), time.monotonic() + NEWS_EVERY_S
    while waits_for := stack.waits_for():
        stack.check()
        if stop.is_wanted:
            return False
        if time.monotonic() > news_at:
            _say(f"earshot still waits for {' and '.join(waits_for)} after {time.monotonic() - started_at:.0f} s")
            news_at += NEWS_EVERY_S
        time.sleep(POLL_S)
    return True


def _say_what_begins(settings: ServiceSettings, address: str) -> None:
    if sys.stdout.isatty():
        parts = "a worker and the API" if settings.redis_url else "Redis, a worker and the API"
        _say(f"earshot starts {parts} on {address} with the model {settings.model}")
        _say("this takes about 10 s, and up to a minute at the very first start")
    if _has_to_be_fetched(settings):
        from huggingface_hub.constants import HF_HUB_CACHE

        _say(f"{settings.model} is fetched from the Hugging Face hub first, 600 MB or so, once, into {HF_HUB_CACHE}")


def _has_to_be_fetched(settings: ServiceSettings) -> bool:
    """Whether the model is a name of the hub's of which the local cache has nothing."""
    name = settings.model
    if Path(name).exists() or name.count("/") != 1 or name.startswith((".", "/", "~")):
        return False
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.constants import HF_HUB_OFFLINE

    is_cached = isinstance(try_to_load_from_cache(name, "config.json", revision=settings.model_revision), str)
    return not (is_cached or HF_HUB_OFFLINE)


def _say(text: str) -> None:
    with contextlib.suppress(OSError):  # a terminal that was closed
        print(text, flush=True)


def _adopt_orphans() -> None:
    """Become the parent of whatever a killed child leaves behind, where the system knows how (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _kill_orphans() -> None:
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    for pid in children.read_text().split() if children.exists() else ():
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(int(pid), signal.SIGKILL)
            os.waitpid(int(pid), 0)


if __name__ == "__main__":
    sys.exit(main())
