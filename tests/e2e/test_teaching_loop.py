"""Teaching as a loop, from the README's own text, over real processes and in every kind of store."""

from pathlib import Path

import httpx2
import pytest

from adapters_store import open_store
from tests.adapters_store.conftest import s3_endpoint  # noqa: F401
from tests.adapters_store.places import new_bucket, s3_environment
from tests.e2e.readme import commands, run
from tests.e2e.sounds import EXAMPLES

ERASE = "python -m service tenants erase local --yes\n"
SOUNDS = {path.name for path in (EXAMPLES / "train").iterdir()}


@pytest.fixture(params=["directory", "s3"])
def stack(request, open_stack, monkeypatch):
    if request.param == "s3":
        for name, value in s3_environment(request.getfixturevalue("s3_endpoint")).items():
            monkeypatch.setenv(name, value)
        stack = open_stack(requests_per_s=0, store_url=new_bucket())
    else:
        stack = open_stack(requests_per_s=0)
    stack.start_worker()
    stack.wait_until_ready(stack.start_api())
    yield stack
    stack.stop()


@pytest.mark.slow
def test_add_correct_compare_and_never_lose_what_works(stack, tmp_path):
    script, erase, rest = commands("Teaching as a loop").replace("/tmp/", f"{tmp_path}/").partition(ERASE)
    assert erase and not rest
    environment = stack.environment | {"EARSHOT_URL": stack.apis[0].address}
    said = run(script, **environment)
    with httpx2.Client(base_url=stack.apis[0].address) as client:
        versions = {n: client.get(f"/adapters/meadow@{n}").json()["adapter"] for n in range(1, 6)}
        assert [versions[n]["promoted"]["current"] for n in versions] == [True, True, True, True, False], said
        assert (set(versions[1]["labels"]), versions[2]["labels"][-1]) == (SOUNDS, "fire crackling")

        planted = {path.name for path in (EXAMPLES / "train/helicopter").glob("4-1*")}
        rows = [line.split("\t") for line in said.splitlines()]
        found = {row[0] for row in rows if row[1:3] == ["rooster", "helicopter"]}
        assert len(planted) == 2 and planted <= found
        answers = [row for row in rows if row[0].startswith("examples/corrections/")]
        assert len(answers) == 2 and not [row for row in answers if row[1] == Path(row[0]).parent.name]
        assert versions[3]["changes"]["added"] == 2
        assert sorted(versions[4]["changes"]["relabelled"].values()) == ["helicopter", "helicopter"]

        assert "on 10 clips that it had not heard" in said and "right where meadow@1 is not:" in said
        assert "does worse" in versions[5]["promoted"]["reason"]
        assert client.get("/adapters/meadow").json()["current"] == 2

        said = run(erase, **environment)
        assert "meadow: 5 versions" in said.partition("Removed:")[2]
        assert client.get("/adapters").json()["adapters"] == []
    store = open_store(stack.environment.get("EARSHOT_STORE_URL") or stack.directory / "adapters")
    assert store.usage("local").stored_bytes == 0
