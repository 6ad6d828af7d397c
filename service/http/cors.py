"""Calls from pages of other origins (CORS), which browsers make only where this service allows them."""

from collections.abc import Collection

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE")
TAKEN = ("Authorization", "X-API-Key", "Idempotency-Key", "If-None-Match", "Last-Event-ID", "X-Request-ID")
SHOWN = ("Location", "Retry-After", "X-Request-ID", "ETag", "Content-Disposition", "WWW-Authenticate", "Allow")


class Cors(CORSMiddleware):
    """Starlette's, with this interface's methods and headers. Keys are headers, so no page may send cookies."""

    def __init__(self, app: ASGIApp, *, origins: Collection[str]):
        super().__init__(app, allow_origins=origins, allow_methods=METHODS, allow_headers=TAKEN, expose_headers=SHOWN)
