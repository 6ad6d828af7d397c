"""Settings of a directory of the test's own, and workers on it."""

import pytest

from adapters_store import open_store
from tests.worker.processes import start_worker, wait_until
from worker.queue import NOTHING_FOUND, JobQueue
from worker.settings import WorkerSettings
from worker.staging import Staging


@pytest.fixture
def settings(redis_url, tmp_path):
    return WorkerSettings(redis_url=redis_url, data_dir=tmp_path, tenant_queue_limit=60)


@pytest.fixture
def queue(redis, settings):
    return JobQueue(redis, settings)


@pytest.fixture
def staging(settings):
    return Staging(settings.data_dir)


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


@pytest.fixture
def submit(queue, staging):
    """Submits a job of four clips of two labels."""

    def submit(tenant="t", name="pets", findings=NOTHING_FOUND, **training):
        upload = staging.new_upload()
        for number in range(4):
            staging.add_clip(upload, ["cat", "dog"][number % 2], [b"clip %d" % number])
        return queue.submit(tenant, name, upload, training, findings=findings)

    return submit


@pytest.fixture
def store(settings):
    return open_store(settings.store_url_or_local)
