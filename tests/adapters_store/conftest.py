"""One table of stores: what holds for one place holds for all of them."""

import uuid

import pytest
from moto.server import ThreadedMotoServer

from adapters_store import AdapterStore, open_store
from adapters_store.object_files import ObjectFiles
from tests.adapters_store.places import new_bucket, s3_environment

PLACES = ["directory", "file", "memory", "s3", "fsspec-local"]


@pytest.fixture(scope="session")
def s3_endpoint():
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3_url(s3_endpoint, monkeypatch) -> str:
    """A new bucket on the local S3 server, which the environment points to."""
    for name, value in s3_environment(s3_endpoint).items():
        monkeypatch.setenv(name, value)
    return new_bucket()


@pytest.fixture(params=PLACES)
def place(request, tmp_path):
    """Opens the same store again at every call, as another process would."""
    match request.param:
        case "directory":
            return lambda: open_store(tmp_path / "store")
        case "file":
            return lambda: open_store(f"file://{tmp_path}/a%20store")
        case "memory":
            url = f"memory://{uuid.uuid4().hex}"
            return lambda: open_store(url)
        case "s3":
            url = request.getfixturevalue("s3_url")
            return lambda: open_store(url)
        case "fsspec-local":
            return lambda: AdapterStore(ObjectFiles(f"file://{tmp_path}/objects"))


@pytest.fixture
def store(place) -> AdapterStore:
    return place()
