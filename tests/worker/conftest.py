"""A real Redis for the whole run, emptied around each test, and settings of a directory of the test's own."""

import tempfile
from pathlib import Path

import pytest

from worker import private_redis
from worker.connection import connect
from worker.queue import JobQueue
from worker.settings import WorkerSettings
from worker.staging import Staging


@pytest.fixture(scope="session")
def redis_url():
    # A short path: a Unix socket's may not be long, and pytest's own are.
    with tempfile.TemporaryDirectory(prefix="earshot-") as directory:
        process, url = private_redis.start(Path(directory))
        yield url
        process.terminate()
        process.wait(timeout=10)


@pytest.fixture
def redis(redis_url):
    client = connect(redis_url)
    client.flushall()
    yield client
    client.flushall()
    client.close()


@pytest.fixture
def settings(redis_url, tmp_path):
    return WorkerSettings(redis_url=redis_url, data_dir=tmp_path, tenant_queue_limit=60)


@pytest.fixture
def queue(redis, settings):
    return JobQueue(redis, settings)


@pytest.fixture
def staging(settings):
    return Staging(settings.data_dir)
