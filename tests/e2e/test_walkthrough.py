"""The README's walkthrough, from the README's own text."""

import re
import subprocess

import httpx2
import pytest

from tests.e2e.stack import ROOT

ADDRESS = "http://127.0.0.1:8000"
TIMEOUT_S = 600


def commands(title: str) -> str:
    """The code of a section, in order."""
    section = re.search(rf"^## {title}$(.*?)^## ", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    return "\n".join(re.findall(r"^```bash\n(.*?)^```$", section[1], re.DOTALL | re.MULTILINE))


@pytest.mark.slow
def test_the_walkthrough(stack, tmp_path):
    address = stack.apis[0].address
    script = commands("Walkthrough").replace(ADDRESS, address).replace("/tmp/", f"{tmp_path}/")
    assert "/adapt" in script
    said = run(script)
    assert "urn:earshot:problem" not in said, said
    assert '"state": "failed"' not in said, said
    farm = httpx2.get(f"{address}/adapters/farm").json()
    assert (farm["current"], farm["versions"]) == (1, [1, 2])
    assert len(farm["adapter"]["labels"]) == 5
    job = httpx2.get(f"{address}/jobs").json()["jobs"][0]["id"]
    said = run(f"job={job}\n" + commands("Undo, formats, limits").replace(ADDRESS, address))
    assert "urn:earshot:problem" not in said, said
    assert httpx2.get(f"{address}/adapters/farm").status_code == 404


def run(script: str) -> str:
    """What the commands print; a failing one fails the test."""
    ran = subprocess.run(
        ["bash", "-euxo", "pipefail", "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT_S
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout
