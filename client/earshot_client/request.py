"""A request as data, and what comes of it: whoever sends it knows nothing of what it is for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from earshot_client.errors import EarshotError
from earshot_client.form import Form


@dataclass(frozen=True)
class Request:
    """What to send.

    Attributes:
        path: under the service's URL, without a slash before it.
        may_repeat: whether to send it again does no harm where the first may have been carried out.
    """

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | Form | None = None
    may_repeat: bool = True


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def is_good(self) -> bool:
        """Whether it is no error."""
        return 200 <= self.status < 300

    def json(self) -> Any:
        """The body, parsed; raises EarshotError where it is no JSON: the URL is some other service's."""
        try:
            return json.loads(self.body)
        except ValueError:
            raise EarshotError.of(self.status, self.headers, b"") from None


@dataclass(frozen=True)
class Broken:
    """What came in place of an answer; `was_sent`: the request may have arrived all the same."""

    error: Exception
    was_sent: bool


def get(*parts: str, **query: object) -> Request:
    """A GET of a path, with the query's values that are not None."""
    return Request("GET", _path(parts, query))


def delete(*parts: str) -> Request:
    """A DELETE."""
    return Request("DELETE", _path(parts, {}))


def put(*parts: str, content: Any, may_repeat: bool) -> Request:
    """A PUT of JSON."""
    headers = {"Content-Type": "application/json"}
    return Request("PUT", _path(parts, {}), headers, json.dumps(content).encode(), may_repeat)


def post(*parts: str, body: bytes | Form, may_repeat: bool, headers: Mapping[str, str] | None = None) -> Request:
    """A POST of a form or of bytes."""
    kind = body.content_type if isinstance(body, Form) else "application/octet-stream"
    return Request("POST", _path(parts, {}), {"Content-Type": kind, **(headers or {})}, body, may_repeat)


def _path(parts: tuple[str, ...], query: Mapping[str, object]) -> str:
    asked = urlencode({name: value for name, value in query.items() if value is not None})
    path = "/".join(quote(part, safe="@") for part in parts)
    return f"{path}?{asked}" if asked else path
