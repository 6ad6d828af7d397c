"""Real processes: a Redis, workers and APIs on one data directory."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx2

from local import private_redis

ROOT = Path(__file__).parents[2]
READY_TIMEOUT_S = 180


@dataclass(eq=False)
class Process:
    """A child and what it has said so far."""

    popen: subprocess.Popen
    address: str = ""
    lines: list[str] = field(default_factory=list)

    def kill(self) -> None:
        """End it as the kernel does when memory runs out."""
        self.popen.kill()
        self.popen.wait()

    def terminate(self) -> None:
        """End it as an orchestrator does."""
        self.popen.terminate()
        self.popen.wait(20)

    def listen(self) -> None:
        # A pipe rather than a file: a test limits the size of files.
        with self.popen.stderr as stderr:
            self.lines.extend(line for line in stderr)


class Stack:
    """One data directory and the processes on it."""

    def __init__(self, directory: Path, model: Path, **settings: object):
        self.directory = directory
        self.redis, self.redis_url = private_redis.start(directory)
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("EARSHOT_")},
            "OMP_NUM_THREADS": "1",
            "EARSHOT_MODEL": str(model),
            "EARSHOT_DATA_DIR": str(directory),
            "EARSHOT_REDIS_URL": self.redis_url,
            "EARSHOT_BATCH_WINDOWS": "4",
            **{f"EARSHOT_{name.upper()}": str(value) for name, value in settings.items()},
        }
        self.processes: list[Process] = []
        self.apis: list[Process] = []
        self.keys: dict[str, str] = {}  # tenant: key

    def start_api(self, **environment: str) -> Process:
        """Start an API on a free port; `wait_until_ready` tells when it answers."""
        port = free_port()
        process = self._start("service", EARSHOT_PORT=str(port), **environment)
        process.address = f"http://127.0.0.1:{port}"
        self.apis.append(process)
        return process

    def start_worker(self) -> Process:
        """Start a worker."""
        return self._start("worker")

    def restart_redis(self) -> None:
        """Kill Redis and start it again on what it has written."""
        self.redis.kill()
        self.redis.wait()
        self.redis, _ = private_redis.start(self.directory)

    def wait_until_ready(self, api: Process) -> None:
        """Return when the API's readiness says so."""
        wait_for(lambda: answers(f"{api.address}/readyz"), READY_TIMEOUT_S, api)

    def stop(self) -> None:
        """End everything."""
        for process in self.processes:
            if process.popen.poll() is None:
                process.popen.send_signal(signal.SIGTERM)
        for process in self.processes:
            process.popen.wait(20)
        self.redis.terminate()
        self.redis.wait(10)

    def _start(self, module: str, **environment: str) -> Process:
        popen = subprocess.Popen(
            [sys.executable, "-m", module],
            cwd=ROOT,
            env=self.environment | environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        process = Process(popen)
        threading.Thread(target=process.listen, daemon=True).start()
        self.processes.append(process)
        return process


def free_port() -> int:
    """A port of the loopback address that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(condition: Callable[[], bool], timeout_s: float, process: Process | None = None) -> None:
    """Return when the condition holds; fails after `timeout_s`, with what the process has said."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        said = "".join(process.lines[-30:]) if process else ""
        assert time.monotonic() < deadline, f"not within {timeout_s} s\n{said}"
        assert process is None or process.popen.poll() is None, said
        time.sleep(0.05)


def answers(url: str) -> bool:
    """Whether a GET is answered with 200."""
    try:
        return httpx2.get(url, timeout=10).status_code == 200
    except httpx2.TransportError:
        return False
