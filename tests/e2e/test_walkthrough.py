"""The README's walkthrough, from the README's own text."""

import re
import subprocess

import httpx2
import pytest

from tests.e2e.stack import ROOT

ADDRESS = "http://127.0.0.1:8000"
TIMEOUT_S = 600


def commands() -> str:
    """The code of the section "Walkthrough", in order."""
    section = re.search(r"^## Walkthrough$(.*?)^## ", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    return "\n".join(re.findall(r"^```bash\n(.*?)^```$", section[1], re.DOTALL | re.MULTILINE))


@pytest.mark.slow
def test_the_walkthrough(stack, tmp_path):
    script = commands().replace(ADDRESS, stack.apis[0].address).replace("/tmp/", f"{tmp_path}/")
    assert "/adapt" in script
    ran = subprocess.run(
        ["bash", "-euxo", "pipefail", "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT_S
    )
    assert ran.returncode == 0, ran.stderr
    assert "urn:earshot:problem" not in ran.stdout, ran.stdout
    assert '"state": "failed"' not in ran.stdout, ran.stdout
    farm = httpx2.get(f"{stack.apis[0].address}/adapters/farm").json()
    assert (farm["current"], farm["versions"]) == (1, [1, 2])
    assert len(farm["adapter"]["labels"]) == 5
