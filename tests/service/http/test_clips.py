"""Teaching as a loop over HTTP: what was taught is kept, gone on from, corrected, erased and counted."""

import hashlib
import io
import json
import zipfile
from dataclasses import replace

import pytest
import torch

from adapters_store import Taught
from aspl import Adapter
from aspl.background import shipped_library
from jobs.exported import Exported
from jobs.limits import StorageLimits
from jobs.quota import Quota
from tests.jobs.archives import zip_of
from tests.service.sounds import tone
from worker.clap_trainer import ClapTrainer
from worker.kinds.adapt import adapt
from worker.kinds.kind import Task
from worker.publication import Version, promoted, publish


def sounds(start_hz: int, num: int) -> list[bytes]:
    return [tone(start_hz + 17 * number) for number in range(num)]


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture(scope="module")
def trainer(clap, tmp_path_factory):
    return ClapTrainer(clap, max_clip_s=60.0, library=shipped_library(tmp_path_factory.mktemp("background")))


@pytest.fixture
def quota():
    return Quota(StorageLimits())


@pytest.fixture
def teach(client, context, trainer, quota):
    """Sends clips by label, does the job as a worker does, and returns the version's row."""

    def teach(clips=(), *, background=(), expect=202, **fields):
        files = [("clips", (f"{digest(data)[:6]}.wav", data)) for _, data in clips]
        files += [("background", ("room.wav", data)) for data in background]
        data = {"name": "pets", "labels": [label for label, _ in clips]} | fields
        if not files:  # httpx makes a form of several parts of files alone
            listed = {name: value if isinstance(value, list) else [value] for name, value in data.items()}
            files = [(name, (None, value)) for name, values in listed.items() for value in values]
        answer = client.post("/adapt", files=files, data=data if clips or background else {})
        assert answer.status_code == expect, answer.json()
        if expect != 202:
            return answer.json()
        record = context.jobs.records.get("local", answer.json()["id"])
        done = adapt(_task(record, context, trainer, quota))
        context.jobs.uploads.remove(record.upload_id)
        context.jobs.records.update(record.id, state="succeeded", promoted=done["promoted"])
        assert client.get(f"/jobs/{record.id}").json()["promoted"] == done["promoted"]
        return client.get(f"/adapters/{data['name']}@{done['version']}").json()["adapter"]

    return teach


def _task(record, context, trainer, quota):
    names = ("id", "kind", "tenant", "name", "upload_id", "training", "request", "created_at")
    job = {name: getattr(record, name) for name in names} | {"holder": "test", "findings": record.findings()}

    def publish_now(data, manifest, *, wish="auto", taught=None):
        version = Version(job["tenant"], job["name"], data, manifest, wish, taught)
        ref = publish(context.store, version, timeout_s=5, quota=quota)
        return {"version": ref.version, "promoted": promoted(context.store, ref)}

    return Task(
        job=job,
        trainer=trainer,
        store=context.store,
        uploads=context.jobs.uploads,
        settings=context.settings,
        on_progress=lambda progress: None,
        should_cancel=lambda: False,
        publish=publish_now,
    )


LOW, HIGH, SHRILL = sounds(200, 3), sounds(1500, 3), sounds(5000, 3)
TWO = [("low", data) for data in LOW] + [("high", data) for data in HIGH]


def clips_of(client, ref):
    return client.get(f"/adapters/{ref}/clips").json()["clips"]


def test_what_was_taught_is_listed_and_fetched(client, teach):
    teach(TWO, background=sounds(9000, 1))
    page = client.get("/adapters/pets/clips?limit=4").json()
    assert page["adapter"]["version"] == 1 and page["keep"] == "audio" and page["next"] == 4
    rows = clips_of(client, "pets")
    assert [row["label"] for row in rows] == ["low"] * 3 + ["high"] * 3 + [None]
    assert all(row["has_audio"] and row["has_features"] and row["duration_s"] > 0 for row in rows)
    assert rows[0]["id"] == digest(LOW[0]) and rows[0]["held_out"]["label"] in ("low", "high")
    assert rows[-1]["is_background"] and rows[-1]["held_out"] is None
    answer = client.get(f"/adapters/pets/clips/{digest(LOW[0])}")
    assert answer.content == LOW[0] and answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-disposition"].startswith("attachment")
    assert client.get(f"/adapters/pets/clips/{'0' * 64}").json()["code"] == "clip_not_found"
    assert client.get("/adapters/pets/clips/x").json()["code"] == "invalid_request"


