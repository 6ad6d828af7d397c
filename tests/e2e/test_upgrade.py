"""The API is upgraded first, then the worker: what either release of a worker makes is served, and no call fails."""

import json
import shutil
import threading

import httpx2
import pytest

from adapters_store import open_store
from tests.e2e.conftest import BUNDLED
from tests.e2e.sounds import clips
from tests.e2e.stack import ROOT

HELD = ROOT / "tests" / "fixtures" / "first_release"
LABELS = ("dog bark", "rain")

pytestmark = pytest.mark.skipif(not BUNDLED.exists(), reason="the first release's adapters are of the bundled model")


@pytest.fixture
def upgraded(open_stack):
    """The API of this release on the store of the first one, whose worker is still there."""
    stack = open_stack(requests_per_s=0)
    shutil.copytree(HELD / "store", stack.directory / "adapters")
    stack.wait_until_ready(stack.start_api())
    return stack


class Load:
    """A client that classifies with one adapter by its bare name until it is told to end."""

    def __init__(self, address: str, adapter: str):
        self.answers: list[tuple[int, int]] = []  # status, version
        self._question = {"files": [("audio", clips("rain", part="held_out")[0])], "data": {"adapter": adapter}}
        self._address = address
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Load":
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._is_over.set()
        self._thread.join()

    def wait_for(self, version: int) -> None:
        """Return once two answers more are of that version."""
        before = self.versions.count(version)
        while self.versions.count(version) < before + 2:
            assert self._thread.is_alive() and not self._is_over.wait(0.05), self.answers[-3:]

    @property
    def versions(self) -> list[int]:
        return [version for _, version in self.answers]

    def _run(self) -> None:
        with httpx2.Client(base_url=self._address, timeout=120) as client:
            while not self._is_over.is_set():
                answer = client.post("/classify", **self._question)
                version = answer.json()["adapter"]["version"] if answer.status_code == 200 else 0
                self.answers.append((answer.status_code, version))


@pytest.mark.slow
def test_api_first_then_worker_under_load(upgraded):
    address, store = upgraded.apis[0].address, open_store(str(upgraded.directory / "adapters"))
    with Load(address, "farm") as load, httpx2.Client(base_url=address, timeout=120) as client:
        load.wait_for(1)
        made_before = (HELD / "adapters" / "palm.safetensors").read_bytes()
        manifest = json.loads((HELD / "store" / "local" / "farm" / "versions" / "000002.json").read_text())
        assert store.publish("local", "farm", made_before, manifest).version == 3
        load.wait_for(3)
        upgraded.start_worker()
        files = [("clips", clip) for label in LABELS for clip in clips(label)[:3]]
        form = {"name": "farm", "labels": [label for label in LABELS for _ in range(3)], "promote": "always"}
        job = client.post("/adapt", files=files, data=form).json()
        with client.stream("GET", f"/jobs/{job['id']}/events") as events:
            said = "".join(events.iter_text())
        assert '"state": "succeeded"' in said, said
        load.wait_for(4)
    assert {status for status, _ in load.answers} == {200}
    assert load.versions == sorted(load.versions)
