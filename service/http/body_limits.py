"""How large the body of a request may be, and how long its client may pause while it sends."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope

from service.http.prefix import route_path
from service.http.problems import KINDS, ServiceError


@dataclass(frozen=True)
class BodyLimits:
    """The limits of all routes."""

    max_bytes_by_path: Mapping[str, tuple[str, int]]
    """The name of the setting and its value, by path; `*` for all others."""
    idle_s: float
    """The longest pause, in seconds."""
    is_known: Callable[[Scope], bool]
    """Whether there is a route to the address of a request."""

    def check_declared(self, scope: Scope, headers: Headers) -> None:
        """Refuse a body whose declared length is too much; raises `ServiceError`."""
        declared = headers.get("content-length", "")
        if declared.isdecimal():
            self.check_size(scope, int(declared))

    def check_size(self, scope: Scope, num_bytes: int) -> None:
        """Refuse a body of so many bytes where that is too much; raises `ServiceError`."""
        path = route_path(scope)
        if path.startswith("/adapters/"):
            path = f"/adapters/*/{path.rpartition('/')[2]}"
        name, most = self.max_bytes_by_path.get(path, self.max_bytes_by_path["*"])
        if num_bytes > most:
            if not self.is_known(scope):  # as /classify/, whose body is no larger than that of /classify may be
                raise ServiceError("not_found", KINDS["not_found"].example)
            raise ServiceError("body_too_large", f"The body is larger than {name} = {most} bytes.", limit=(name, most))


class LimitedBody:
    """The receiving side of a request, which raises `ServiceError` where the body exceeds its limits."""

    def __init__(self, scope: Scope, receive: Receive, limits: BodyLimits):
        self._scope = scope
        self._receive = receive
        self._limits = limits
        self._num_bytes = 0
        self._is_complete = False
        self.has_left = False
        """Whether the client hung up before its body was complete."""

    async def __call__(self) -> Message:
        if self._is_complete:
            return await self._receive()
        message = await self._next_part()
        self._is_complete = not message.get("more_body", False)
        self.has_left = message["type"] == "http.disconnect"
        self._num_bytes += len(message.get("body", b""))
        self._limits.check_size(self._scope, self._num_bytes)
        return message

    async def _next_part(self) -> Message:
        idle_s = self._limits.idle_s
        try:
            async with asyncio.timeout(idle_s):
                return await self._receive()
        except TimeoutError as error:
            detail = f"Nothing of the body came for body_idle_s = {idle_s:g} s."
            raise ServiceError("body_timeout", detail, limit=("body_idle_s", idle_s)) from error
