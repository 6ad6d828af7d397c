"""The command in a process of its own, of the same client that is tested here."""

import os
import subprocess
import sys
from pathlib import Path

import earshot_client

HERE = Path(earshot_client.__file__).parents[1]
TIMEOUT_S = 180


def run(*arguments, **environment):
    """Run Python with these arguments, the client at hand."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("EARSHOT_")}
    path = os.pathsep.join([*filter(None, [environment.pop("before", None)]), str(HERE)])
    command = [sys.executable, *map(str, arguments)]
    variables = kept | {"PYTHONPATH": path, "NO_COLOR": "1", **environment}
    return subprocess.run(command, env=variables, capture_output=True, text=True, timeout=TIMEOUT_S)


def earshot(*arguments, url="http://127.0.0.1:9", **environment):
    """Run the command; `before` is a folder whose modules come before all others."""
    return run("-m", "earshot_client", *arguments, EARSHOT_URL=url, **environment)
