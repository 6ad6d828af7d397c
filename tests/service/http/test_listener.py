import socket

import pytest

from service.http import listener
from service.http.listener import AddressUnusable


@pytest.fixture
def bind():
    """Bind, and let go at the end."""
    found = []

    def bind_one(host, port):
        found.extend(sockets := listener.bind(host, port))
        return sockets

    yield bind_one
    for bound in found:
        bound.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0", "::1", "::"])
def test_a_free_port_is_found_and_reached(bind, host):
    if ":" in host and not has_ipv6():
        pytest.skip("this machine has no IPv6")
    sockets = bind(host, 0)
    port = listener.port_of(sockets)
    assert {bound.getsockname()[1] for bound in sockets} == {port} != {0}
    assert not any(listener.is_listening(bound) for bound in sockets)
    listener.listen(sockets)
    assert all(listener.is_listening(bound) for bound in sockets)
    name = listener.url_of(host, port).removeprefix("http://").rpartition(":")[0].strip("[]")
    socket.create_connection((name, port), 10).close()


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("0.0.0.0", "http://127.0.0.1:80"),
        ("::", "http://[::1]:80"),
        ("::1", "http://[::1]:80"),
        ("ear.example", "http://ear.example:80"),
    ],
)
def test_an_address_is_written_as_clients_want_it(host, url):
    assert listener.url_of(host, 80) == url


@pytest.mark.parametrize("taken_by", ["127.0.0.1", "0.0.0.0"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0"])
def test_a_port_in_use_is_named_with_what_to_do(host, taken_by):
    with socket.create_server((taken_by, 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(AddressUnusable, match=rf"port {port} of {host} is in use.*EARSHOT_PORT=\d+"):
            listener.bind(host, port)


def test_who_comes_between_binding_and_listening_is_noticed(bind):
    sockets = bind("127.0.0.1", 0)
    with socket.create_server(sockets[0].getsockname()):
        assert not listener.is_listening(sockets[0])
        with pytest.raises(AddressUnusable, match="in use"):
            listener.listen(sockets)


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid"])
def test_an_address_of_another_machine_is_named(host):
    with pytest.raises(AddressUnusable, match=rf"no address {host}.*EARSHOT_HOST"):
        listener.bind(host, 0)


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True
