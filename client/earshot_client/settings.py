"""Where the service is and how it is spoken to, from arguments and the environment."""

from __future__ import annotations

import os
from urllib.parse import urlsplit

DEFAULT_URL = "http://127.0.0.1:8000"
CONNECT_TIMEOUT_S = 10.0


def service_url(given: str | None) -> str:
    """The URL without its last slash: the argument, or `EARSHOT_URL`, or this machine's.

    Raises:
        ValueError: it is none.
    """
    url = given or os.environ.get("EARSHOT_URL") or DEFAULT_URL
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise ValueError(f"{url!r} is no URL of a service: give one as {DEFAULT_URL}.")
    return url.rstrip("/")


def api_key(given: str | None) -> str | None:
    """The argument, or `EARSHOT_API_KEY`; None where there is none."""
    return given or os.environ.get("EARSHOT_API_KEY") or None
