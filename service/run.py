"""`python -m service.run`: Redis, a worker and the API on one machine, until Ctrl-C ends all three."""

import argparse
import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import FrameType

from service.settings import ServiceSettings
from worker import private_redis
from worker.connection import connect
from worker.queue import JobQueue
from worker.settings import describe

POLL_S = 0.1
# Together under 5 s: first those that use Redis, then Redis itself.
GRACE_S = 4.0
REDIS_GRACE_S = 0.7
PR_SET_CHILD_SUBREAPER = 36  # <linux/prctl.h>


class Stopped(Exception):
    """Ctrl-C, SIGTERM or SIGHUP."""


class ChildEnded(Exception):
    """A process ended that should have gone on."""


class Stack:
    """The processes that this one started, by name; whoever leaves the block leaves none of them behind."""

    def __init__(self, settings: ServiceSettings):
        self._settings = settings
        self._environment = dict(os.environ)
        self._redis: subprocess.Popen | None = None
        self._children: dict[str, subprocess.Popen] = {}

    @property
    def address(self) -> str:
        """Where the API answers, as seen from this machine."""
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self._settings.host, self._settings.host)
        return f"http://{host}:{self._settings.port}"

    def start(self) -> None:
        """Start Redis unless one is given, then the worker and the API beside each other."""
        if self._settings.redis_url is None:
            self._redis, url = private_redis.start(self._settings.data_dir)
            self._environment["EARSHOT_REDIS_URL"] = url
        for name in ("worker", "service"):
            # A session each: Ctrl-C reaches this process alone, which then ends the others in order.
            command = [sys.executable, "-m", name]
            self._children[name] = subprocess.Popen(command, env=self._environment, start_new_session=True)

    def wait_until_ready(self) -> None:
        """Return when the API has run a forward pass and a worker waits for jobs; raises ChildEnded."""
        while not (self._is_api_ready() and self._is_worker_ready()):
            self.check()
            time.sleep(POLL_S)

    def check(self) -> None:
        """Raise ChildEnded if any process has ended."""
        processes = {**self._children, **({"redis": self._redis} if self._redis else {})}
        for name, process in processes.items():
            if process.poll() is not None:
                raise ChildEnded(f"{name} ended with status {process.returncode}")

    def stop(self) -> None:
        """End every process, by force what does not end by itself in time."""
        deadline = time.monotonic() + GRACE_S
        for process in self._children.values():
            if process.poll() is None:
                process.terminate()
        for process in self._children.values():
            _end(process, deadline)
        if self._redis is not None:
            self._redis.terminate()
            _end(self._redis, time.monotonic() + REDIS_GRACE_S)
        _kill_orphans()

    def _is_api_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.address}/readyz", timeout=10) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False

    def _is_worker_ready(self) -> bool:
        redis = connect(self._environment.get("EARSHOT_REDIS_URL") or self._settings.redis_url_or_private)
        try:
            ready = JobQueue(redis, self._settings).workers()  # those of an earlier run may still be listed
            return self._children["worker"].pid in {worker.pid for worker in ready}
        finally:
            redis.close()


def main() -> int:
    """Run the stack; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m service.run",
        description=__doc__,
        epilog="Settings, read from the environment once:\n" + describe(ServiceSettings),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    stack = Stack(ServiceSettings.read())
    _adopt_orphans()
    try:
        stack.start()
        stack.wait_until_ready()
        print(f"earshot listens on {stack.address} (Ctrl-C ends it)", flush=True)
        while True:
            stack.check()
            time.sleep(POLL_S)
    except Stopped:
        return 0
    except (ChildEnded, private_redis.PrivateRedisFailed) as error:
        print(f"earshot: {error}", file=sys.stderr, flush=True)
        return 1
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # a second Ctrl-C must not leave the others behind
        stack.stop()


def _stop(number: int, frame: FrameType | None) -> None:
    raise Stopped


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


def _end(process: subprocess.Popen, deadline: float) -> None:
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(max(0.0, deadline - time.monotonic()))
    try:
        # Its session, for whatever it may have started itself.
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    finally:
        process.wait()


if __name__ == "__main__":
    sys.exit(main())
