import subprocess
import sys
import time

import pytest

from local.guard import Guard, is_running

# Ends at SIGTERM and says when, or, asked for it, not at all.
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(600)"
NOTES_ITS_END = """
import pathlib, signal, sys, time
def end(*_):
    time.sleep(0.2)
    pathlib.Path(sys.argv[1]).write_text(str(time.monotonic()))
    sys.exit()
signal.signal(signal.SIGTERM, end)
print(flush=True)
time.sleep(600)
"""


@pytest.fixture
def start():
    """Start Python code in a session of its own, ready once it has said something."""
    processes = []

    def start_one(code, *arguments):
        command = [sys.executable, "-c", code, *map(str, arguments)]
        processes.append(subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True))
        processes[-1].stdout.readline()
        return processes[-1]

    yield start_one
    for process in processes:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture
def guard():
    guard = Guard()
    yield guard
    guard.process.stdin.close()
    guard.process.wait(60)


def test_the_users_of_redis_end_before_it(guard, start, tmp_path):
    for stage, name in (("redis", "last"), ("user", "first"), ("user", "second")):
        guard.watch(stage, start(NOTES_ITS_END, tmp_path / name).pid)
    guard.process.stdin.close()  # as the system does for a supervisor that was killed
    assert guard.process.wait(60) == 0
    ended_at = {name: float((tmp_path / name).read_text()) for name in ("first", "second", "last")}
    assert max(ended_at["first"], ended_at["second"]) < ended_at["last"]


def test_what_does_not_end_is_killed(guard, start):
    process = start(STUBBORN)
    guard.watch("user", process.pid)
    started_at = time.monotonic()
    guard.process.stdin.close()
    assert process.wait(60) == -9
    assert time.monotonic() - started_at > 4


def test_once_released_it_ends_nothing(guard, start):
    process = start(NOTES_ITS_END, "nowhere")
    guard.watch("user", process.pid)
    guard.release()
    assert guard.process.returncode == 0
    assert process.poll() is None


def test_a_process_that_nobody_has_waited_for_has_ended(start):
    process = start("import time; print(flush=True); time.sleep(600)")
    assert is_running(process.pid)
    process.kill()
    deadline = time.monotonic() + 60
    while is_running(process.pid):
        assert time.monotonic() < deadline
    assert process.returncode is None
    process.wait()
    assert not is_running(process.pid)
