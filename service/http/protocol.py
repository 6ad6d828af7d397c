"""uvicorn's fast parser of HTTP/1.1, which an offer to go on in another protocol does not stop."""

import asyncio
from collections.abc import Callable
from typing import Any, ClassVar

import httptools
import structlog
import uvicorn
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

# What is said to this connection alone, and with the offer goes too.
OFFER = {b"upgrade", b"http2-settings"}
MAX_HEAD_BYTES = 65_536
HEAD_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
HEAD_TIMEOUT_S = 30.0  # for a whole head: an open connection that asks for nothing costs a file, of which there are few
SEND_TIMEOUT_S = 60.0  # for a client to take 64 KiB of its answer
MOST_QUEUED = 20  # requests that come before the answer to the one ahead of them
HEAD_TOO_LATE = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
PROBE_BODY = b"probe"
PROBE = b"POST / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: %d\r\n\r\n%s" % (
    len(PROBE_BODY),
    PROBE_BODY,
)
PROBE_TIMEOUT_S = 5.0

log = structlog.get_logger(__name__)


class Protocol(HttpToolsProtocol):
    """uvicorn's, which answers a request that offers an upgrade (`h2c`) as if it did not, as RFC 9110 (7.8) lets it.

    The parser takes what follows such a request's head for the other protocol's, so that its body is lost. Here it gets
    the head again without the offer, and then the rest. WebSocket goes on as in uvicorn.

    Of more connections than `most_connections` the one that has waited longest for a request, or for its client to take
    an answer, makes way: whoever opens many would otherwise take the files that others' requests need.
    """

    most_connections: ClassVar[int] = 512
    count_made_way: ClassVar[Callable[[], None]] = staticmethod(lambda: None)
    _waiting: ClassVar[dict["Protocol", None]] = {}  # the oldest first

    def __init__(self, *arguments: Any, **options: Any):
        super().__init__(*arguments, **options)
        self.parser = DecliningParser(self, self.parser)
        self._num_field_bytes = 0  # that came since a head ended, or something of a body came
        self._is_within_head = False
        self._answered: RequestResponseCycle | None = None  # the request that is now, or was last
        self._head_is_late: asyncio.TimerHandle | None = None
        self._answer_is_stuck: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for a head from now on; between requests uvicorn's own limit of time holds."""
        super().connection_made(transport)
        self._expect_head()
        if len(self.connections) > self.most_connections and self._waiting:
            next(iter(self._waiting))._make_way()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self.resume_writing()
        self._stop_expecting()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """Begin to count the head anew."""
        self._num_field_bytes, self._is_within_head = 0, True
        self._expect_head()
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a field of the head; those that follow a chunked body, which nobody reads here, are dropped."""
        if self._is_within_head:
            super().on_header(name, value)

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        self._num_field_bytes = 0
        super().on_body(body)

    def on_headers_complete(self) -> None:
        """Begin with the request, or queue it; of too many the rest are dropped, and the connection ends."""
        self._num_field_bytes, self._is_within_head = 0, False
        self._stop_expecting()
        super().on_headers_complete()
        if len(self.pipeline) > MOST_QUEUED:
            self.pipeline.popleft()  # the one that came last
            last, _ = self.pipeline[0]
            last.keep_alive = False

    def on_response_complete(self) -> None:
        """Wait for another request, unless some are there already, which come first."""
        super().on_response_complete()
        if not self.transport.is_closing():
            if self.pipeline:
                self.flow.pause_reading()
            self._wait()

    def pause_writing(self) -> None:
        """Give the client so long to take what was sent, unless others need its place before."""
        super().pause_writing()
        self._waiting[self] = None
        self._answer_is_stuck = self.loop.call_later(SEND_TIMEOUT_S, self._end_at_once)

    def resume_writing(self) -> None:
        """Go on."""
        super().resume_writing()
        if self._answer_is_stuck is not None:
            self._answer_is_stuck.cancel()
            self._answer_is_stuck = None
            self._waiting.pop(self, None)
            self._wait()

    def data_received(self, data: bytes) -> None:
        """Read on, but for a head, or what follows a body, that is too long: nothing else bounds them."""
        self._num_field_bytes += len(data)
        super().data_received(data)
        if self._num_field_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            if self._is_within_head:  # else the answer may be under way
                self.transport.write(HEAD_TOO_LARGE)
            self.transport.close()

    def _wait(self) -> None:
        if self.cycle is None or self.cycle.response_complete:  # else a request is under way, before the one that comes
            self._waiting[self] = None

    def _make_way(self) -> None:
        self.count_made_way()
        self._stop_expecting()
        self._end_at_once()  # who does not read its answer would hold up the end

    def _end_at_once(self) -> None:
        if self._answered is not None:
            self._answered.disconnected = True  # before the transport lets it write on
        self.transport.abort()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGIApp) -> None:
        self._answered = cycle
        super()._start_asgi_task(cycle, app)

    def _expect_head(self) -> None:
        self._stop_expecting()
        self._wait()
        self._head_is_late = self.loop.call_later(HEAD_TIMEOUT_S, self._end_late_head)

    def _stop_expecting(self) -> None:
        self._waiting.pop(self, None)
        if self._head_is_late is not None:
            self._head_is_late.cancel()

    def _end_late_head(self) -> None:
        if self._is_within_head:  # who has said nothing waits for no answer
            self.transport.write(HEAD_TOO_LATE)
        self.transport.close()

    def declines(self) -> bool:
        """Whether the head that was just read offers an upgrade that is not taken."""
        return self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT" and not super()._should_upgrade()

    def head_without_offer(self) -> bytes:
        """The head that was just read, less the offer of an upgrade."""
        lines = [b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())]
        for name, value in self.headers:
            if name == b"connection":
                value = b", ".join(token for token in value.split(b",") if token.strip().lower() not in OFFER)
            if name not in OFFER:
                lines.append(name + b": " + value)
        return b"\r\n".join(lines) + b"\r\n\r\n"

    def _should_upgrade(self) -> bool:
        # Where it says yes, uvicorn does not begin with the request: here, because its head comes again.
        return self.declines() or super()._should_upgrade()


class DecliningParser:
    """httptools' parser; where a request offers an upgrade that its protocol declines, it reads on in HTTP/1.1."""

    def __init__(self, protocol: Protocol, parser: httptools.HttpRequestParser):
        self._protocol = protocol
        self._parser = parser
        self.should_upgrade = parser.should_upgrade
        self.should_keep_alive = parser.should_keep_alive
        self.get_method = parser.get_method
        self.get_http_version = parser.get_http_version

    def feed_data(self, data: bytes) -> None:
        """Parse on; raises as httptools' own does."""
        while data:
            try:
                return self._parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                if not self._protocol.declines():
                    raise
                (num_read,) = upgrade.args
                self._parser.feed_data(self._protocol.head_without_offer())
                data = data[num_read:]


