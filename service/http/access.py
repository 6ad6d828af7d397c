"""The gate in front of every route: request id, tenant, rate, size of the body; log and metrics on the way out.

It stands before the body is read, so what is refused here costs nothing.
"""

import asyncio
import re
import time
import uuid
from collections.abc import Callable, Collection

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.http import docs
from service.http.prefix import route_path
from service.http.problems import CLIENT_LEFT_STATUS, KINDS, ServiceError, code_of, problem
from service.http.rates import TenantRates
from service.keys import LOCAL_TENANT, KeyFile
from service.metrics import Metrics

PUBLIC_PATHS = docs.PATHS | {"/", "/healthz", "/readyz", "/info", "/metrics", "/openapi.json"}
PROBES = {"/healthz", "/readyz", "/metrics"}  # whoever asks these knows an address and not a name
UNEXPECTED = ("internal_error", "keys_unreadable")
PORT = re.compile(r":[0-9]*$")
MAX_HOST_CHARS = 100
MAX_HOST_LABELS = 127  # no name in the DNS has more
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

log = structlog.get_logger(__name__)


class Access:
    """ASGI middleware; sets `earshot.request_id` and `earshot.tenant` in the scope, counts its `earshot.code`."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        keys: KeyFile,
        is_loopback: bool,
        rates: TenantRates,
        allowed_hosts: Collection[str],
        max_bytes_by_path: dict[str, tuple[str, int]],
        is_known: Callable[[Scope], bool],
        body_idle_s: float,
        metrics: Metrics,
    ):
        self.app = app
        self._keys = keys
        self._is_loopback = is_loopback
        self._rates = rates
        self._allowed_hosts = frozenset(allowed_hosts)
        self._max_bytes_by_path = max_bytes_by_path
        self._is_known = is_known
        self._body_idle_s = body_idle_s
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        headers = Headers(scope=scope)
        given_id = headers.get("x-request-id", "")
        scope["earshot.request_id"] = given_id if REQUEST_ID.fullmatch(given_id) else uuid.uuid4().hex
        answer = Answer(scope, send)
        with structlog.contextvars.bound_contextvars(request_id=scope["earshot.request_id"]):
            try:
                await self._admit(scope, headers)
                await self.app(scope, self._limited(scope, receive, answer), answer)
            except Exception as error:
                await self._answer_error(error, scope, receive, answer)
            finally:
                self._report(scope, answer)

    async def _admit(self, scope: Scope, headers: Headers) -> None:
        path = route_path(scope)
        if self._allowed_hosts and path not in PROBES:
            for host in headers.getlist("host") or [""]:
                self._check_host(host)
        if path not in PUBLIC_PATHS:
            tenant = scope["earshot.tenant"] = self._tenant(headers)
            structlog.contextvars.bind_contextvars(tenant=tenant)
            await self._rates.spend(tenant)
        declared = headers.get("content-length", "")
        if declared.isdecimal():
            self._check_size(scope, int(declared))

    def _check_host(self, given: str) -> None:
        host = PORT.sub("", given).lower()
        allowed = {"*", host, *(f"*.{parent}" for parent in _parents(host))}
        if not allowed & self._allowed_hosts:
            detail = f"This service does not answer under the name {host[:MAX_HOST_CHARS]!r}."
            raise ServiceError("host_not_allowed", detail)

    def _tenant(self, headers: Headers) -> str:
        if self._is_loopback and not self._keys.has_keys():
            return LOCAL_TENANT
        scheme, _, key = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            key = headers.get("x-api-key", "")
        tenant = self._keys.tenant_of(key.strip()) if key else None
        if tenant is None:
            what = "This API key is not known." if key else "This call needs an API key."
            raise ServiceError("unauthenticated", f"{what} Send Authorization: Bearer KEY, or X-API-Key: KEY.")
        return tenant

    def _limited(self, scope: Scope, receive: Receive, answer: "Answer") -> Receive:
        num_bytes, is_complete = 0, False

        async def receive_counted() -> Message:
            nonlocal num_bytes, is_complete
            if is_complete:
                return await receive()
            message = await self._next_part(receive)
            is_complete = not message.get("more_body", False)
            answer.has_left = message["type"] == "http.disconnect"
            num_bytes += len(message.get("body", b""))
            self._check_size(scope, num_bytes)
            return message

        return receive_counted

    async def _next_part(self, receive: Receive) -> Message:
        try:
            async with asyncio.timeout(self._body_idle_s):
                return await receive()
        except TimeoutError as error:
            limit = ("body_idle_s", self._body_idle_s)
            detail = f"Nothing of the body came for body_idle_s = {self._body_idle_s:g} s."
            raise ServiceError("body_timeout", detail, limit=limit) from error

    def _check_size(self, scope: Scope, num_bytes: int) -> None:
        path = route_path(scope)
        if path.startswith("/adapters/") and path.endswith("/file"):
            path = "/adapters/*/file"
        name, most = self._max_bytes_by_path.get(path, self._max_bytes_by_path["*"])
        if num_bytes > most:
            if not self._is_known(scope):  # as /classify/, whose body is no larger than that of /classify may be
                raise ServiceError("not_found", KINDS["not_found"].example)
            raise ServiceError("body_too_large", f"The body is larger than {name} = {most} bytes.", limit=(name, most))

    async def _answer_error(self, error: Exception, scope: Scope, receive: Receive, answer: "Answer") -> None:
        if isinstance(error, ClientDisconnect):
            return  # in mid-upload: there is nobody to tell
        code = scope["earshot.code"] = code_of(error)
        if code in UNEXPECTED:
            log.error(code, exc_info=error)
        if answer.status is not None:
            raise error
        await problem(error, request_id=scope["earshot.request_id"])(scope, receive, answer)

    def _report(self, scope: Scope, answer: "Answer") -> None:
        route = getattr(scope.get("route"), "path", "unmatched")
        elapsed_s = time.perf_counter() - answer.started_at
        status = answer.status or CLIENT_LEFT_STATUS
        self._metrics.requests.labels(scope["method"], route, str(status)).inc()
        self._metrics.request_s.labels(scope["method"], route).observe(elapsed_s)
        if code := scope.get("earshot.code"):
            self._metrics.errors.labels(code).inc()
        level = log.debug if route_path(scope) in PUBLIC_PATHS else log.info
        elapsed_ms = round(elapsed_s * 1e3, 1)
        level("request", method=scope["method"], route=route, status=status, elapsed_ms=elapsed_ms)


def _parents(host: str) -> list[str]:
    """The domains that a host lies in: `example.org` and `org` for `api.example.org`."""
    labels = host.split(".")
    return [".".join(labels[start:]) for start in range(1, min(len(labels), MAX_HOST_LABELS))]


class Answer:
    """The sending side of a request: adds the request's id, remembers the status."""

    def __init__(self, scope: Scope, send: Send):
        self._scope = scope
        self._send = send
        self.status: int | None = None
        self.has_left = False
        self.started_at = time.perf_counter()

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = CLIENT_LEFT_STATUS if self.has_left else message["status"]
            MutableHeaders(scope=message)["X-Request-ID"] = self._scope["earshot.request_id"]
        await self._send(message)