def test_a_version_goes_on_from_another_with_only_what_is_new_encoded(client, context, teach, trainer, monkeypatch):
    teach(TWO)
    heard = []
    decode = trainer._waveform
    monkeypatch.setattr(trainer, "_waveform", lambda clip: heard.append(clip.row.id) or decode(clip))
    second = teach([("shrill", SHRILL[0])], base="pets", background=sounds(9000, 1))
    assert heard == [digest(SHRILL[0]), digest(sounds(9000, 1)[0])]
    assert second["labels"] == ["low", "high", "shrill"] and second["shots"] == {"low": 3, "high": 3, "shrill": 1}
    changes = second["changes"]
    assert (changes["base"], changes["added"], changes["num_removed"]) == ({"name": "pets", "version": 1}, 2, 0)
    assert second["promoted"]["current"] and second["promoted"]["comparison"]["shared_clips"] == 6
    heard.clear()
    wrong = digest(HIGH[0])
    third = teach(base="pets@2", remove=[digest(LOW[0])], relabel=json.dumps({wrong: "shrill"}))
    assert heard == []
    assert third["changes"]["removed"] == [digest(LOW[0])] and third["changes"]["relabelled"] == {wrong: "shrill"}
    assert third["shots"] == {"low": 2, "high": 2, "shrill": 2}
    assert {row["id"]: row["label"] for row in clips_of(client, "pets@3")}[wrong] == "shrill"
    assert len(context.store._files.children("local/pets/versions-clips")) == 8


def test_a_clip_that_comes_again_is_taught_once(teach):
    teach(TWO)
    assert teach([("low", LOW[0]), ("low", tone(333))], base="pets")["shots"] == {"low": 4, "high": 3}


def test_clips_that_the_base_has_are_told(client, teach):
    teach(TWO)
    version = teach([("low", LOW[0]), ("low", HIGH[0]), ("low", tone(333))], base="pets")
    warnings = [(row["code"], row["label"]) for row in version["report"]["warnings"]]
    assert warnings == [("clip_repeated", "low"), ("clip_in_two_labels", "low")]
    assert "'high'" in version["report"]["warnings"][1]["detail"]


def test_another_adapter_may_be_the_base(client, teach):
    teach(TWO)
    other = teach([("shrill", SHRILL[0])], base="pets", name="more")
    assert other["labels"] == ["low", "high", "shrill"]
    client.delete("/adapters/pets")
    assert all(row["has_audio"] and row["has_features"] for row in clips_of(client, "more"))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"remove": ["0" * 64]}, "was not taught with clip"),
        ({"remove": ["short"]}, "no clip's id"),
        ({"relabel": json.dumps({digest(LOW[0]): ""})}, "label"),
        ({"remove": [digest(LOW[0])], "relabel": json.dumps({digest(LOW[0]): "x"})}, "say one of the two"),
        ({"relabel": "{"}, "no JSON"),
        ({"base": "nowhere"}, "no adapter"),
        ({"base": "Pets"}, "name"),
        ({"channel": "some", "base": "pets"}, "channel"),
        ({"method": "palm", "base": "features"}, "features alone"),
        ({"base": "nothing"}, "is kept"),
        ({"method": "palm", "remove": [digest(data) for data in LOW]}, "2 different labels"),
    ],
)
def test_what_cannot_be_gone_on_from_is_refused_in_words(teach, fields, said):
    teach(TWO)
    for keep in ("features", "nothing") if fields.get("base") in ("features", "nothing") else ():
        teach(TWO, name=keep, keep=keep)
    status = 404 if fields.get("base") == "nowhere" else 422
    assert said in teach(expect=status, **{"base": "pets", **fields})["detail"]


def test_remove_without_base_is_refused(teach):
    assert "name it too" in teach(TWO, remove=[digest(LOW[0])], expect=422)["detail"]


def test_the_operator_says_how_much_is_kept_at_most(client, context, teach):
    context.settings = context.settings.model_copy(update={"keep": "features"})
    teach(TWO)
    page = client.get("/adapters/pets/clips").json()
    assert page["keep"] == "features" and not any(row["has_audio"] for row in page["clips"])
    assert all(row["has_features"] for row in page["clips"])
    assert "features at most" in teach(TWO, keep="audio", expect=422)["detail"]
    assert teach([("shrill", SHRILL[0])], base="pets")["labels"] == ["low", "high", "shrill"]