def usable_protocol() -> type[HttpToolsProtocol]:
    """`Protocol`, or uvicorn's own where this release of uvicorn lacks the private parts that `Protocol` overrides."""
    try:
        is_usable = asyncio.run(_answers_an_offer(Protocol))
    except Exception as error:  # whatever another release makes of it
        log.warning("offers of an upgrade are left to uvicorn", uvicorn=uvicorn.__version__, error=repr(error))
        return HttpToolsProtocol
    if not is_usable:
        log.warning("offers of an upgrade are left to uvicorn", uvicorn=uvicorn.__version__)
    return Protocol if is_usable else HttpToolsProtocol


async def _answers_an_offer(protocol_class: type[HttpToolsProtocol]) -> bool:
    """Whether a request with a body and an offer of HTTP/2 reaches the application whole."""
    body = asyncio.get_running_loop().create_future()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        body.set_result(await Request(scope, receive).body())
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    config = uvicorn.Config(app, log_config=None, access_log=False, timeout_keep_alive=0)
    protocol = protocol_class(config, ServerState(), {})
    protocol.connection_made(NoTransport())
    try:
        protocol.data_received(PROBE)
        if protocol.cycle is None:  # the request has not begun, and nothing will begin it
            return False
        async with asyncio.timeout(PROBE_TIMEOUT_S):
            return await body == PROBE_BODY
    finally:
        protocol.connection_lost(None)


class NoTransport(asyncio.Transport):
    """A connection to nobody."""

    def write(self, data: bytes) -> None:
        """Drop it."""

    def is_closing(self) -> bool:
        return False

    def close(self) -> None:
        """There is nothing to close."""

    def pause_reading(self) -> None:
        """There is nothing to read."""

    def resume_reading(self) -> None:
        """There is nothing to read."""
