"""The launcher of `make run`: everything ready, then everything gone."""

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.stack import ROOT, free_port, wait_for

END_S = 5.0
READY_S = 180


def processes_of(directory):
    """Ids and commands of all processes that were started with this data directory."""
    marker = f"EARSHOT_DATA_DIR={directory}\0".encode()
    found = {}
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit():
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                # Redis writes its title over its environment; the title names its socket.
                if marker in (entry / "environ").read_bytes() or f"unixsocket:{directory}" in command:
                    found[int(entry.name)] = command
        except OSError:
            continue
    return found


@contextmanager
def launched(directory, model):
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("EARSHOT_", "REDIS_"))}
    environment |= {"EARSHOT_DATA_DIR": str(directory), "EARSHOT_MODEL": str(model), "OMP_NUM_THREADS": "1"}
    environment |= {"EARSHOT_PORT": str(free_port()), "EARSHOT_BATCH_WINDOWS": "1"}
    command = [sys.executable, "-m", "service.run"]
    with open(directory / "said", "w+") as said:
        launcher = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=said, stderr=subprocess.DEVNULL)
        try:
            wait_for(lambda: "listens on http://127.0.0.1:" in (directory / "said").read_text(), READY_S)
            yield launcher
        finally:
            launcher.send_signal(signal.SIGTERM)
            launcher.wait(2 * END_S)


@pytest.mark.slow
@pytest.mark.parametrize(("accident", "status"), [("Ctrl-C", 0), ("-m worker ", 1)])
def test_nothing_is_left(tmp_path, model, accident, status):
    with launched(tmp_path, model) as launcher:
        commands = processes_of(tmp_path)
        for part in ("redis-server", "-m worker ", "-m service "):
            assert any(part in command for command in commands.values())
        started_at = time.monotonic()
        if accident == "Ctrl-C":
            launcher.send_signal(signal.SIGINT)
        else:
            os.kill(next(pid for pid, command in commands.items() if accident in command), signal.SIGKILL)
        assert launcher.wait(2 * END_S) == status
        assert time.monotonic() - started_at < END_S
        assert processes_of(tmp_path) == {}
