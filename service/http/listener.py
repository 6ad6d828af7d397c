"""The sockets of the API: bound before anything is loaded, so that a port in use is told at once."""

import errno
import socket
from collections.abc import Sequence

PROBE_TIMEOUT_S = 1.0
BACKLOG = 2048  # connections that wait to be accepted
LOOPBACK_OF = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}


class AddressUnusable(Exception):
    """The API cannot listen where it is told to; the message says why and what to do."""


def bind(host: str, port: int) -> list[socket.socket]:
    """Bind every address that `host` means to one port, 0 for any that is free; they do not listen yet.

    Raises AddressUnusable.
    """
    if port and host in LOOPBACK_OF and _answers(LOOPBACK_OF[host], port):
        # Some systems let "all addresses" be bound beside one of them, which then goes on to get what is meant for us.
        raise AddressUnusable(_taken(host, port))
    sockets: list[socket.socket] = []
    try:
        for family, address in _addresses(host, port):
            bound_port = port_of(sockets) if sockets else port
            sockets.append(_bind(family, (address[0], bound_port, *address[2:])))
    except OSError as error:
        for bound in sockets:
            bound.close()
        raise AddressUnusable(_reason(error, host, port)) from error
    return sockets


def listen(sockets: Sequence[socket.socket]) -> None:
    """Begin to listen; raises AddressUnusable where somebody else has come to listen there since they were bound."""
    for bound in sockets:
        try:
            bound.listen(BACKLOG)
        except OSError as error:
            raise AddressUnusable(_reason(error, *bound.getsockname()[:2])) from error


def port_of(sockets: Sequence[socket.socket]) -> int:
    """The port that they are bound to."""
    return sockets[0].getsockname()[1]


def url_of(host: str, port: int) -> str:
    """Where the API answers, as seen from this machine."""
    name = LOOPBACK_OF.get(host, host)
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"


def is_listening(bound: socket.socket) -> bool:
    """Whether somebody who holds this very socket, such as a child, has begun to listen on it."""
    return bool(bound.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))


def _addresses(host: str, port: int) -> list[tuple[socket.AddressFamily, tuple]]:
    found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    addresses = list(dict.fromkeys((family, address) for family, _, _, _, address in found))
    # A machine may know a name by IPv6 and have no IPv6.
    usable = [one for one in addresses if _is_of_this_machine(*one)]
    return usable or addresses


def _is_of_this_machine(family: socket.AddressFamily, address: tuple) -> bool:
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.bind((address[0], 0, *address[2:]))
    except OSError:
        return False
    return True


def _bind(family: socket.AddressFamily, address: tuple) -> socket.socket:
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        # A port whose last connections are still being wound up is free; one that is listened on is not.
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.bind(address)
    except OSError:
        bound.close()
        raise
    return bound


def _answers(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), PROBE_TIMEOUT_S).close()
    except OSError:
        return False
    return True


def _reason(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return _taken(host, port)
    if error.errno == errno.EACCES:
        return f"this user may not listen on port {port}: choose one from 1024 up, as with EARSHOT_PORT=8000"
    return f"this machine has no address {host}: name another with EARSHOT_HOST ({error.strerror})"


def _taken(host: str, port: int) -> str:
    another = port + 1 if port < 65535 else port - 1
    return (
        f"port {port} of {host or 'this machine'} is in use by another process: "
        f"end that one, or choose another port, as with EARSHOT_PORT={another}"
    )
