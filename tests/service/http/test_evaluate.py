"""`POST /adapters/{ref}/evaluate` as far as it goes without a worker."""

import hashlib

import pytest

from adapters_store import Taught, TaughtClip
from aspl import Adapter
from tests.jobs.archives import zip_of
from tests.service.sounds import tone

LABELS = ["low", "high"]
CLIPS = [("clips", ("1.wav", tone(200))), ("clips", ("2.wav", tone(900)))]
YARD = ("background", ("yard.wav", tone(5000)))


@pytest.fixture
def adapter(publish):
    return publish("tones", LABELS)


def evaluate(client, ref="tones", *, files=CLIPS, key=None, **data):
    headers = {"Idempotency-Key": key} if key else {}
    data = {"labels": LABELS} | data if files is CLIPS else data
    return client.post(f"/adapters/{ref}/evaluate", files=files, data=data, headers=headers)


def staged(context):
    return list((context.settings.data_dir / "staging").glob("*"))


def test_a_job_is_queued_that_keeps_to_the_versions_of_its_request(client, context, publish, adapter):
    answer = evaluate(client, against="tones@1", files=[*CLIPS, YARD], labels=LABELS)
    assert answer.status_code == 202
    job = answer.json()
    assert (job["kind"], job["state"], job["report"]) == ("evaluate", "queued", None)
    assert client.get(answer.headers["location"]).json() == job
    publish("tones", LABELS)
    record = context.jobs.records.get("local", job["id"])
    assert record.request == {"adapter": "tones@1", "against": "tones@1"} and record.training == {}
    clips = context.jobs.uploads.evaluation_clips(record.upload_id)
    assert [label for _, label in clips.clips] == LABELS and len(clips.background) == 1


def test_an_archive_and_background_alone_will_do(client, context, adapter):
    archive = zip_of([("low/1.wav", tone(200)), ("other/2.wav", tone(900)), ("background/3.wav", tone(5000))])
    assert evaluate(client, files=[("archive", ("clips.zip", archive.getvalue()))]).status_code == 202
    assert evaluate(client, files=[YARD]).status_code == 202


def test_clips_that_a_version_was_taught_with_are_warned_of(client, context, adapter):
    rows = (TaughtClip(hashlib.sha256(tone(900)).hexdigest(), "high"),)
    manifest = context.store.manifest(adapter)
    context.store.publish("local", "tones", context.store.read(adapter), manifest, taught=Taught("nothing", rows))
    assert evaluate(client, "tones@1").json()["warnings"] == []
    for job in (evaluate(client), evaluate(client, "tones@1", against="tones@2")):
        (warning,) = job.json()["warnings"]
        assert (warning["code"], warning["file"]) == ("clip_taught", "2.wav")
        assert "tones@2 was taught" in warning["detail"] and "tones@1" not in warning["detail"]


def test_a_report_is_with_its_job_and_not_in_lists(client, context, adapter):
    job = evaluate(client).json()
    context.jobs.records.update(job["id"], state="succeeded", report={"report": {"accuracy": 1.0}})
    assert client.get(f"/jobs/{job['id']}").json()["report"] == {"report": {"accuracy": 1.0}}
    assert "report" not in client.get("/jobs").json()["jobs"][0]


@pytest.mark.parametrize(
    ("files", "data", "code", "said"),
    [
        ([], {}, "upload_invalid", "Give either clips"),
        (CLIPS, {"labels": ["low"]}, "upload_invalid", "2 clips came with 1 labels"),
        (CLIPS, {"labels": ["dog", "cat"]}, "upload_invalid", "it knows 'low', 'high'"),
        ([("clips", ("1.wav", tone(200)[:50]))], {"labels": ["low"]}, "upload_invalid", "can be used"),
        (CLIPS, {"against": "others"}, "adapter_not_found", "others"),
        (CLIPS, {"against": "../x"}, "adapter_name_invalid", "x"),
        (CLIPS, {"again": "tones"}, "invalid_request", "did you mean against"),
    ],
)
def test_what_cannot_be_evaluated_is_refused_and_leaves_nothing(client, context, adapter, files, data, code, said):
    answer = (
        evaluate(client, files=files, **data)
        if files
        else client.post("/adapters/tones/evaluate", files=[("against", (None, "tones"))])
    )
    assert answer.json()["code"] == code and said in answer.json()["detail"]
    assert staged(context) == [] and client.get("/jobs").json()["jobs"] == []


def test_an_adapter_of_another_model_or_of_nobody_is_refused(client, context, clap, adapter):
    assert evaluate(client, "others").json()["code"] == "adapter_not_found"
    data = Adapter.zero_shot(clap, LABELS).to_bytes()
    context.store.publish("local", "foreign", data, {**Adapter.read_header(data), "fingerprint": "0" * 64})
    for ref, against in (("foreign", {}), ("tones", {"against": "foreign"})):
        answer = evaluate(client, ref, **against)
        assert (answer.status_code, answer.json()["code"]) == (409, "adapter_model_mismatch")


def test_a_replay_gets_the_first_answer(client, context, adapter):
    first = evaluate(client, key="once")
    assert evaluate(client, key="once").json() == first.json()
    assert evaluate(client, key="once", labels=["high", "low"]).json()["code"] == "idempotency_mismatch"
    assert len(staged(context)) == 1


def test_another_tenants_adapter_is_not_there(client, publish):
    publish("theirs", LABELS, tenant="acme")
    assert evaluate(client, "theirs").json()["code"] == "adapter_not_found"
    assert evaluate(client, "theirs@1").json()["code"] == "adapter_not_found"
