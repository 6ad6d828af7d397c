"""A process that has loaded CLAP once and forks runners, APIs and sweeps of it, so that each may be killed at once.

What it forks runs the service's own code and nothing else, on files that kill the process before the change that `Trap`
names. One thread alone computes, since OpenMP's do not survive a fork.
"""

import array
import json
import mmap
import os
import signal
import socket
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

SOCKET, TRAP = "fork.sock", "trap"
LAYOUT = struct.Struct("<16sq")


class Trap:
    """Which sort of process is to die before which of its changes; in a file, for all processes together."""

    def __init__(self, directory: Path):
        path = directory / TRAP
        if not path.exists():
            path.write_bytes(LAYOUT.pack(b"", -1))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), LAYOUT.size)

    def arm(self, what: str, change: int) -> None:
        """Let the next process of that sort die before this change of those that come, from 0."""
        self._map[:] = LAYOUT.pack(what.encode(), change)

    def disarm(self) -> bool:
        """Let nobody die any more; whether somebody would have."""
        _, left = LAYOUT.unpack(self._map[:])
        self.arm("", -1)
        return left >= 0

    def is_time(self, what: str) -> bool:
        """Count one change of a process of that sort."""
        wanted, left = LAYOUT.unpack(self._map[:])
        if left < 0 or wanted.rstrip(b"\0").decode() != what:
            return False
        self.arm(what, left - 1)
        return left == 0


def ask(directory: Path, what: str, descriptor: int = -1, **told: Any) -> socket.socket:
    """Have a process forked; what is returned is closed at the other end when that process ends.

    Args:
        descriptor: a socket that it is given: of a runner's channel, or one that an API listens on.
    """
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(str(directory / SOCKET))
    given = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [descriptor]))] if descriptor >= 0 else []
    connection.sendmsg([json.dumps({"what": what, **told}).encode()], given)
    return connection


def pid_of(directory: Path, what: str) -> int:
    """The process of that sort that was forked last."""
    return int((directory / f"{what}.pid").read_text())


def main() -> None:
    """Load, and fork what is asked for until SIGTERM."""
    forks = loaded()
    directory = Path(os.environ["EARSHOT_DATA_DIR"])
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(directory / SOCKET))
    listener.listen(64)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # children leave no trace
    while True:
        connection, _ = listener.accept()
        text, descriptors, *_ = socket.recv_fds(connection, 4096, 1)
        told = json.loads(text)
        pid = os.fork()
        if pid == 0:
            listener.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            try:
                forks[told["what"]](told, descriptors)
            finally:
                os._exit(1)
        partial = directory / "partial.pid"
        partial.write_text(str(pid))
        partial.replace(directory / f"{told['what']}.pid")
        connection.close()  # the child's copy goes with it
        for descriptor in descriptors:
            os.close(descriptor)


def loaded() -> dict[str, Callable[[dict[str, Any], list[int]], None]]:
    """What can be forked, once everything that takes long to load is there."""
    import torch

    from adapters_store import AdapterStore, sweep
    from jobs import logging
    from service.context import Context
    from service.http.server import Server
    from service.settings import ServiceSettings
    from tests.adapters_store.killing_files import KillingFiles
    from worker import maintenance, runner
    from worker.clap_trainer import ClapTrainer
    from worker.settings import WorkerSettings

    torch.set_num_threads(1)
    settings = ServiceSettings.read()
    logging.set_up(level=settings.log_level, format=settings.log_format)
    trainer = ClapTrainer.load(WorkerSettings.read())
    open_plainly = AdapterStore.__init__

    def trapped(what: str) -> None:
        trap = Trap(settings.data_dir)

        def init(self, files, *arguments, **options) -> None:
            is_trapped = isinstance(files, KillingFiles)
            files = files if is_trapped else KillingFiles(files, lambda: trap.is_time(what))
            open_plainly(self, files, *arguments, **options)

        AdapterStore.__init__ = init

    def run_runner(told: dict[str, Any], descriptors: list[int]) -> None:
        trapped("runner")
        runner.main(lambda _: trainer, descriptors[0])

    def run_api(told: dict[str, Any], descriptors: list[int]) -> None:
        trapped("api")
        server = Server(Context.open(settings, clap=trainer.clap), [socket.socket(fileno=descriptors[0])])
        server.serve_until_ended()

    def run_sweep(told: dict[str, Any], descriptors: list[int]) -> None:
        trapped("sweep")
        sweep.GRACE_S = -1.0
        maintenance._swept(settings.store_url_or_local)
        os._exit(0)

    return {"runner": run_runner, "api": run_api, "sweep": run_sweep}


if __name__ == "__main__":
    sys.exit(main())
