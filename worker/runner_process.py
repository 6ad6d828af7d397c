"""The runner as the worker sees it: a process of its own that holds CLAP and can be killed and started again.

The worker starts it as a fresh interpreter, never by a fork: a forked child can use neither CUDA nor the threads of
OpenMP, and the worker itself stays without torch, small, and quick to answer signals and heartbeats.
"""

import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from worker.channel import Channel, ChannelClosed

RUNNER_COMMAND = (sys.executable, "-m", "worker.runner")
ENVIRONMENT = {
    # Threads of OpenMP spin while they wait for each other; where the API has the same cores, that takes ten times as
    # long. Those of OpenBLAS, of which numpy and scipy bring one each, spin for 2^26 cycles after their last work.
    "OMP_WAIT_POLICY": "PASSIVE",
    "OPENBLAS_THREAD_TIMEOUT": "4",
}
PROJECT_DIR = Path(__file__).resolve().parent.parent


class RunnerDied(Exception):
    """The runner ended without being asked to, with this exit code (negative: a signal)."""

    def __init__(self, exit_code: int | None):
        super().__init__(f"the runner ended with exit code {exit_code}")
        self.exit_code = exit_code


class RunnerProcess:
    """Starts the runner, talks with it, and kills it when it does not listen."""

    def __init__(self, command: Sequence[str] = RUNNER_COMMAND):
        self.command = command
        self._process: subprocess.Popen | None = None
        self._channel: Channel | None = None

    @property
    def pid(self) -> int | None:
        """The id of the running process."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start the process unless it runs; it loads the model and then says that it is ready."""
        if self._process is not None and self._process.poll() is None:
            return
        self.kill()
        ours, theirs = socket.socketpair()
        paths = [str(PROJECT_DIR), *filter(None, [os.environ.get("PYTHONPATH")])]
        self._process = subprocess.Popen(
            [*self.command, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            # Out of the terminal's reach: on Ctrl-C the worker decides when the runner stops.
            start_new_session=True,
            env=ENVIRONMENT | os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
        )
        theirs.close()
        self._channel = Channel(ours)

    def send(self, message: dict[str, Any]) -> None:
        """Send a command; raises RunnerDied."""
        try:
            self._open_channel().send(message)
        except ChannelClosed as error:
            raise self._died() from error

    def receive(self, *, timeout_s: float) -> dict[str, Any] | None:
        """The runner's next message, or None where there is none in time; raises RunnerDied."""
        try:
            return self._open_channel().receive(timeout_s=timeout_s)
        except ChannelClosed as error:
            raise self._died() from error

    def kill(self) -> None:
        """End the process at once, if it runs."""
        if self._channel is not None:
            self._channel.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._process = self._channel = None

    def _open_channel(self) -> Channel:
        if self._channel is None:
            raise ChannelClosed
        return self._channel

    def _died(self) -> RunnerDied:
        exit_code = None
        if self._process is not None:
            self._process.kill()
            exit_code = self._process.wait()
        self.kill()
        return RunnerDied(exit_code)
