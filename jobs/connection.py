"""Connections to Redis that bridge a restart of the server, and where the private one listens."""

import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

from redis import Redis
from redis.backoff import ExponentialBackoff
from redis.exceptions import ConnectionError, TimeoutError
from redis.retry import Retry

RETRY_FIRST_S = 0.05
RETRY_CAP_S = 1.0
CONNECT_TIMEOUT_S = 5.0
SOCKET_NAME = "redis.sock"
SOCKET_NOTE = "redis.directory"
NUM_TRIES = 10
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
    """Its Unix socket; where the data directory's path is too long for one, in a directory that is this user's alone.

    That one has a name that cannot be guessed, which the data directory keeps: who could make it beforehand, or write
    to it, would answer in the place of Redis.
    """
    path = data_dir.resolve() / SOCKET_NAME
    if len(str(path).encode()) <= MAX_SOCKET_PATH_BYTES:
        return path
    note = data_dir.resolve() / SOCKET_NOTE
    for _ in range(NUM_TRIES):
        with suppress(FileNotFoundError):
            directory = Path(note.read_text())
            if _is_ours(directory):
                return directory / SOCKET_NAME
            note.unlink()
        _note_new_directory(note)
    raise OSError(f"{note} names no directory that can be used: remove it")


def _note_new_directory(note: Path) -> None:
    """Make a directory of mode 0700 and note it, unless another process was first."""
    note.parent.mkdir(parents=True, exist_ok=True)
    directory = tempfile.mkdtemp(prefix="earshot-")
    draft = note.with_name(Path(directory).name)
    draft.write_text(directory)
    try:
        os.link(draft, note)  # at once and whole
    except FileExistsError:
        os.rmdir(directory)
    finally:
        draft.unlink()


def _is_ours(directory: Path) -> bool:
    try:
        status = directory.lstat()
    except FileNotFoundError:  # as after a boot that empties /tmp
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and not status.st_mode & 0o077
