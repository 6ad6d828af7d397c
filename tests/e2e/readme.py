"""The README's own text, run as a reader would run it."""

import os
import re
import subprocess
import sys

from tests.e2e.stack import ROOT

ADDRESS = "http://127.0.0.1:8000"
TIMEOUT_S = 600
# The command and the interpreter as they are in this checkout, without an installation.
COMMAND = f"""
earshot() {{ PYTHONPATH=client {sys.executable} -m earshot_client "$@"; }}
python() {{ {sys.executable} "$@"; }}
"""


def commands(title: str, language: str = "bash") -> str:
    """The code of a section, in order."""
    section = re.search(rf"^## {title}$(.*?)^## ", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    return "\n".join(re.findall(rf"^```{language}\n(.*?)^```$", section[1], re.DOTALL | re.MULTILINE))


def run(script: str, **environment: str) -> str:
    """What the commands print, with these variables beside those of this process; a failing one fails the test."""
    ran = subprocess.run(
        ["bash", "-euxo", "pipefail", "-c", COMMAND + script],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout
