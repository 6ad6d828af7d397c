"""The launcher of `make run`: everything ready, then everything gone, however it ends."""

import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx2
import pytest

from tests.e2e.sounds import clips
from tests.e2e.stack import ROOT, answers, free_port, wait_for

END_S = 5.0
READY_S = 180
# For what a busy machine may take longer for than a quiet one.
PATIENCE_S = 30.0
COMMAND = [sys.executable, "-m", "local"]
STARTED = ("redis-server", "-m worker ", "-m service ", "-m worker.runner ", "-m local.guard ")


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


def environment_of(directory, model, port, **settings):
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("EARSHOT_", "REDIS_"))}
    settings = {"data_dir": directory, "model": model, "port": port, "batch_windows": 1, **settings}
    return kept | {"OMP_NUM_THREADS": "1"} | {f"EARSHOT_{name.upper()}": str(settings[name]) for name in settings}


@contextmanager
def launched(directory, model, *, command=COMMAND, port=None, **settings):
    """The launcher, ready; it ends with the block."""
    environment = environment_of(directory, model, free_port() if port is None else port, **settings)
    with open(directory / "said", "w+") as said:
        launcher = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=said, stderr=subprocess.DEVNULL)
        try:
            wait_for(lambda: address_in(directory) is not None or launcher.poll() is not None, READY_S)
            assert launcher.poll() is None
            yield launcher
        finally:
            launcher.send_signal(signal.SIGTERM)
            launcher.wait(PATIENCE_S)
            for pid in processes_of(directory):  # a test that fails should hold up no other
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def address_in(directory):
    """Where the launcher says that it listens; None before it does."""
    found = re.search(r"listens on (http://\S+)", (directory / "said").read_text())
    return found and found[1]


def is_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return True
    return False


@pytest.mark.slow
@pytest.mark.parametrize(("accident", "status"), [("Ctrl-C", 0), ("-m worker ", 1), ("-m local.guard ", 1)])
def test_nothing_is_left(tmp_path, model, accident, status):
    with launched(tmp_path, model) as launcher:
        commands = processes_of(tmp_path)
        for part in STARTED:
            assert any(part in command for command in commands.values())
        started_at = time.monotonic()
        if accident == "Ctrl-C":
            launcher.send_signal(signal.SIGINT)
        else:
            os.kill(next(pid for pid, command in commands.items() if accident in command), signal.SIGKILL)
        assert launcher.wait(2 * END_S) == status
        assert time.monotonic() - started_at < END_S
        assert processes_of(tmp_path) == {}


@pytest.mark.slow
def test_a_second_ctrl_c_interrupts_nothing(tmp_path, model):
    with launched(tmp_path, model) as launcher:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP) * 20:
            launcher.send_signal(number)
            time.sleep(0.002)
        assert launcher.wait(PATIENCE_S) == 0
        assert processes_of(tmp_path) == {}


@pytest.mark.slow
def test_a_killed_launcher_takes_everything_along_and_its_job_goes_on_afterwards(tmp_path, model):
    port = free_port()
    files = [("clips", clip) for label in ("rain", "rooster") for clip in clips(label)[:3]]
    form = {"name": "farm", "labels": ["rain"] * 3 + ["rooster"] * 3, "epochs": 1000}
    with launched(tmp_path, model, port=port) as launcher:
        address = address_in(tmp_path)
        job = httpx2.post(f"{address}/adapt", files=files, data=form, timeout=60).json()
        wait_for(lambda: job_at(address, job["id"])["state"] == "running", PATIENCE_S)
        launcher.kill()
        launcher.wait()
        killed_at = time.monotonic()
        wait_for(lambda: processes_of(tmp_path) == {} and is_free(port), PATIENCE_S)
        assert time.monotonic() - killed_at < 2 * END_S
    with launched(tmp_path, model, port=port):
        wait_for(lambda: job_at(address, job["id"])["state"] == "running", 3 * PATIENCE_S)
        assert httpx2.delete(f"{address}/jobs/{job['id']}").status_code in (200, 202, 204)


def job_at(address, job_id):
    return httpx2.get(f"{address}/jobs/{job_id}", timeout=60).json()


@pytest.mark.slow
def test_the_launcher_ends_with_make(tmp_path, model):
    # As make does: a process in between, which somebody kills.
    parent = [sys.executable, "-c", f"import subprocess; subprocess.run({[*COMMAND, '--with-parent']})"]
    with launched(tmp_path, model, command=parent) as launcher:
        launcher.kill()
        launcher.wait()
        wait_for(lambda: processes_of(tmp_path) == {}, PATIENCE_S)


