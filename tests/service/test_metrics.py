"""Every metric that a dashboard or an autoscaler names moves when the service is used, and its labels with it."""

import re
import threading
import time
from pathlib import Path

import pytest

from adapters_store import Ref
from tests.service.sounds import tone

DEPLOY = Path(__file__).parents[2] / "deploy"
SAMPLE = re.compile(r"^(earshot_\w+?)(?:\{(.*)\})? (\S+)$", re.M)
# What each label must show beside what its first use does.
VALUES = {
    ("earshot_clips_total", "outcome"): {"scored", "unusable"},
    ("earshot_adapter_loads_total", "outcome"): {"loaded", "broken"},
    ("earshot_jobs", "state"): {"queued", "running"},
    ("earshot_requests_total", "status"): {"200", "202", "404", "415", "503"},
    ("earshot_errors_total", "code"): {"adapter_not_found", "overloaded", "engine_fault"},
    ("earshot_request_seconds_bucket", "route"): {"/classify", "/adapt"},
}
COUNTS = ("earshot_queue_seconds_count", "earshot_batch_windows_count")


def asked_for() -> set[str]:
    """The names of all samples that any file under deploy/ asks for."""
    paths = [path for path in DEPLOY.rglob("*") if path.suffix in {".json", ".yaml", ".yml"}]
    return {name for path in paths for name in re.findall(r"\bearshot_\w+", path.read_text(encoding="utf-8"))}


def read(text: str) -> dict[tuple[str, str], float]:
    """(sample, its labels as they stand) -> value."""
    return {(name, labels or ""): float(value) for name, labels, value in SAMPLE.findall(text)}


@pytest.fixture(scope="module")
def names():
    found = asked_for()
    assert {"earshot_queue_seconds_bucket", "earshot_unfinished_jobs", "earshot_jobs"} <= found
    return found


@pytest.fixture
def settings(settings):
    return settings.model_copy(update={"batch_windows": 1, "max_held_windows": 4, "max_tenant_held_windows": 4})


@pytest.fixture
def scrapes(client, context, publish, monkeypatch):
    """What /metrics served before, during and after some of everything."""
    texts = []

    def scrape():
        texts.append(client.get("/metrics").text)

    def classify(clip=None, adapter="animals"):
        return client.post("/classify", files=[("audio", ("a.wav", clip or tone(440)))], data={"adapter": adapter})

    scrape()
    publish("animals", ["dog", "cat"])
    assert classify().status_code == 200
    assert classify(b"no audio at all").status_code >= 400
    assert classify(adapter="unheard-of").status_code == 404
    broken = publish("broken", ["dog", "cat"])
    break_file(context, broken)
    assert classify(adapter="broken").status_code >= 400
    clips = [("clips", (f"{label}.wav", tone(hz))) for label, hz in (("dog", 440), ("cat", 900))]
    for name in ("one", "two"):
        assert client.post("/adapt", files=clips, data={"name": name, "labels": ["dog", "cat"]}).status_code == 202
    context.jobs.records.update(context.jobs.records.live_ids()[0], state="running")
    scrape()
    crowd(client, context, classify, scrape, monkeypatch)
    monkeypatch.setattr(context.pipeline.engine, "_serve", fail)
    assert classify().json()["code"] == "engine_fault"
    scrape()
    return [read(text) for text in texts]


def crowd(client, context, classify, scrape, monkeypatch):
    """Clips wait behind a slow batch, until there is no room for more."""
    entered, gate = threading.Event(), threading.Event()
    serve = context.pipeline.engine._serve

    def serve_slowly(rows):
        entered.set()
        assert gate.wait(60)
        serve(rows)

    with monkeypatch.context() as patch:
        patch.setattr(context.pipeline.engine, "_serve", serve_slowly)
        callers = [threading.Thread(target=classify) for _ in range(4)]
        callers[0].start()
        assert entered.wait(60)
        for caller in callers[1:]:
            caller.start()
        while context.pipeline.engine.queue.num_units() < 3:
            time.sleep(0.01)
        scrape()
        assert classify().json()["code"] == "overloaded"
        gate.set()
        for caller in callers:
            caller.join()


def break_file(context, ref: Ref):
    path = next(Path(context.settings.store_url_or_local).rglob(f"*/{ref.name}/**/*.safetensors"))
    path.chmod(0o600)
    path.write_bytes(b"damaged")


def fail(rows):
    raise RuntimeError("the device is lost")


def test_every_metric_that_is_asked_for_moves(scrapes, names):
    first = scrapes[0]
    moved = {sample[0] for later in scrapes[1:] for sample, value in later.items() if value != first.get(sample, 0.0)}
    assert names <= moved, f"never moved: {sorted(names - moved)}"


@pytest.mark.parametrize(("name", "label"), VALUES)
def test_its_labels_tell_apart_what_they_are_to(scrapes, names, name, label):
    assert name in names
    seen = set()
    for samples in scrapes:
        for sample, labels in samples:
            if sample == name and samples[sample, labels] > 0:
                seen |= set(re.findall(rf'\b{label}="(.*?)"', labels))
    assert seen >= VALUES[name, label]


def test_a_long_clip_waits_once(client):
    files = [("audio", ("long.wav", tone(440, duration_s=15)))]
    before = read(client.get("/metrics").text)
    assert client.post("/classify", files=files, data={"labels": ["dog", "cat"]}).status_code == 200
    after = read(client.get("/metrics").text)
    grown = {name: after[name, ""] - before[name, ""] for name in COUNTS}
    assert grown["earshot_queue_seconds_count"] == 1
    assert grown["earshot_batch_windows_count"] > 1  # in batches of one window each
