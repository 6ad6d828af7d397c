"""Teaching as a loop, over real processes and in every kind of store: add, correct, compare, never lose what works."""

import json
import subprocess
import sys

import httpx2
import pytest

from adapters_store import open_store
from service.keys import KeyFile
from tests.adapters_store.conftest import s3_endpoint  # noqa: F401
from tests.adapters_store.places import new_bucket, s3_environment
from tests.e2e.sounds import EXAMPLES, clips
from tests.e2e.stack import ROOT

LABELS = sorted(path.name for path in (EXAMPLES / "train").iterdir())
GUITAR = [(path.name, path.read_bytes()) for path in sorted((ROOT / "models/background/guitar").iterdir())]
TENANT = "farmer"


@pytest.fixture(params=["directory", "s3"])
def stack(request, open_stack, monkeypatch):
    if request.param == "s3":
        for name, value in s3_environment(request.getfixturevalue("s3_endpoint")).items():
            monkeypatch.setenv(name, value)
        stack = open_stack(requests_per_s=0, store_url=new_bucket())
    else:
        stack = open_stack(requests_per_s=0)
    stack.keys = {TENANT: KeyFile(stack.directory / "keys.json").add(TENANT)}
    stack.start_worker()
    stack.wait_until_ready(stack.start_api())
    yield stack
    stack.stop()


class Farmer:
    """What the tenant asks for, each call checked."""

    def __init__(self, stack):
        headers = {"X-API-Key": stack.keys[TENANT]}
        self.client = httpx2.Client(base_url=stack.apis[0].address, headers=headers, timeout=120)

    def get(self, path):
        answer = self.client.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def job(self, path, files=(), **fields):
        """A job that succeeds, at its end."""
        texts = [
            (name, value)
            for name in fields
            for value in (fields[name] if isinstance(fields[name], list) else [fields[name]])
        ]
        parts = [(name, (None, value)) for name, value in texts]  # a form without files is multipart, too
        answer = self.client.post(path, files=[*parts, *files])
        assert answer.status_code == 202, answer.text
        with self.client.stream("GET", f"/jobs/{answer.json()['id']}/events") as events:
            events.read()
        job = self.get(f"/jobs/{answer.json()['id']}")
        assert job["state"] == "succeeded", job
        return job

    def teach(self, labelled, **fields):
        """Teach `farm` from pairs of a label and a clip."""
        return self.job(
            "/adapt",
            [("clips", clip) for _, clip in labelled],
            name="farm",
            labels=[label for label, _ in labelled],
            **fields,
        )

    def classify(self, clips):
        answer = self.client.post("/classify", data={"adapter": "farm"}, files=[("audio", clip) for clip in clips])
        assert answer.status_code == 200, answer.text
        return [result["label"] for result in answer.json()["results"]]


def named(label, *, part="train"):
    return [(f"{label}-{name}", data) for name, data in clips(label, part=part)]


def ids(farmer, ref="farm"):
    return {row["file"]: row["id"] for row in farmer.get(f"/adapters/{ref}/clips")["clips"]}


@pytest.fixture
def farmer(stack):
    farmer = Farmer(stack)
    with farmer.client:
        yield farmer


@pytest.mark.slow
def test_add_correct_compare_and_never_lose_what_works(stack, farmer):
    planted = [("rain", clip) for clip in named("dog bark")[:2]]  # wrong labels, to be found
    right = [(label, clip) for label in LABELS for clip in named(label)[2:]]
    first = farmer.teach(right + planted)
    assert first["promoted"]["current"]

    suspects = farmer.get("/adapters/farm")["adapter"]["report"]["suspects"]
    found = {row["file"]: row for row in suspects}
    assert {clip[0] for _, clip in planted} <= found.keys()
    assert all(found[clip[0]]["sounds_like"] == "dog bark" for _, clip in planted)
    mended = farmer.teach([], base="farm", relabel=json.dumps({found[c[0]]["id"]: "dog bark" for _, c in planted}))
    assert mended["promoted"]["current"], mended["promoted"]
    assert len(farmer.get("/adapters/farm")["adapter"]["changes"]["relabelled"]) == 2

    farmer.teach([("guitar", clip) for clip in GUITAR], base="farm")  # a sixth sound, from three clips
    assert set(farmer.get("/adapters/farm")["adapter"]["labels"]) == {*LABELS, "guitar"}
    held_out = [(label, clip) for label in LABELS for clip in named(label, part="held_out")]
    corrected = farmer.teach(held_out[:2], base="farm")  # two answers corrected
    assert corrected["adapter"]["version"] == 4

    evaluated = farmer.job(
        "/adapters/farm/evaluate",
        [("clips", clip) for _, clip in held_out[2:]],
        labels=[label for label, _ in held_out[2:]],
        against="farm@1",
    )
    assert evaluated["report"]["comparison"] is not None
    assert evaluated["report"]["report"]["accuracy"] >= evaluated["report"]["against"]["report"]["accuracy"]

    clip_ids = ids(farmer)
    swapped = {clip_ids[name]: "rooster" for name, _ in named("helicopter")[4:]}
    swapped |= {clip_ids[name]: "helicopter" for name, _ in named("rooster")[4:]}
    worse = farmer.teach([], base="farm", relabel=json.dumps(swapped))
    standing = farmer.get("/adapters/farm")
    assert not worse["promoted"]["current"] and standing["current"] == 4, worse["promoted"]
    assert worse["promoted"]["reason"] in {row["reason"] for row in standing["standing_by"]}

    back = farmer.client.put("/adapters/farm/current", json={"version": 2})
    assert back.status_code == 200 and farmer.get("/adapters/farm")["current"] == 2
    assert farmer.classify([clip for label, clip in held_out if label == "rooster"]) == ["rooster", "rooster"]

    erased = next(iter(clip_ids.values()))
    assert farmer.client.delete(f"/adapters/farm/clips/{erased}").status_code == 204
    assert farmer.client.get(f"/adapters/farm/clips/{erased}").status_code == 404
    command = [sys.executable, "-m", "service", "tenants", "erase", TENANT, "--yes"]
    subprocess.run(command, env=stack.environment, cwd=ROOT, check=True, capture_output=True)
    assert open_store(stack.environment.get("EARSHOT_STORE_URL") or stack.directory / "adapters").names(TENANT) == (
        [],
        None,
    )
    assert farmer.client.get("/adapters").status_code == 401
