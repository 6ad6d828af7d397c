"""`POST /classify` with an archive, and its results: with a real worker, beside what is answered at once."""

import json

import pytest

from tests.jobs.archives import zip_of
from tests.service.sounds import tone
from tests.worker.processes import start_worker, wait_until

FILES = [(f"yard/{number % 3}/{number}.wav", tone(150 + 90 * number)) for number in range(40)]
FILES += [
    ("long.wav", tone(440, duration_s=21)),
    ("broken.wav", tone(300)[:50]),
    ("read.me", b"words"),
    ("silent.wav", tone(0)),
]


def batch(client, entries=FILES, *, key=None, **data):
    files = [("archive", ("yard.zip", zip_of(entries).getvalue()))]
    return client.post("/classify", files=files, data=data, headers={"Idempotency-Key": key} if key else {})


def lines(client, job):
    return [json.loads(line) for line in client.get(f"/jobs/{job['id']}/results").text.splitlines()]


@pytest.fixture
def worker(context, small_clap_directory):
    """A worker on the small CLAP that this service holds."""
    process = start_worker(context.settings, "worker", MODEL=small_clap_directory, HEARTBEAT_TTL_S=10)
    wait_until(context.jobs.queue.workers, 120)
    yield process
    process.kill()
    process.communicate()


def ended(client, job):
    def has_ended():
        now = client.get(f"/jobs/{job['id']}").json()
        return now["state"] not in ("queued", "running") and now

    return wait_until(has_ended, 120)


def test_a_folder_is_classified_as_its_files_are_one_by_one(client, context, publish_taught, worker):
    publish_taught("tones", threshold=0.5)
    answer = batch(client, adapter="tones", top_k="1")
    assert answer.status_code == 202
    job = answer.json()
    assert (job["kind"], [row["file"] for row in job["left_out"]]) == ("classify", ["read.me"])
    end = ended(client, job)
    assert (end["state"], end["error"]) == ("succeeded", None)
    assert (end["progress"]["phase"], end["progress"]["epoch"], end["progress"]["epochs"]) == ("classify", 43, 43)
    rows = {row["file"]: row for row in lines(client, job)}
    assert list(rows) == [name for name, _ in FILES if name != "read.me"]
    assert rows["broken.wav"]["error"]["code"] == "audio_undecodable"
    usable = [(name, data) for name, data in FILES if name in rows and "error" not in rows[name]]
    for name, data in usable[::8] + usable[-2:]:
        form = {"adapter": "tones@1", "top_k": "1", "windows": "true"}
        result = client.post("/classify", files=[("audio", (name, data))], data=form).json()["results"][0]
        row = rows[name]
        for got, expected in [(row, result), *zip(row["windows"], result["windows"], strict=True)]:
            for part in ("label", "unknown", "silent", "start_s", "end_s", "duration_s"):
                assert got.get(part) == expected.get(part), (name, part)
            assert got["score"] == pytest.approx(expected["score"], abs=1e-4)
            assert got["known_score"] == pytest.approx(expected["known_score"], abs=1e-4)
        assert [each["label"] for each in row["scores"]] == [each["label"] for each in result["scores"]]
    counts = end["report"]
    assert counts["adapter"] == "tones@1" and counts["num_files"] == 43 and counts["num_failed"] == 1
    assert counts["num_known"] == sum(counts["labels"].values())
    csv = client.get(f"/jobs/{job['id']}/results", params={"format": "csv"})
    assert csv.headers["x-content-type-options"] == "nosniff" and "attachment" in csv.headers["content-disposition"]
    assert csv.text.count("\r\n") == 44
    assert client.get(f"/jobs/{job['id']}/results", params={"format": "audacity"}).content[:2] == b"PK"
    track = client.get(f"/jobs/{job['id']}/results", params={"format": "audacity", "file": "long.wav"})
    assert track.headers["content-type"].startswith("text/plain")
    assert not list((context.settings.data_dir / "staging").iterdir())


def test_labels_without_an_adapter_and_thresholds_of_the_request(client, context, worker):
    job = batch(client, FILES[:3], labels=["dog", "cat"], thresholds='{"dog": 1, "cat": 1}').json()
    assert ended(client, job)["report"] == {
        "adapter": None, "num_files": 3, "num_known": 0, "num_unknown": 3, "num_failed": 0, "labels": {},
    }  # fmt: skip
    assert all(row["unknown"] and len(row["scores"]) == 2 for row in lines(client, job))


def test_a_worker_that_is_killed_loses_no_file_and_doubles_none(client, context, worker, small_clap_directory):
    entries = [(f"{number}.wav", tone(100 + number)) for number in range(1000)]
    job = batch(client, entries, labels=["dog", "cat"]).json()
    wait_until(lambda: client.get(f"/jobs/{job['id']}").json()["progress"]["epoch"] > 100, 120)
    worker.kill()
    second = start_worker(context.settings, "worker", MODEL=small_clap_directory, HEARTBEAT_TTL_S=10)
    try:
        assert ended(client, job)["state"] == "succeeded"
    finally:
        second.kill()
        second.communicate()
    assert [row["file"] for row in lines(client, job)] == [name for name, _ in entries]


def test_a_long_batch_lets_others_have_their_turn(client, context, small_clap_directory, publish):
    command = "import sys, worker.kinds.classify as c; c.TURN_S = 0.2; from worker.runner import main; "
    command += "from worker.clap_trainer import ClapTrainer; main(ClapTrainer.load, int(sys.argv[1]))"
    worker = start_worker(context.settings, "tests.worker.worker_of", MODEL=small_clap_directory, COMMAND=command)
    try:
        wait_until(context.jobs.queue.workers, 120)
        entries = [(f"{number}.wav", tone(100 + number)) for number in range(300)]
        long = batch(client, entries, labels=["dog", "cat"]).json()
        wait_until(lambda: client.get(f"/jobs/{long['id']}").json()["progress"]["epoch"] > 1, 120)
        context.keys.add("acme"), context.keys.add("local")
        other = {"X-API-Key": context.keys.add("acme")}
        files = [("archive", ("a.zip", zip_of(entries[:2]).getvalue()))]
        short = client.post("/classify", files=files, data={"labels": ["dog", "cat"]}, headers=other).json()
        record = wait_until(lambda: ended_record(context, "acme", short), 120)
        behind = context.jobs.records.get("local", long["id"])
        assert (record.state, behind.is_live) == ("succeeded", True)
        end = wait_until(lambda: ended_record(context, "local", long), 120)
        assert (end.state, end.attempts) == ("succeeded", 1)
        assert [row["file"] for row in context.jobs.results.rows(long["id"])] == [name for name, _ in entries]
    finally:
        worker.kill()
        worker.communicate()


def ended_record(context, tenant, job):
    record = context.jobs.records.get(tenant, job["id"])
    return None if record.is_live else record


def test_a_batch_that_is_cancelled_leaves_nothing(client, context, worker):
    job = batch(client, FILES[:40] * 1, labels=["dog", "cat"]).json()
    client.delete(f"/jobs/{job['id']}")
    assert ended(client, job)["state"] in ("cancelled", "succeeded")
    results = context.jobs.results.root
    wait_until(lambda: not results.is_dir() or not [p for p in results.iterdir() if p.name.count(".") == 2], 20)


@pytest.mark.parametrize(
    ("entries", "data", "code"),
    [
        (FILES, {}, "invalid_request"),
        (FILES, {"labels": ["dog"]}, "labels_invalid"),
        (FILES, {"adapter": "nobody"}, "adapter_not_found"),
        (FILES, {"adapter": "tones", "thresholds": '{"x": 1}'}, "thresholds_invalid"),
        ([("read.me", b"words")], {"adapter": "tones"}, "archive_invalid"),
        ([], {"adapter": "tones"}, "archive_invalid"),
    ],
)
def test_what_can_only_fail_is_refused(client, context, publish, entries, data, code):
    publish("tones", ["low", "high"])
    assert batch(client, entries, **data).json()["code"] == code
    assert client.get("/jobs").json()["jobs"] == [] and not list((context.settings.data_dir / "staging").glob("*"))


def test_audio_and_an_archive_at_once_are_refused(client):
    files = [("archive", ("a.zip", zip_of(FILES[:1]).getvalue())), ("audio", ("a.wav", tone(100)))]
    assert client.post("/classify", files=files, data={"labels": ["a", "b"]}).json()["code"] == "invalid_request"


def test_the_request_keeps_to_its_version_and_its_key(client, context, publish):
    publish("tones", ["low", "high"])
    first = batch(client, FILES[:3], key="once", adapter="tones", threshold="0.4").json()
    publish("tones", ["low", "high"])
    record = context.jobs.records.get("local", first["id"])
    assert (record.name, record.request["adapter"]) == ("tones", "tones@1")
    assert record.request["thresholds"] == {"low": 0.4, "high": 0.4}
    assert (
        batch(client, FILES[:2], key="once", adapter="tones", threshold="0.4").json()["code"] == "idempotency_mismatch"
    )


def test_results_of_a_job_that_runs_of_another_kind_and_of_another_tenant(client, context, publish):
    job = batch(client, FILES[:3], labels=["dog", "cat"]).json()
    address = f"/jobs/{job['id']}/results"
    assert client.get(address).json()["code"] == "results_not_ready"
    context.jobs.records.update(job["id"], state="failed")
    assert client.get(address).json()["code"] == "results_not_found"
    assert client.get(address, params={"format": "xml"}).json()["code"] == "invalid_request"
    with context.jobs.results.begun(job["id"], "a" * 32) as file:
        file.add({"file": "a"})
    context.jobs.results.finish(job["id"], "a" * 32)
    headers = {"X-API-Key": context.keys.add("acme")}
    assert client.get(address, headers=headers).json()["code"] == "job_not_found"
    assert client.get(address, headers={"X-API-Key": context.keys.add("local")}).status_code == 200
