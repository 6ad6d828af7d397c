"""What a new user types, and how long it takes, by each way that the README shows, before a service that runs.

`make run` in one terminal, `python -m benchmarks.first_steps` in another. The code is the README's own, up to the first
clips that are classified; the adapters that it makes have names of their own, and are deleted.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
ADDRESS = "http://127.0.0.1:8000"
NAME = "first-steps"


@dataclass(frozen=True)
class Way:
    """A section of the README, and the command that runs its code out of a file, or None where that is not here."""

    name: str
    title: str
    language: str
    adapter: str
    last: str  # the first block that holds this is the last
    command: Callable[[Path], list[str] | None]


def _node(script: Path) -> list[str] | None:
    node = shutil.which("node")
    return node and [node, "--no-warnings", str(script)]


WAYS = (
    Way("command line", "The command line", "bash", "garden", "classify", lambda script: ["bash", "-eu", str(script)]),
    Way("Python", "Walkthrough in Python", "python", "yard", "classify", lambda script: [sys.executable, str(script)]),
    Way("JavaScript", "Walkthrough in JavaScript", "js", "barn", "classify", _node),
    Way("curl", "Walkthrough", "bash", "farm", "/classify", lambda script: ["bash", "-eu", str(script)]),
)


def code(way: Way) -> str:
    """The README's code for a way, up to the first classification."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    section = re.search(rf"^## {way.title}$(.*?)^## ", text, re.DOTALL | re.MULTILINE)[1]
    blocks = re.findall(rf"^```{way.language}\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)
    end = next(number for number, block in enumerate(blocks, 1) if way.last in block)
    if way.name != "command line":
        return "".join(blocks[:end])
    lines = "".join(blocks[:end]).splitlines(keepends=True)
    return "".join(lines[: next(number for number, line in enumerate(lines, 1) if way.last in line)])


def count_lines(text: str) -> int:
    """Lines that say something."""
    return sum(bool(line.strip()) and not line.lstrip().startswith(("#", "//")) for line in text.splitlines())


def seconds(way: Way, address: str) -> float | None:
    """How long its code runs; None where what runs it is not here."""
    text = code(way).replace(ADDRESS, address).replace("./client/js", (ROOT / "client" / "js").as_uri())
    text = re.sub(rf"\b{way.adapter}\b", NAME, text)
    with tempfile.TemporaryDirectory() as directory:
        text = text.replace("/tmp/", f"{directory}/")
        script = Path(directory) / {"js": "steps.mjs", "python": "steps.py", "bash": "steps.sh"}[way.language]
        if way.name == "command line":
            text = f'earshot() {{ {sys.executable} -m earshot_client "$@"; }}\n{text}'
        script.write_text(text, encoding="utf-8")
        command = way.command(script)
        if command is None:
            return None
        environment = os.environ | {"PYTHONPATH": str(ROOT / "client"), "EARSHOT_URL": address}
        start = time.perf_counter()
        ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
        took = time.perf_counter() - start
    if ran.returncode != 0:
        raise SystemExit(f"{way.name} ended with status {ran.returncode}:\n{ran.stderr}")
    return took


def delete(address: str) -> None:
    """Delete the adapter that a way has made."""
    key = os.environ.get("EARSHOT_API_KEY")
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    request = urllib.request.Request(f"{address}/adapters/{NAME}", method="DELETE", headers=headers)
    urllib.request.urlopen(request, timeout=60).close()


def main() -> None:
    """Print a line for each way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default=os.environ.get("EARSHOT_URL", ADDRESS), help="of the service")
    address = parser.parse_args().url.rstrip("/")
    print("| way | lines to type | to the first answers |\n|---|---|---|")
    print("| page | 0 | as long as dropping a folder takes, and a job |")
    for way in WAYS:
        took = seconds(way, address)
        print(f"| {way.name} | {count_lines(code(way))} | {'not here' if took is None else f'{took:.1f} s'} |")
        if took is not None:
            delete(address)


if __name__ == "__main__":
    main()