class Terminal:
    """A launcher on a terminal of its own, and what appears there."""

    def __init__(self, environment):
        self.shown = ""
        self._is_closed = False
        self._ours, theirs = pty.openpty()
        self.launcher = subprocess.Popen(
            [sys.executable, "-c", "import os, sys, fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"
             f"os.execv(sys.executable, {COMMAND})"],
            cwd=ROOT, env=environment, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
        )  # fmt: skip
        os.close(theirs)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def close(self):
        """Close the window: the system does so once nobody reads from it any more."""
        self._is_closed = True
        self._reader.join()
        os.close(self._ours)

    def _read(self):
        while not self._is_closed:
            if select.select([self._ours], [], [], 0.1)[0]:
                self.shown += os.read(self._ours, 65536).decode(errors="replace")


@pytest.mark.slow
def test_a_terminal_shows_lines_for_people_and_ends_all_when_it_is_closed(tmp_path, model):
    terminal = Terminal(environment_of(tmp_path, model, free_port()))
    try:
        wait_for(lambda: "listens on http" in terminal.shown, READY_S)
        before, _, after = terminal.shown.partition("earshot listens on")
        assert "earshot starts Redis, a worker and the API on http://127.0.0.1:" in before
        assert "this takes about" in before
        assert re.search(r"ready in \d+ s", after)
        assert "worker ready" in terminal.shown
        assert '{"' not in terminal.shown
    finally:
        terminal.close()
        status = terminal.launcher.wait(PATIENCE_S)
    assert status in (0, 120)  # the second: what Python makes of a last line that nobody can read
    wait_for(lambda: processes_of(tmp_path) == {}, PATIENCE_S)


@pytest.mark.slow
def test_elsewhere_logs_are_json_and_the_launcher_says_one_line(tmp_path, model):
    with launched(tmp_path, model, port=0) as launcher:
        # Port 0 is a free one, and the line names it.
        assert answers(f"{address_in(tmp_path)}/readyz")
        launcher.send_signal(signal.SIGHUP)
        assert launcher.wait(PATIENCE_S) == 0
    assert len((tmp_path / "said").read_text().splitlines()) == 1


@pytest.mark.parametrize("module", ["local", "service"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0"])
def test_a_port_in_use_is_named_before_anything_is_loaded(tmp_path, module, host):
    with socket.create_server(("127.0.0.1", 0)) as other:
        # As another earshot would: whoever asks it for its readiness is told that all is well.
        threading.Thread(target=answer_all, args=(other,), daemon=True).start()
        port = other.getsockname()[1]
        environment = environment_of(tmp_path, "no/such/model/at/all", port, host=host)
        command = [sys.executable, "-X", "importtime", "-m", module]
        ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 1
    assert f"port {port} of {host} is in use" in ran.stderr
    assert "EARSHOT_PORT=" in ran.stderr
    assert "listens" not in ran.stdout
    assert "| torch" not in ran.stderr and "|   torch" not in ran.stderr
    assert list(tmp_path.iterdir()) == []


def answer_all(listening):
    with suppress(OSError):
        while True:
            connection, _ = listening.accept()
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
            connection.close()


@pytest.mark.slow
def test_it_says_that_a_model_is_fetched_and_ends_where_that_fails(tmp_path):
    environment = environment_of(tmp_path / "data", "nobody/no-such-clap", free_port())
    environment |= {"HF_HOME": str(tmp_path / "hub"), "HF_ENDPOINT": "http://127.0.0.1:9", "HF_HUB_OFFLINE": "0"}
    ran = subprocess.run(COMMAND, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=READY_S)
    assert "nobody/no-such-clap is fetched from the Hugging Face hub first, 600 MB or so" in ran.stdout
    assert str(tmp_path / "hub") in ran.stdout
    assert "listens" not in ran.stdout
    assert re.search("(service|worker) ended with status 1", ran.stderr)
    assert ran.returncode == 1
    assert processes_of(tmp_path / "data") == {}


@pytest.mark.slow
def test_it_may_be_stopped_while_all_loads(tmp_path, model):
    environment = environment_of(tmp_path, model, free_port())
    launcher = subprocess.Popen(COMMAND, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL)
    wait_for(lambda: any("-m service " in command for command in processes_of(tmp_path).values()), PATIENCE_S)
    launcher.send_signal(signal.SIGINT)
    assert launcher.wait(PATIENCE_S) == 0
    assert processes_of(tmp_path) == {}


@pytest.mark.slow
def test_a_process_that_takes_the_port_while_all_loads_is_not_taken_for_the_api(tmp_path, model):
    port = free_port()
    environment = environment_of(tmp_path, model, port)
    launcher = subprocess.Popen(
        COMMAND, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        wait_for(lambda: any("-m service " in command for command in processes_of(tmp_path).values()), PATIENCE_S)
        with socket.create_server(("127.0.0.1", port)) as other:
            threading.Thread(target=answer_all, args=(other,), daemon=True).start()
            said, _ = launcher.communicate(timeout=READY_S)
        assert launcher.returncode == 1
        assert "listens" not in said
        assert processes_of(tmp_path) == {}
    finally:
        launcher.terminate()
        launcher.communicate(timeout=PATIENCE_S)
