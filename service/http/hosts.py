"""The names in the `Host` header under which this service answers."""

import re
from collections.abc import Collection

from starlette.datastructures import Headers

from service.http.problems import ServiceError

PORT = re.compile(r":[0-9]*$")
MAX_HOST_CHARS = 100
MAX_HOST_LABELS = 127  # no name in the DNS has more


class AllowedHosts:
    """Names, and `*.example.org` for every name below one; none at all allow every host."""

    def __init__(self, names: Collection[str]):
        self._names = frozenset(names)

    def check(self, headers: Headers) -> None:
        """Refuse a request that gives another name, or none; raises `ServiceError`."""
        if self._names:
            for host in headers.getlist("host") or [""]:
                self._check_host(host)

    def _check_host(self, given: str) -> None:
        host = PORT.sub("", given).lower()
        allowed = {"*", host, *(f"*.{parent}" for parent in _parents(host))}
        if not allowed & self._names:
            detail = f"This service does not answer under the name {host[:MAX_HOST_CHARS]!r}."
            raise ServiceError("host_not_allowed", detail)


def _parents(host: str) -> list[str]:
    """The domains that a host lies in: `example.org` and `org` for `api.example.org`."""
    labels = host.split(".")
    return [".".join(labels[start:]) for start in range(1, min(len(labels), MAX_HOST_LABELS))]
