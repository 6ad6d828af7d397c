"""The gate in front of every route: request id, tenant, rate, size of the body; log and metrics on the way out.

It stands before the body is read, so what is refused here costs nothing.
"""

import re
import time
import uuid
from contextlib import nullcontext

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.http import docs, page
from service.http.authentication import Authentication
from service.http.body_limits import BodyLimits, LimitedBody
from service.http.hosts import Callers
from service.http.prefix import route_path
from service.http.problems import CLIENT_LEFT_STATUS, code_of, problem
from service.http.rates import TenantRates
from service.inference.account import Accounts
from service.metrics import Metrics

PUBLIC_PATHS = docs.PATHS | {"/", "/healthz", "/readyz", "/info", "/metrics", "/openapi.json"}
PROBES = {"/healthz", "/readyz", "/metrics"}  # whoever asks these knows an address and not a name
UNEXPECTED = ("internal_error", "keys_unreadable")
POLICY_VIOLATION = 1008  # of RFC 6455: nothing but HTTP is let in
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

log = structlog.get_logger(__name__)


def is_public(path: str) -> bool:
    """Whether a path is answered without a key."""
    return path in PUBLIC_PATHS or path.startswith(page.PREFIX)


class Access:
    """ASGI middleware; sets `earshot.request_id` and `earshot.tenant` in the scope, counts its `earshot.code`."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        callers: Callers,
        authentication: Authentication,
        rates: TenantRates,
        accounts: Accounts,
        body_limits: BodyLimits,
        metrics: Metrics,
    ):
        self.app = app
        self._callers = callers
        self._authentication = authentication
        self._rates = rates
        self._accounts = accounts
        self._body_limits = body_limits
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await self.app(scope, receive, send)
        if scope["type"] != "http":
            return await send({"type": "websocket.close", "code": POLICY_VIOLATION})
        headers = Headers(scope=scope)
        given_id = headers.get("x-request-id", "")
        scope["earshot.request_id"] = given_id if REQUEST_ID.fullmatch(given_id) else uuid.uuid4().hex
        body = LimitedBody(scope, receive, self._body_limits)
        answer = Answer(scope, body, send)
        with structlog.contextvars.bound_contextvars(request_id=scope["earshot.request_id"]):
            try:
                tenant = await self._admit(scope, headers)
                with self._accounts.open(tenant) if tenant else nullcontext() as charge:
                    scope["earshot.charge"] = charge
                    body.admit(headers, charge)
                    await self.app(scope, body, answer)
            except Exception as error:
                await self._answer_error(error, scope, receive, answer)
            finally:
                self._report(scope, answer)

    async def _admit(self, scope: Scope, headers: Headers) -> str | None:
        """Whose request it is, or None where it is everybody's."""
        path = route_path(scope)
        if path not in PROBES:
            self._callers.check(headers, is_open=self._authentication.is_open())
        if is_public(path):
            return None
        tenant = scope["earshot.tenant"] = self._authentication.tenant(headers)
        structlog.contextvars.bind_contextvars(tenant=tenant)
        await self._rates.spend(tenant)
        return tenant

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
        level = log.debug if is_public(route_path(scope)) else log.info
        elapsed_ms = round(elapsed_s * 1e3, 1)
        level("request", method=scope["method"], route=route, status=status, elapsed_ms=elapsed_ms)


class Answer:
    """The sending side of a request: adds the request's id, remembers the status."""

    def __init__(self, scope: Scope, body: LimitedBody, send: Send):
        self._scope = scope
        self._body = body
        self._send = send
        self.status: int | None = None
        self.started_at = time.perf_counter()

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = CLIENT_LEFT_STATUS if self._body.has_left else message["status"]
            MutableHeaders(scope=message)["X-Request-ID"] = self._scope["earshot.request_id"]
        await self._send(message)
