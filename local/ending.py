"""How the processes of `make run` end: asked first, by force where they do not."""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Sequence

POLL_S = 0.05


def end(pids: Sequence[int], is_running: Callable[[int], bool], *, grace_s: float) -> None:
    """Ask processes to end, each the leader of a session, and after `grace_s` kill what is left of their sessions."""
    deadline = time.monotonic() + grace_s
    for pid in filter(is_running, pids):
        _signal(os.kill, pid, signal.SIGTERM)
    while any(is_running(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(POLL_S)
    for pid in pids:
        _signal(os.killpg, pid, signal.SIGKILL)


def _signal(send: Callable[[int, int], None], pid: int, number: int) -> None:
    # Gone, or where the system says it so, gone and not yet waited for.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        send(pid, number)
