"""What a process writes to its standard error, seen from outside."""

import json
import os
import pty
import subprocess
import sys

import pytest

CODE = """
import logging, sys
from jobs import logging as ours
import structlog
ours.set_up(level="info", format=sys.argv[1])
log = structlog.get_logger()
log.info("worker ready", worker="w1")
logging.getLogger("rq").warning("from a library")
secret = "a tenant's key"
try:
    1 / 0
except ZeroDivisionError:
    log.exception("failed", job="j1")
"""


def written(format, *, on_terminal):
    """What the code writes."""
    ours, theirs = pty.openpty() if on_terminal else os.pipe()
    process = subprocess.Popen([sys.executable, "-W", "error", "-c", CODE, format], stderr=theirs)
    os.close(theirs)
    text = b""
    try:
        while data := os.read(ours, 65536):
            text += data
    except OSError:  # how a terminal says that nobody writes to it any more
        pass
    os.close(ours)
    assert process.wait(60) == 0
    assert b"a tenant's key" not in text.replace(b'secret = "a tenant\'s key"', b"")
    return text.decode()


@pytest.mark.parametrize(("format", "on_terminal"), [("auto", False), ("json", False), ("json", True)])
def test_json_is_an_object_a_line(format, on_terminal):
    lines = [json.loads(line) for line in written(format, on_terminal=on_terminal).splitlines()]
    assert [line["event"] for line in lines] == ["worker ready", "from a library", "failed"]
    assert lines[0]["worker"] == "w1"
    assert "ZeroDivisionError" in lines[2]["exception"]


@pytest.mark.parametrize(("format", "on_terminal"), [("auto", True), ("console", True), ("console", False)])
def test_the_console_is_for_people(format, on_terminal):
    text = written(format, on_terminal=on_terminal)
    assert "{" not in text
    assert ("\x1b[" in text) == on_terminal
    for part in ("worker ready", "w1", "from a library", "failed", "ZeroDivisionError"):
        assert part in text


def test_a_terminal_that_is_gone_fails_nobody():
    ours, theirs = pty.openpty()
    os.close(ours)
    process = subprocess.Popen([sys.executable, "-c", CODE, "auto"], stderr=theirs)
    os.close(theirs)
    assert process.wait(60) in (0, 120)


def test_an_unknown_format_is_named(monkeypatch, capsys):
    from jobs.settings import Settings

    monkeypatch.setenv("EARSHOT_LOG_FORMAT", "xml")
    with pytest.raises(SystemExit):
        Settings.read()
    assert "log_format" in capsys.readouterr().err
