"""Under which names this service answers (`Host`), and to which pages where no key is asked for (`Origin`)."""

import re
from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers

from service.http.problems import ServiceError

PORT = re.compile(r":[0-9]*$")
MAX_HOST_CHARS = 100
MAX_HOST_LABELS = 127  # no name in the DNS has more
OF_THIS_MACHINE = frozenset({"localhost", "*.localhost", "127.0.0.1", "[::1]"})


class Callers:
    """Names, and `*.example.org` for every name below one; none at all allow every host, if keys are asked for.

    Where they are not, any page that a browser on this machine shows could call: by its own name, once that leads to
    this address (DNS rebinding), or by posting a form. So without names only this machine's own are answered, and pages
    must be of it, of a host that is named, or of an origin that the settings allow.
    """

    def __init__(self, *, hosts: Collection[str], origins: Collection[str], own_host: str):
        self._hosts = frozenset(hosts)
        self._origins = frozenset(origins)
        own = OF_THIS_MACHINE | {f"[{own_host}]" if ":" in own_host else own_host}
        self._open_hosts = self._hosts or own
        self._open_pages = (self._hosts | own) - {"*"}

    def check(self, headers: Headers, *, is_open: bool) -> None:
        """Refuse a request that gives another host, or none; raises `ServiceError`."""
        if is_open:
            self._check_origins(headers.getlist("origin"))
        names = self._open_hosts if is_open else self._hosts
        if names:
            for host in headers.getlist("host") or [""]:
                _check_host(host, names, is_open=is_open)

    def _check_origins(self, origins: list[str]) -> None:
        for origin in origins:
            host = PORT.sub("", urlsplit(origin).netloc).lower()
            if not self._origins & {"*", origin} and not _is_named(host, self._open_pages):
                shown = origin[:MAX_HOST_CHARS]
                detail = f"Pages of {shown!r} may not call a service without API keys; see EARSHOT_CORS_ORIGINS."
                raise ServiceError("origin_not_allowed", detail)


def _check_host(given: str, names: frozenset[str], *, is_open: bool) -> None:
    host = PORT.sub("", given).lower()
    if not _is_named(host, names):
        hint = " without API keys; see EARSHOT_ALLOWED_HOSTS" if is_open else ""
        detail = f"This service does not answer under the name {host[:MAX_HOST_CHARS]!r}{hint}."
        raise ServiceError("host_not_allowed", detail)


def _is_named(host: str, names: frozenset[str]) -> bool:
    return bool(names & {"*", host, *(f"*.{parent}" for parent in _parents(host))})


def _parents(host: str) -> list[str]:
    """The domains that a host lies in: `example.org` and `org` for `api.example.org`."""
    labels = host.split(".")
    return [".".join(labels[start:]) for start in range(1, min(len(labels), MAX_HOST_LABELS))]
