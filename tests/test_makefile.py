"""The Makefile's own work, with a Python that only notes what it is asked for: which one is taken, and what is said."""

import os
import pty
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# Answers as a Python would: whether it is of use (`-c`), makes an environment (`-m venv`), has a pip that notes calls.
STUB = """#!/bin/sh
case "$1 $2" in
    "--version "*) echo "Python of $0";;
    "-c "*) exit {status};;
    "-m venv") mkdir -p "$4/bin" && cp "$0" "$4/bin/python";;
    "-m pip") echo "pip $*";;
    "-m "*) echo "runs $*";;
esac
"""


@pytest.fixture
def clone(tmp_path):
    """What make needs of a clone, and a PATH with nothing but tools."""
    clone = tmp_path / "clone"
    shutil.copytree(ROOT / "requirements", clone / "requirements")
    shutil.copy(ROOT / "Makefile", clone)
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("cp", "grep", "make", "mkdir", "sh", "touch"):
        (tools / name).symlink_to(shutil.which(name))
    return clone


def add_python(clone, name, *, status):
    """A command on PATH; with a status other than 0 it is of no use."""
    path = clone.parent / "tools" / name
    path.write_text(STUB.format(status=status))
    path.chmod(0o755)


def make(clone, *arguments, on_terminal=False):
    """Exit status and what is said."""
    ours, theirs = pty.openpty() if on_terminal else os.pipe()
    environment = {"PATH": str(clone.parent / "tools")}
    process = subprocess.Popen(["make", *arguments], cwd=clone, env=environment, stdout=theirs, stderr=theirs)
    os.close(theirs)
    said = b""
    try:
        while data := os.read(ours, 65536):
            said += data
    except OSError:  # how a terminal says that nobody writes to it any more
        pass
    os.close(ours)
    return process.wait(60), said.decode()


@pytest.mark.parametrize(
    ("statuses", "taken"),
    [
        ({"python3": 0}, "python3"),
        ({"python3.13": 0, "python3": 1}, "python3.13"),
        ({"python3.13": 0, "python3.12": 0, "python3": 0}, "python3.12"),
        ({"python3.13": 0, "python3.11": 0}, "python3.11"),  # the one for which a wheel brings Redis
        ({"python3.11": 127, "python3.12": 127, "python3.13": 0}, "python3.13"),  # commands that exist and do not run
    ],
)
def test_a_python_that_is_of_use_is_taken(clone, statuses, taken):
    for name, status in statuses.items():
        add_python(clone, name, status=status)
    status, said = make(clone, "setup")
    assert status == 0, said
    assert f"making .venv with {taken}, " in said


@pytest.mark.parametrize("named", [None, "python3.10"])
def test_where_there_is_none_it_says_what_is_needed(clone, named):
    add_python(clone, "python3.10", status=1)
    status, said = make(clone, "run", *([f"PYTHON={named}"] if named else []))
    assert status != 0
    assert "earshot needs Python 3.11, 3.12 or 3.13 with venv" in said
    assert "PYTHON=/path/to/" in said
    assert (f"{named} is not that" in said) == (named is not None)
    assert not (clone / ".venv").exists()


@pytest.mark.parametrize(
    ("version", "status"), [((3, 10, 13), 1), ((3, 11, 0), 0), ((3, 12, 1), 0), ((3, 13, 9), 0), ((3, 14, 0), 1)]
)
def test_the_releases_that_are_of_use(monkeypatch, version, status):
    question = re.search(r"^IS_USABLE := (.*)$", (ROOT / "Makefile").read_text(), re.M)[1]
    monkeypatch.setattr(sys, "version_info", version)
    with pytest.raises(SystemExit) as asked:
        exec(question, {})
    assert int(asked.value.code) == status


def test_the_project_asks_for_the_same_releases():
    assert 'requires-python = ">=3.11,<3.14"' in (ROOT / "pyproject.toml").read_text()


@pytest.mark.parametrize("on_terminal", [False, True])
def test_pip_shows_that_it_works(clone, on_terminal):
    add_python(clone, "python3.11", status=0)
    status, said = make(clone, "setup", on_terminal=on_terminal)
    assert status == 0, said
    lines = said.splitlines()
    calls = [number for number, line in enumerate(lines) if line.startswith("pip -m pip install")]
    assert len(calls) == 2
    for number in calls:
        assert lines[number - 1].startswith("earshot: installing")
        assert ("--quiet" in lines[number]) != on_terminal


def test_an_environment_that_works_is_kept(clone):
    add_python(clone, "python3.11", status=0)
    assert make(clone, "setup")[0] == 0
    (clone / ".venv/mine").touch()
    (clone / "requirements/runtime.txt").touch()
    (clone.parent / "tools/python3.11").unlink()
    status, said = make(clone, "run")
    assert status == 0, said
    assert (clone / ".venv/mine").exists()
    assert "runs -m local" in said
