"""Workers on the settings and jobs of a test."""

import pytest

from aspl.background import shipped_library
from tests.worker.processes import start_worker, wait_until


@pytest.fixture
def workers(settings, queue):
    """Starts worker processes that are ready when it returns; ends those that still run after the test."""
    started = []

    def start(number=1, *, timeout_s=30.0, **overrides):
        new = [start_worker(settings, **overrides) for _ in range(number)]
        started.extend(new)
        pids = {process.pid for process in new}
        wait_until(lambda: pids <= {ready.pid for ready in queue.workers()}, timeout_s)
        return new[0] if number == 1 else new

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture(scope="session")
def library(tmp_path_factory):
    return shipped_library(tmp_path_factory.mktemp("background"))
