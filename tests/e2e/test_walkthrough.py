"""The README's walkthroughs, from the README's own text, which leave nothing behind that git would show."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from tests.e2e.readme import ADDRESS, commands, run
from tests.e2e.stack import ROOT

NODE_MAJOR = 20


def shown_by_git() -> set[str]:
    """Files that git neither keeps nor ignores."""
    if not (ROOT / ".git").exists():
        return set()
    listed = ["git", "-c", f"safe.directory={ROOT}", "ls-files", "--others", "--exclude-standard"]
    return set(subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines())


@pytest.fixture(autouse=True)
def nothing_left():
    before = shown_by_git()
    yield
    assert shown_by_git() <= before


@pytest.mark.slow
def test_the_walkthrough(stack, tmp_path):
    address = stack.apis[0].address
    script = commands("Walkthrough").replace(ADDRESS, address).replace("/tmp/", f"{tmp_path}/")
    assert "/adapt" in script
    said = run(script)
    assert "urn:earshot:problem" not in said, said
    assert '"state": "failed"' not in said, said
    farm = httpx2.get(f"{address}/adapters/farm").json()
    assert (farm["current"], farm["versions"]) == (1, [1, 2, 3, 4])
    assert len(farm["adapter"]["labels"]) == 5
    job = httpx2.get(f"{address}/jobs").json()["jobs"][0]["id"]
    said = run(f"job={job}\n" + commands("Undo, formats, limits").replace(ADDRESS, address))
    assert "urn:earshot:problem" not in said, said
    assert httpx2.get(f"{address}/adapters/farm").status_code == 404


@pytest.mark.slow
def test_the_command_line(stack):
    address = stack.apis[0].address
    said = run(commands("The command line"), EARSHOT_URL=address).splitlines()
    assert said[0].startswith("garden@1 is current")
    rows = [line.split("\t") for line in said if line.startswith("examples/held_out/")]
    assert len(rows) == len(list((ROOT / "examples/held_out").glob("*/*.ogg")))
    assert sum(label == Path(path).parent.name for path, label, *_ in rows) >= len(rows) / 2
    assert said[-1].startswith("good  examples/held_out/rain/2-87781-A.ogg")
    assert httpx2.delete(f"{address}/adapters/garden").status_code in (200, 204)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("title", "language", "name"),
    [("Walkthrough in Python", "python", "yard"), ("Walkthrough in JavaScript", "js", "barn")],
)
def test_the_walkthrough_of_a_program(stack, tmp_path, title, language, name):
    address = stack.apis[0].address
    script = tmp_path / {"python": "walk.py", "js": "walk.mjs"}[language]
    client = (ROOT / "client" / "js").as_uri()
    script.write_text(commands(title, language).replace(ADDRESS, address).replace("./client/js", client))
    said = run(f"{interpreter(language)} {script}")
    lines = [line.split(" -> ") for line in said.splitlines()]
    assert len(lines) == len(list((ROOT / "examples/held_out").glob("*/*.ogg")))
    # Each path ends with the folder of its sound and the file.
    right = [label == Path(path).parent.name for path, label in lines]
    assert sum(right) >= len(right) / 2, said
    assert httpx2.delete(f"{address}/adapters/{name}").status_code in (200, 204)


def interpreter(language: str) -> str:
    """What runs a language; skips where it is not here."""
    if language == "python":
        return f"env PYTHONPATH=client {sys.executable}"
    node = shutil.which("node")
    said = subprocess.run([node, "--version"], capture_output=True, text=True).stdout if node else "none"
    if not (found := re.match(r"v(\d+)", said)) or int(found[1]) < NODE_MAJOR:
        pytest.skip(f"Node {NODE_MAJOR} or later is not installed here")
    return f"{node} --no-warnings"


@pytest.mark.slow
def test_the_library_does_what_the_readme_says(stack):
    run(f"{sys.executable} - <<'END'\n{commands('From Python', 'python')}\nEND")
    written = ROOT / "farm.safetensors"
    assert written.name not in shown_by_git()
    answer = httpx2.post(f"{stack.apis[0].address}/adapters/library/file", content=written.read_bytes())
    written.unlink()
    assert answer.status_code == 201
    assert httpx2.delete(f"{stack.apis[0].address}/adapters/library").status_code in (200, 204)
