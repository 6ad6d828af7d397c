"""What the client's tests stand on; nothing here or beside it needs torch, so that any Python can run them."""

import asyncio

import pytest
from earshot_client import AsyncClient, Client, session

from tests.client.scripted import Scripted


@pytest.fixture(autouse=True)
def short_waits(monkeypatch):
    """Where the service does not say how long to wait, nobody waits here."""
    monkeypatch.setattr(session, "FIRST_WAIT_S", 0.01)


@pytest.fixture
def scripted():
    """Make servers that end with the test."""
    servers = []

    def start(**answers):
        servers.append(Scripted(**answers))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


def call_in_threads(url, name, *arguments, client=None, **options):
    with Client(url, **(client or {})) as earshot:
        found = getattr(earshot, name)(*arguments, **options)
        return list(found) if name == "events" else found


def call_in_tasks(url, name, *arguments, client=None, **options):
    async def main():
        async with AsyncClient(url, **(client or {})) as earshot:
            found = getattr(earshot, name)(*arguments, **options)
            return [event async for event in found] if name == "events" else await found

    return asyncio.run(main())


@pytest.fixture(params=[call_in_threads, call_in_tasks], ids=["Client", "AsyncClient"])
def call(request):
    """Make a call by either client: the URL, the call's name, and its arguments."""
    return request.param
