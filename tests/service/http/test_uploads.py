"""What an upload holds, over HTTP: every label and every file is taken, or named with why it is not."""

import io
import json
import os
import tarfile
import zipfile

import httpx2
import numpy as np
import pytest
import soundfile

from tests.jobs.archives import ARCHIVES, zip_of, zip_of_raw_names
from tests.service.sounds import RATE_HZ, tone, wav

NAMES = ["dog/0.wav", "dog/1.wav", "rain/0.wav", "rain/1.wav"]
CLIPS = [(name, tone(200 + 50 * at)) for at, name in enumerate(NAMES)]
NOISES = np.random.default_rng(0).uniform(-0.5, 0.5, (4, 6 * RATE_HZ))
LARGE_CLIPS = [(name, wav(noise)) for name, noise in zip(NAMES, NOISES, strict=True)]


def renamed(*folders):
    """The clips in other folders, one after the other."""
    return [
        (f"{folder}/{number}.wav", data) for number, (folder, (_, data)) in enumerate(zip(folders, CLIPS, strict=False))
    ]


# Archives


@pytest.mark.parametrize("entries", [CLIPS, LARGE_CLIPS], ids=["small", "large"])
@pytest.mark.parametrize("make", ARCHIVES.values(), ids=ARCHIVES)
def test_archives_of_every_kind_are_taken(adapt, make, entries):
    archive = make(entries)
    assert (len(archive.getvalue()) > 2**20) == (entries is LARGE_CLIPS)  # where an upload goes to disk
    answer, labels = adapt(archive)
    assert (answer.status_code, labels) == (202, ["dog", "rain"]), answer.json()
    assert (answer.json()["left_out"], answer.json()["warnings"]) == ([], [])


def test_a_small_archive_is_taken_over_a_socket(address):
    archive = ARCHIVES["tar.gz"](CLIPS).getvalue()
    answer = httpx2.post(f"{address}/adapt", files={"archive": ("a.tar.gz", archive)}, data={"name": "animals"})
    assert answer.status_code == 202, answer.text


@pytest.mark.parametrize(("magic", "kind"), [(b"7z\xbc\xaf\x27\x1c", "7z"), (b"Rar!\x1a\x07\x01\0", "RAR")])
def test_archives_of_other_kinds_are_named(adapt, magic, kind):
    answer, _ = adapt(io.BytesIO(magic + os.urandom(1000)))
    assert (answer.status_code, answer.json()["code"]) == (422, "archive_invalid")
    assert kind in answer.json()["detail"] and "zip" in answer.json()["detail"]


def test_a_label_that_holds_sessions_is_refused_with_what_was_found(adapt):
    answer, _ = adapt(zip_of(renamed("dog/s1", "dog/s2", "rain/s1", "rain/s2")))
    assert (answer.status_code, answer.json()["code"]) == (422, "archive_invalid")
    assert all(f"'{name}'" in answer.json()["detail"] for name in ("dog", "rain", "s1", "s2"))


def test_folders_that_all_clips_share_are_passed_over(adapt):
    answer, labels = adapt(zip_of(renamed("set/dog/audio", "set/dog/audio", "set/rain/audio")))
    assert (answer.status_code, labels) == (202, ["dog", "rain"])


@pytest.mark.parametrize("folders", [("train/dog", "train/rain", "val/dog", "val/rain"), ("dog", "rain", "Test")])
def test_parts_of_a_data_set_are_refused(adapt, folders):
    answer, _ = adapt(zip_of(renamed(*folders)))
    assert (answer.status_code, answer.json()["code"]) == (422, "archive_invalid")
    assert "parts of a data set" in answer.json()["detail"]


def test_what_is_no_audio_is_left_out_and_listed(adapt):
    others = [("README.txt", b"hello"), ("dog/notes.csv", b"a,b"), (".DS_Store", b"x"), ("__MACOSX/dog/._0.wav", b"x")]
    answer, labels = adapt(zip_of([*others, *CLIPS]))
    assert (answer.status_code, labels) == (202, ["dog", "rain"])
    error = {"code": "audio_unsupported", "detail": "the file holds no audio"}
    assert answer.json()["left_out"] == [
        {"file": "README.txt", "label": None, "error": error},
        {"file": "dog/notes.csv", "label": None, "error": error},
    ]


def test_a_clip_in_no_folder_is_left_out_and_listed(adapt):
    answer, labels = adapt(zip_of([*CLIPS, ("stray.wav", tone(999))]))
    assert (answer.status_code, labels) == (202, ["dog", "rain"])
    assert [(row["file"], row["error"]["code"]) for row in answer.json()["left_out"]] == [
        ("stray.wav", "labels_invalid")
    ]


def test_a_broken_clip_is_named_in_the_answer_the_job_and_its_events(address, context):
    archive = zip_of([*CLIPS, ("dog/3.wav", b"RIFF\x10\0\0\0WAVE")]).getvalue()
    answer = httpx2.post(f"{address}/adapt", files={"archive": ("a.zip", archive)}, data={"name": "animals"})
    job = answer.json()
    assert answer.status_code == 202
    assert [(row["file"], row["label"]) for row in job["left_out"]] == [("dog/3.wav", "dog")]
    assert job["left_out"][0]["error"]["code"].startswith("audio_") and job["num_left_out"] == 1
    assert httpx2.get(f"{address}/jobs/{job['id']}").json() == job
    listed = {name: value for name, value in job.items() if name != "report"}
    assert httpx2.get(f"{address}/jobs").json()["jobs"] == [listed]
    context.jobs.records.update(job["id"], state="cancelled")
    stream = httpx2.get(f"{address}/jobs/{job['id']}/events", timeout=20).text
    events = [json.loads(line[6:]) for line in stream.splitlines() if line.startswith("data: ")]
    assert [event["state"] for event in events] == ["queued", "cancelled"]
    assert all(event["left_out"] == job["left_out"] for event in events)


