"""How large the body of a request may be, and how long its client may pause while it sends."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope

from service.http.prefix import route_path
from service.http.problems import KINDS, ServiceError
from service.inference.account import Charge, Resource
from service.inference.errors import Overloaded, TenantOverloaded


@dataclass(frozen=True)
class BodyLimits:
    """The limits of all routes."""

    max_bytes_by_path: Mapping[str, tuple[str, int]]
    """The name of the setting and its value, by path; `*` for all others."""
    idle_s: float
    """The longest pause, in seconds."""
    is_known: Callable[[Scope], bool]
    """Whether there is a route to the address of a request."""

    def of(self, scope: Scope) -> tuple[str, int]:
        """The limit of a request: the name of the setting and its value in bytes."""
        path = route_path(scope)
        if path.startswith("/adapters/"):
            path = f"/adapters/*/{path.rpartition('/')[2]}"
        return self.max_bytes_by_path.get(path, self.max_bytes_by_path["*"])


class LimitedBody:
    """The receiving side of a request, which raises `ServiceError` where the body exceeds its limits."""

    def __init__(self, scope: Scope, receive: Receive, limits: BodyLimits):
        self._scope = scope
        self._receive = receive
        self._limits = limits
        self._limit = limits.of(scope)
        self._charge: Charge | None = None
        self._num_bytes = 0
        self._num_charged = 0
        self._is_complete = False
        self.has_left = False
        """Whether the client hung up before its body was complete."""

    def admit(self, headers: Headers, charge: Charge | None) -> None:
        """Let the body come, and charge its declared length, or else what comes.

        Raises ServiceError where it is too much, by itself or beside what else is under way.
        """
        self._charge = charge
        declared = headers.get("content-length", "")
        if declared.isdecimal():
            self._count(int(declared))

    async def __call__(self) -> Message:
        if self._is_complete:
            return await self._receive()
        message = await self._next_part()
        self._is_complete = not message.get("more_body", False)
        self.has_left = message["type"] == "http.disconnect"
        self._num_bytes += len(message.get("body", b""))
        self._count(self._num_bytes)
        return message

    def _count(self, num_bytes: int) -> None:
        name, most = self._limit
        if num_bytes > most:
            if not self._limits.is_known(self._scope):  # as /classify/, whose body is no larger than that of /classify
                raise ServiceError("not_found", KINDS["not_found"].example)
            raise ServiceError("body_too_large", f"The body is larger than {name} = {most} bytes.", limit=(name, most))
        if self._charge is not None and num_bytes > self._num_charged:
            try:
                self._charge.take(Resource.BODY_BYTES, num_bytes - self._num_charged)
            except (TenantOverloaded, Overloaded) as error:
                # FastAPI takes any other kind of error for a fault in the form.
                raise ServiceError(error.code, str(error), limit=error.limit) from error
            self._num_charged = num_bytes

    async def _next_part(self) -> Message:
        idle_s = self._limits.idle_s
        try:
            async with asyncio.timeout(idle_s):
                return await self._receive()
        except TimeoutError as error:
            detail = f"Nothing of the body came for body_idle_s = {idle_s:g} s."
            raise ServiceError("body_timeout", detail, limit=("body_idle_s", idle_s)) from error
