"""Worker processes for tests, and waiting for what they do."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from jobs.queue import JobQueue
from jobs.records import JobRecord
from jobs.settings import WorkerSettings

QUICK = {"HEARTBEAT_S": 0.3, "HEARTBEAT_TTL_S": 2, "MAINTENANCE_INTERVAL_S": 1, "CANCEL_GRACE_S": 1.5}


def start_worker(settings: WorkerSettings, module: str = "tests.worker.stand_in_worker", **overrides: Any):
    """Start a worker with quick reactions; `overrides` are settings in capitals."""
    environment = {"REDIS_URL": settings.redis_url, "DATA_DIR": settings.data_dir, **QUICK, **overrides}
    return subprocess.Popen(
        [sys.executable, "-m", module],
        env=os.environ
        | {"OMP_NUM_THREADS": "1"}
        | {f"EARSHOT_{key}": str(value) for key, value in environment.items()},
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_until(holds: Callable[[], Any], timeout_s: float = 20.0) -> Any:
    """The first true value of `holds`."""
    deadline = time.monotonic() + timeout_s
    while not (value := holds()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
    return value


def wait_for_end(queue: JobQueue, record: JobRecord, timeout_s: float = 20.0) -> JobRecord:
    """The record once its job has ended."""

    def ended():
        now = queue.records.get(record.tenant, record.id)
        return None if now.is_live else now

    return wait_until(ended, timeout_s)


def wait_for_epoch(queue: JobQueue, record: JobRecord, epoch: int, timeout_s: float = 20.0) -> JobRecord:
    """The record once its training has come to an epoch."""

    def there():
        now = queue.records.get(record.tenant, record.id)
        return now if now.state == "running" and now.progress["epoch"] >= epoch else None

    return wait_until(there, timeout_s)


def trainer_of(worker: subprocess.Popen) -> int:
    """The process id of a worker's trainer."""
    children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(worker.pid)], capture_output=True, text=True)
    return int(children.stdout.split()[0])


def is_alive(pid: int) -> bool:
    """Whether a process of that id runs."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0] != "Z"