def test_erased_clips_are_named_and_taught_no_more(client, teach):
    teach(TWO)
    erased = digest(LOW[0])
    assert client.delete(f"/adapters/pets/clips/{erased}").status_code == 204
    assert client.get(f"/adapters/pets/clips/{erased}").json()["code"] == "clip_not_found"
    row = clips_of(client, "pets")[0]
    assert row["id"] == erased and not row["has_audio"] and not row["has_features"]
    again = teach([("low", tone(333))], base="pets")
    assert again["shots"] == {"low": 3, "high": 3}
    assert again["report"]["num_left_out"] == 1
    assert again["report"]["left_out"][0]["error"]["code"] == "clip_not_found"
    assert client.delete("/adapters/pets/clips").status_code == 204
    assert not any(row["has_audio"] for row in clips_of(client, "pets@2"))
    assert "is kept" in teach(base="pets", expect=422)["detail"]
    assert client.post("/classify", files=[("audio", ("a.wav", LOW[1]))], data={"adapter": "pets"}).status_code == 200


def test_a_label_whose_clips_were_erased_can_be_taught_anew(client, teach):
    teach(TWO)
    client.delete("/adapters/pets/clips")
    again = teach([("low", tone(333)), ("high", tone(4444))], base="pets")
    assert again["shots"] == {"low": 1, "high": 1} and again["report"]["num_left_out"] == 6
    assert "is kept" in teach([("low", tone(334))], base="pets@1", expect=422)["detail"]


def test_a_label_whose_clips_were_erased_is_not_taught_anew_by_background(client, teach):
    teach(TWO)
    for data in HIGH:
        client.delete(f"/adapters/pets/clips/{digest(data)}")
    clips = {"base": "pets", "background_labels": ["high"]}
    assert "'high'" in teach([("high", tone(4444))], expect=422, **clips)["detail"]
    assert teach([("high", tone(4444))], base="pets")["shots"] == {"low": 3, "high": 1}


def test_a_version_keeps_as_much_as_the_one_that_it_goes_on_from(client, teach):
    teach(TWO, keep="features")
    teach([("low", tone(333))], base="pets")
    assert not any(row["has_audio"] for row in clips_of(client, "pets@2"))
    teach([("low", tone(334))], base="pets", keep="audio")
    assert [row["has_audio"] for row in clips_of(client, "pets@3")].count(True) == 1


def test_a_clip_is_relabelled_to_background(client, teach):
    teach(TWO)
    version = teach(base="pets", relabel=json.dumps({digest(LOW[0]): "background"}))
    assert version["shots"] == {"low": 2, "high": 3} and version["report"]["num_background"] == 1


def test_a_version_that_does_worse_on_the_same_clips_stands_by(client, teach):
    teach(TWO + [("shrill", data) for data in SHRILL])
    # The same clips, half of them under labels that are wrong, and some as they were: those that are shared do worse.
    swapped = json.dumps({digest(LOW[0]): "high", digest(LOW[1]): "shrill", digest(HIGH[0]): "low"})
    worse = teach(base="pets", relabel=swapped, method="palm", epochs="1")
    comparison = worse["promoted"]["comparison"]
    lost = comparison["correct_before"] - comparison["correct_after"]
    assert comparison["shared_clips"] == 6
    assert worse["promoted"]["current"] == (not (lost > 1))
    told = client.get("/adapters/pets").json()
    assert (told["standing_by"] != []) == (lost > 1)


def test_versions_of_other_thresholds_keep_the_clips(client, teach):
    teach(TWO)
    assert client.put("/adapters/pets/thresholds", json={"sensitivity": "high"}).status_code == 200
    assert [row["id"] for row in clips_of(client, "pets@2")] == [row["id"] for row in clips_of(client, "pets@1")]
    client.delete("/adapters/pets@1")
    assert all(row["has_audio"] and row["has_features"] for row in clips_of(client, "pets"))


def test_an_export_has_clips_where_they_are_asked_for_and_can_be_taught(client, teach):
    teach(TWO, background=sounds(9000, 1))
    plain = client.get("/adapters/pets/file")
    assert plain.headers["content-type"] == "application/octet-stream"
    answer = client.get("/adapters/pets/file?clips=true")
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    assert archive.read("pets-1.safetensors") == plain.content
    rows = json.loads(archive.read("clips.json"))["clips"]
    assert archive.read(rows[0]["path"]) == LOW[0] and rows[-1]["path"].startswith("background/")
    again = client.post("/adapt", files=[("archive", ("pets.zip", answer.content))], data={"name": "again"})
    assert again.status_code == 202, again.json()
    assert again.json()["num_left_out"] == 2  # the adapter and the list


