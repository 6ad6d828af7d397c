"""The application around a small CLAP and a real Redis; one model and one Redis for the whole run."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
import structlog
import torch
from starlette.testclient import TestClient

from adapters_store import Ref
from aspl import Adapter
from aspl.heads.linear import LinearHead
from aspl.known import SENSITIVITIES, KnownRule
from service.context import Context
from service.http import listener
from service.http.app import create_app
from service.http.server import Server
from service.settings import ServiceSettings


@pytest.fixture(scope="session", autouse=True)
def quiet_logs():
    """Logs are rendered, so that a fault in them shows, and thrown away."""
    renderers = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    structlog.configure(processors=renderers, logger_factory=structlog.ReturnLoggerFactory())
    yield
    structlog.reset_defaults()


@pytest.fixture
def settings(redis, redis_url, tmp_path):
    return ServiceSettings(redis_url=redis_url, data_dir=tmp_path, batch_windows=4, allowed_hosts="*")


@pytest.fixture
def context(settings, clap):
    return Context.open(settings, clap=clap)


@pytest.fixture
def client(context):
    """A client of the running application; `raise_server_exceptions` is off, as it is for a client over a network."""
    with TestClient(create_app(context), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def publish(context, clap):
    """Put an adapter into the store, as a worker does."""

    def publish_adapter(name: str, labels: list[str], *, tenant: str = "local", threshold: float | None = None) -> Ref:
        adapter = replace(Adapter.zero_shot(clap, labels), threshold=threshold)
        data = adapter.to_bytes()
        return context.store.publish(tenant, name, data, Adapter.read_header(data))

    return publish_adapter


@pytest.fixture
def publish_taught(context, clap):
    """Put an adapter with a rule for unknown sounds into the store: every clip's known score is 0.5 or nearly so."""

    def publish_adapter(name: str, labels: tuple[str, ...] = ("low", "high"), *, threshold: float = 0.5) -> Ref:
        rows = {name: (threshold,) * len(labels) for name in SENSITIVITIES}
        rows["high"] = (0.25,) * len(labels)
        plain = Adapter.zero_shot(clap, labels)
        head = _linear_head(clap, len(labels))
        known = KnownRule(1e-6, 0.0, rows["balanced"], rows)
        data = replace(plain, head=head, method="ridge", known=known, shots=dict.fromkeys(labels, 1)).to_bytes()
        return context.store.publish("local", name, data, Adapter.read_header(data))

    return publish_adapter


def _linear_head(clap, num_labels: int) -> LinearHead:
    generator = torch.Generator().manual_seed(0)
    shapes = LinearHead.shapes(num_labels, clap)
    return LinearHead.load({name: torch.randn(s, generator=generator) for name, s in shapes.items()}, (), clap)


@contextmanager
def serving(context: Context) -> Iterator[str]:
    """The address of the application behind a real socket, as long as it is served there."""
    sockets = listener.bind("127.0.0.1", 0)
    server = Server(context, sockets)
    listener.listen(sockets)
    thread = threading.Thread(target=server.serve_until_ended, name="server")
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


@pytest.fixture
def address(context):
    """The application behind a real socket, for what a client in the same process cannot show."""
    with serving(context) as address:
        yield address


@pytest.fixture(scope="module")
def shared_address(clap, redis_url, tmp_path_factory):
    """The same for all tests of a module, where none of them minds what the others left."""
    settings = ServiceSettings(
        redis_url=redis_url, data_dir=tmp_path_factory.mktemp("data"), batch_windows=4, allowed_hosts="*"
    )
    with serving(Context.open(settings.model_copy(update={"requests_per_s": 0}), clap=clap)) as address:
        yield address
