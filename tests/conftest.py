"""What several packages' tests stand on: a small CLAP, and a real Redis that is emptied around each test."""

import tempfile
from pathlib import Path

import pytest
import torch

from adapters_store import open_store
from aspl import FrozenClap
from jobs.connection import connect
from jobs.queue import NOTHING_FOUND, JobQueue
from jobs.settings import WorkerSettings
from jobs.uploads import Staging
from local import private_redis
from tests.small_clap import write_small_clap


@pytest.fixture(scope="session")
def small_clap_directory(tmp_path_factory) -> Path:
    return write_small_clap(tmp_path_factory.mktemp("models") / "small-clap")


@pytest.fixture(scope="session")
def clap(small_clap_directory) -> FrozenClap:
    torch.set_num_threads(1)  # the small model gains nothing from more, and sums come out in one order
    return FrozenClap.load(small_clap_directory)


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