def test_an_export_has_a_folder_for_each_label_whatever_it_is_called(client, context, teach):
    labels = ["a/b", "a:b", "..", "🐓 ديك", "Rain", "rain", "background"]
    teach([(label, tone(300 + 77 * number)) for number, label in enumerate(labels)])
    answer = client.get("/adapters/pets/file", params={"clips": True})
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        folders = [name.partition("/")[0] for name in archive.namelist() if "/" in name]
    assert len({folder.casefold() for folder in folders}) == len(labels) and "🐓 ديك" in folders
    again = client.post("/adapt", data={"name": "again"}, files={"archive": ("again.zip", answer.content)})
    assert again.status_code == 202, again.text
    taught = {
        clip.label for clip, _ in context.jobs.uploads.usable(context.jobs.records.find(again.json()["id"]).upload_id)
    }
    assert len(taught) == len(labels) and {"🐓 ديك", "a_b"} < taught


def test_clips_from_the_field_are_told_and_so_is_what_brings_them_back(client, context, teach):
    teach(TWO)
    clap, store = context.pipeline.clap, context.store
    first = store.resolve("local", "pets")
    adapter = replace(Adapter.from_bytes(store.read(first), clap), channel=torch.linspace(-6, 6, clap.mel_bins))
    taught = Taught.as_before(store.clips(first))
    store.publish("local", "pets", adapter.to_bytes(), store.manifest(first), taught=taught)
    assert teach([("low", tone(333))], base="pets@2")["changes"]["through_channel"] == 1
    answer = client.get("/adapters/pets/clips").json()
    (name,) = answer["channels"]
    assert [row["channel"] for row in answer["clips"]] == [None] * 6 + [name]
    assert answer["channels"][name] == pytest.approx(adapter.channel.tolist())
    assert teach([("low", tone(333))], base="pets@2", channel="none")["changes"]["through_channel"] == 0
    assert client.get("/adapters/pets/clips").json()["channels"] == {}
    assert "name it too" in teach(TWO, channel="none", expect=422)["detail"]

    exported = client.get("/adapters/pets@3/file?clips=true").content
    told = json.loads(zipfile.ZipFile(io.BytesIO(exported)).read("clips.json"))
    assert told["channel"] == pytest.approx(adapter.channel.tolist()) and told["channels"].keys() == {name}
    again = client.post("/adapt", files=[("archive", ("pets.zip", exported))], data={"name": "again"})
    kept = Exported.read(context.jobs.uploads.directory(upload_of(context, again)))
    assert kept.marks[digest(tone(333))] == name and kept.channel == tuple(told["channel"])
    assert kept.level_db == told["level_db"] == adapter.level_db and not kept.is_as_recorded


def upload_of(context, answer):
    return context.jobs.records.get("local", answer.json()["id"]).upload_id


@pytest.mark.parametrize(
    "spoil",
    [
        lambda told: told | {"channels": {"a": [float("nan")]}},
        lambda told: told | {"channels": {}},
        lambda told: told | {"clips": None},
        lambda told: [told],
        lambda told: {"clips": []},
    ],
)
def test_what_only_looks_like_an_export_is_a_file_without_audio(client, context, spoil):
    told = {"channel": None, "channels": {"a": [1.0]}, "clips": [{"id": digest(LOW[0]), "channel": "a"}]}
    entries = [("low/1.wav", LOW[0]), ("high/1.wav", HIGH[0]), ("clips.json", json.dumps(spoil(told)).encode())]
    answer = client.post("/adapt", files=[("archive", ("pets.zip", zip_of(entries).getvalue()))], data={"name": "pets"})
    assert answer.status_code == 202 and answer.json()["num_left_out"] == 1
    assert Exported.read(context.jobs.uploads.directory(upload_of(context, answer))) == Exported()


def test_the_quota_is_told_and_held(client, context, teach, monkeypatch):
    monkeypatch.setattr("jobs.quota.MAX_AGE_S", 0.0)
    limits = client.get("/info").json()["limits"]
    assert {"max_adapters", "max_versions", "max_stored_bytes"} <= limits.keys()
    teach(TWO)
    stored = context.store.usage("local").stored_bytes
    context.jobs.quota.limits = StorageLimits(max_stored_bytes=stored + 10)
    refused = teach([("low", tone(333))], base="pets", expect=413)
    assert refused["code"] == "quota_exceeded" and refused["limit"]["name"] == "max_stored_bytes"
    file = client.get("/adapters/pets/file").content
    assert client.post("/adapters/other/file", content=file).json()["limit"]["name"] == "max_stored_bytes"
    context.jobs.quota.limits = StorageLimits(max_versions=1)
    assert teach(TWO, expect=413)["limit"] == {"name": "max_versions", "value": 1}
    assert client.put("/adapters/pets/thresholds", json={"sensitivity": "high"}).json()["code"] == "quota_exceeded"
    context.jobs.quota.limits = StorageLimits()
    client.delete("/adapters/pets")
    assert context.store.usage("local").stored_bytes < 1000
