"""Connections to Redis that bridge a restart of the server, and where the private one listens."""

import tempfile
import zlib
from pathlib import Path

from redis import Redis
from redis.backoff import ExponentialBackoff
from redis.exceptions import ConnectionError, TimeoutError
from redis.retry import Retry

RETRY_FIRST_S = 0.05
RETRY_CAP_S = 1.0
CONNECT_TIMEOUT_S = 5.0
SOCKET_NAME = "redis.sock"
MAX_SOCKET_PATH_BYTES = 100  # the kernel takes 107


def connect(url: str, *, num_retries: int = 3, socket_timeout_s: float | None = 10.0) -> Redis:
    """A client for `url` that asks again, with growing pauses, while Redis does not answer.

    Of a Redis that refuses, three retries take half a second, which a waiting caller can bear; forty take most of a
    minute, which a restarting server needs. One that hangs holds every try for `socket_timeout_s`. Answers are bytes,
    as RQ wants them.
    """
    return Redis.from_url(
        url,
        retry=Retry(ExponentialBackoff(cap=RETRY_CAP_S, base=RETRY_FIRST_S), num_retries),
        retry_on_error=[ConnectionError, TimeoutError],
        socket_connect_timeout=CONNECT_TIMEOUT_S,
        socket_timeout=socket_timeout_s,
        health_check_interval=30,
    )


def private_url(data_dir: Path) -> str:
    """The URL under which the private Redis of a data directory listens, whether or not it runs."""
    return f"unix://{private_socket(data_dir)}"


def private_socket(data_dir: Path) -> Path:
    """Its Unix socket; in the directory for temporary files where the data directory's path is too long for one."""
    path = data_dir.resolve() / SOCKET_NAME
    if len(str(path).encode()) <= MAX_SOCKET_PATH_BYTES:
        return path
    return Path(tempfile.gettempdir()) / f"earshot-{zlib.crc32(str(path).encode()):08x}.sock"
