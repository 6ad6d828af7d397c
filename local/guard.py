"""The guard of `make run`: ends the other processes when the supervisor was killed and could not do it itself.

The supervisor alone holds the other end of its standard input and writes there whom it starts. However the supervisor
ends, the system closes that end, on every system alike.
"""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from local.ending import end

Stage = Literal["user", "redis"]
# Longer than a worker needs to hand its job back, which takes Redis; together under ten seconds.
GRACE_S: dict[Stage, float] = {"user": 5.0, "redis": 2.0}
RELEASED = "released"


class Guard:
    """The guard as the supervisor sees it."""

    def __init__(self) -> None:
        # A session of its own, out of reach of whatever ends the supervisor's.
        self.process = subprocess.Popen(
            [sys.executable, "-m", "local.guard"], stdin=subprocess.PIPE, text=True, start_new_session=True
        )

    def watch(self, stage: Stage, pid: int) -> None:
        """Make sure of a process, the leader of a session; those of stage "user" end before those of "redis"."""
        self._write(f"{stage} {pid}")

    def release(self) -> None:
        """Let the guard go: everything has ended."""
        self._write(RELEASED)
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.wait()

    def _write(self, line: str) -> None:
        with contextlib.suppress(BrokenPipeError):  # it has died, which the supervisor will notice
            self.process.stdin.write(f"{line}\n")
            self.process.stdin.flush()


def guard(lines: Iterable[str]) -> None:
    """Read what is written until it ends; unless that is a release, end every process it names."""
    pids: dict[Stage, list[int]] = {stage: [] for stage in GRACE_S}
    for line in lines:
        if line.strip() == RELEASED:
            return
        stage, pid = line.split()
        pids[stage].append(int(pid))
    for stage, grace_s in GRACE_S.items():
        end(pids[stage], is_running, grace_s=grace_s)


def is_running(pid: int) -> bool:
    """Whether a process, not a child of ours, has not ended; one that nobody has waited for yet has."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, PermissionError):  # the second: another user's, who was given the number since
        return False
    except FileNotFoundError:
        return not Path("/proc/self").exists()  # a system without /proc


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the supervisor decides, and this one outlives it
    guard(sys.stdin)
