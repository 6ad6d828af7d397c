"""A real service that takes little at once, so that batches and waiting are needed; and one that asks for keys."""

import tempfile
from pathlib import Path

import pytest

from service.keys import KeyFile
from tests.e2e.stack import ROOT, Stack

MODEL = ROOT / "models" / "tiny-clap"


@pytest.fixture(scope="session")
def stack():
    with tempfile.TemporaryDirectory(prefix="earshot-client-", ignore_cleanup_errors=True) as directory:
        stack = Stack(Path(directory), MODEL, max_files=8, requests_per_s=8, request_burst=8)
        stack.start_worker()
        yield stack
        stack.stop()


@pytest.fixture(scope="session")
def address(stack):
    """Of the service without keys."""
    api = stack.start_api()
    stack.wait_until_ready(api)
    return api.address


@pytest.fixture(scope="session")
def keyed(stack, address):
    """Address and key of a service that asks for one."""
    keys = stack.directory / "clients-keys.json"
    key = KeyFile(keys).add("acme")
    api = stack.start_api(EARSHOT_KEYS_PATH=str(keys))
    stack.wait_until_ready(api)
    return api.address, key
