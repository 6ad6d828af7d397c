"""What several packages' tests stand on: a small CLAP, and a real Redis that is emptied around each test."""

import tempfile
from pathlib import Path

import pytest
import torch

from aspl import FrozenClap
from tests.small_clap import write_small_clap
from worker import private_redis
from worker.connection import connect


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