def test_a_replay_names_what_was_left_out_too(client):
    archive = zip_of([*CLIPS, ("README.txt", b"hello")]).getvalue()
    first, again = (
        client.post(
            "/adapt",
            files={"archive": ("a.zip", archive)},
            data={"name": "animals"},
            headers={"Idempotency-Key": "once"},
        ).json()
        for _ in range(2)
    )
    assert again == first and first["num_left_out"] == 1


def test_every_clip_of_a_label_that_fails_is_named(adapt):
    answer, _ = adapt(zip_of([*CLIPS, ("cat/1.wav", b"RIFF"), ("cat/2.mp3", b"nothing")]))
    assert (answer.status_code, answer.json()["code"]) == (422, "upload_invalid")
    assert "cat/1.wav: " in answer.json()["detail"] and "cat/2.mp3: " in answer.json()["detail"]


def test_one_label_is_refused_by_name_where_two_are_needed(adapt):
    answer, _ = adapt(zip_of(CLIPS[:2]), method="palm")
    assert (answer.status_code, answer.json()["code"]) == (422, "upload_invalid")
    assert "'dog'" in answer.json()["detail"]


# Names in archives


def test_names_in_utf8_without_a_flag_are_read(adapt):
    raw = [(name.replace("dog", "bébé").encode(), data) for name, data in CLIPS]
    answer, labels = adapt(zip_of_raw_names(raw))
    assert (answer.status_code, labels) == (202, ["bébé", "rain"])


def test_names_that_cannot_be_told_are_refused(adapt):
    raw = [(name.replace("dog", "Gerät").encode("cp1252"), data) for name, data in CLIPS]
    answer, _ = adapt(zip_of_raw_names(raw))
    assert (answer.status_code, answer.json()["code"]) == (422, "archive_invalid")
    assert "UTF-8" in answer.json()["detail"]


def test_names_in_a_tar_that_are_not_utf8_are_refused(adapt):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name, data in CLIPS:
            info = tarfile.TarInfo(name.replace("dog", "Ger\udce4t"))
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    answer, _ = adapt(file)
    assert (answer.status_code, answer.json()["code"]) == (422, "archive_invalid")


@pytest.mark.parametrize(
    ("folders", "label"),
    [(("bébé", "be\u0301be\u0301"), "bébé"), (("dog\u00a0bark", "dog bark", "dog  bark "), "dog bark")],
)
def test_two_spellings_of_a_folder_are_one_label(adapt, folders, label):
    answer, labels = adapt(zip_of(renamed(*folders, "rain")))
    assert (answer.status_code, labels) == (202, [label, "rain"])


# Clips that are used, but odd


def test_a_clip_that_is_silent_in_mono_is_named(adapt):
    file = io.BytesIO()
    wave = (16_000 * np.sin(np.arange(RATE_HZ) / 20)).astype(np.int16)
    soundfile.write(file, np.stack([wave, -wave], axis=1), RATE_HZ, format="WAV", subtype="PCM_16")
    answer, _ = adapt(clips=[("anti.wav", file.getvalue()), ("b.wav", tone(300))], labels=["dog", "rain"])
    (warning,) = answer.json()["warnings"]
    assert (answer.status_code, warning["code"], warning["file"], warning["label"]) == (
        202,
        "audio_silent",
        "anti.wav",
        "dog",
    )
    assert "silent when its channels are mixed to mono" in warning["detail"]


def test_clips_that_come_twice_are_named(adapt):
    same = tone(300)
    clips = [("a.wav", same), ("b.wav", same), ("c.wav", same)]
    answer, _ = adapt(clips=clips, labels=["dog", "dog", "rain"])
    assert [(row["code"], row["file"]) for row in answer.json()["warnings"]] == [
        ("clip_repeated", "b.wav"),
        ("clip_in_two_labels", "c.wav"),
    ]


def test_a_clip_that_breaks_off_is_named(adapt):
    answer, _ = adapt(clips=[("a.wav", tone(300)[:-9000]), ("b.wav", tone(400))], labels=["dog", "rain"])
    assert [(row["code"], row["file"]) for row in answer.json()["warnings"]] == [("audio_truncated", "a.wav")]


def test_a_zip_in_the_place_of_a_clip_is_left_out(adapt):
    answer, labels = adapt(zip_of([*CLIPS, ("dog/more.zip", zip_of(CLIPS).getvalue())]))
    assert (answer.status_code, labels) == (202, ["dog", "rain"])
    assert [row["file"] for row in answer.json()["left_out"]] == ["dog/more.zip"]


def test_an_archive_with_a_folder_alone_is_refused(adapt):
    answer, _ = adapt(zip_of([(zipfile.ZipInfo("dog/"), b"")]))
    assert (answer.status_code, answer.json()["code"]) == (422, "archive_invalid")
