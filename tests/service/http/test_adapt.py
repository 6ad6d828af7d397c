import io
import zipfile

import pytest
from redis.client import Pipeline
from redis.exceptions import ConnectionError, WatchError

from tests.service.sounds import tone

CLIPS = [("clips", ("a.wav", tone(440))), ("clips", ("b.wav", tone(900)))]
TRAINING = {"name": "animals", "labels": ["dog", "cat"]}


def adapt(client, *, files=CLIPS, key=None, **data):
    return client.post("/adapt", files=files, data=TRAINING | data, headers={"Idempotency-Key": key} if key else None)


def staged(context):
    return list((context.settings.data_dir / "staging").glob("*"))


def test_a_job_is_queued_and_found(client, context):
    answer = adapt(client, epochs="3", description="ours")
    assert answer.status_code == 202
    job = answer.json()
    assert (job["state"], job["error"], job["started_at"]) == ("queued", None, None)
    assert client.get(answer.headers["location"]).json() == job
    record = context.jobs.records.get("local", job["id"])
    assert record.training["epochs"] == 3
    assert record.training["description"] == "ours"
    assert [label for _, label in context.jobs.uploads.evaluation_clips(record.upload_id).clips] == ["dog", "cat"]


@pytest.mark.parametrize(("wish", "told"), [({}, None), ({"promote": "auto"}, None), ({"promote": "never"}, "never")])
def test_the_wish_to_take_over_goes_with_the_job(client, context, wish, told):
    job = adapt(client, **wish).json()
    assert job["promoted"] is None
    assert context.jobs.records.get("local", job["id"]).training.get("promote") == told


def test_a_wish_that_is_none_is_refused(client):
    answer = adapt(client, promote="perhaps")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert "promote" in answer.json()["detail"]


def test_an_archive_has_a_folder_for_each_label(client, context):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("sounds/dog/a.wav", tone(440))
        archive.writestr("sounds/cat/b.wav", tone(900))
    job = adapt(client, files=[("archive", ("clips.zip", file.getvalue()))], labels=[]).json()
    record = context.jobs.records.get("local", job["id"])
    assert {label for _, label in context.jobs.uploads.evaluation_clips(record.upload_id).clips} == {"dog", "cat"}


def test_what_is_refused_leaves_nothing_behind(client, context):
    answer = adapt(client, files=[CLIPS[0], ("clips", ("b.wav", b"no sound"))])
    assert (answer.status_code, answer.json()["code"]) == (422, "upload_invalid")
    assert staged(context) == []
    assert client.get("/jobs").json() == {"jobs": [], "next": None}


def test_a_replay_gets_the_first_answer(client, context):
    first = adapt(client, key="once")
    context.jobs.records.update(first.json()["id"], state="running", started_at="2026-01-01T00:00:00Z")
    again = adapt(client, key="once")
    assert (again.status_code, again.json()) == (202, first.json())
    assert again.headers["location"] == first.headers["location"]
    assert len(client.get("/jobs").json()["jobs"]) == len(staged(context)) == 1


@pytest.mark.parametrize("data", [{"seed": "1"}, {"labels": ["cat", "dog"]}, {"name": "others"}])
def test_a_replay_with_another_body_is_refused(client, data):
    adapt(client, key="once")
    assert adapt(client, key="once", **data).json()["code"] == "idempotency_mismatch"


def test_a_refused_request_gives_its_key_back(client):
    assert adapt(client, key="once", labels=["dog"]).status_code == 422
    assert adapt(client, key="once").status_code == 202


def test_an_outage_in_which_the_job_was_made_leaves_it_its_clips(client, context, monkeypatch):
    execute = Pipeline._execute_transaction

    def lost(*_):
        raise ConnectionError("connection lost")

    with monkeypatch.context() as outage:

        def unconfirmed(*arguments):
            execute(*arguments)
            outage.setattr(Pipeline, "watch", lost)
            raise WatchError("connection lost")  # as Redis's client reports it

        outage.setattr(Pipeline, "_execute_transaction", unconfirmed)
        assert adapt(client, key="once").json()["code"] == "redis_unavailable"
    job = adapt(client, key="once").json()
    assert client.get("/jobs").json()["jobs"] == [{name: job[name] for name in job if name != "report"}]
    record = context.jobs.records.get("local", job["id"])
    assert [label for _, label in context.jobs.uploads.evaluation_clips(record.upload_id).clips] == ["dog", "cat"]
    assert len(staged(context)) == 1


def test_an_outage_before_the_job_was_made_leaves_no_clips(client, context, monkeypatch):
    def lost(*_):
        raise ConnectionError("connection lost")

    monkeypatch.setattr(Pipeline, "watch", lost)
    assert adapt(client).json()["code"] == "redis_unavailable"
    assert staged(context) == []


def test_a_key_is_given_back_where_not_even_the_staging_could_begin(client, context):
    context.jobs.uploads.root.write_text("no directory")
    assert adapt(client, key="once").status_code >= 500
    context.jobs.uploads.root.unlink()
    assert adapt(client, key="once").status_code == 202


def many(labels):
    return [("clips", (f"{number}.wav", CLIPS[0][1][1])) for number in range(len(labels))]


@pytest.mark.parametrize(
    ("labels", "options", "code", "named"),
    [
        ([f"sound {number}" for number in range(51)], {"method": "cocoop"}, "labels_invalid", "2 to 50"),
        (["dog", "🦉" * 60], {"method": "coop"}, "labels_invalid", "tokens"),
        (["dog", "🦉" * 60], {}, "labels_invalid", "tokens"),
        (["dog"] * 1001 + ["cat"], {}, "upload_invalid", "1000 a label"),
    ],
)
def test_what_could_only_fail_is_refused_at_once(client, context, labels, options, code, named):
    answer = client.post("/adapt", files=many(labels), data={"name": "animals", "labels": labels, **options})
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert named in answer.json()["detail"]
    assert client.get("/jobs").json()["jobs"] == []
    assert not list((context.settings.data_dir / "staging").iterdir())
