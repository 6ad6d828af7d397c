"""uvicorn's fast parser of HTTP/1.1, which an offer to go on in another protocol does not stop."""

from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# What is said to this connection alone, and with the offer goes too.
OFFER = {b"upgrade", b"http2-settings"}


class Protocol(HttpToolsProtocol):
    """uvicorn's, which answers a request that offers an upgrade (`h2c`) as if it did not, as RFC 9110 (7.8) lets it.

    The parser takes what follows such a request's head for the other protocol's, so that its body is lost. Here it gets
    the head again without the offer, and then the rest. WebSocket goes on as in uvicorn.
    """

    def __init__(self, *arguments: Any, **options: Any):
        super().__init__(*arguments, **options)
        self.parser = DecliningParser(self, self.parser)

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
