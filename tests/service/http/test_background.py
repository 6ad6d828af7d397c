"""Clips of the background on their way to a job."""

import io
import zipfile

import pytest

from tests.service.sounds import tone

DOG, CAT, STREET = (("clips", (f"{name}.wav", tone(hz))) for name, hz in (("dog", 440), ("cat", 900), ("street", 2000)))
BACKGROUND = ("background", STREET[1])


def zip_of(*names):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for number, name in enumerate(names):
            archive.writestr(name, tone(300 + 100 * number))
    return [("archive", ("clips.zip", file.getvalue()))]


@pytest.fixture
def adapt(client, context):
    """Send the form; the answer, the labels that are taught, and the number of clips of background."""

    def send(files, **data):
        answer = client.post("/adapt", files=files, data={"name": "animals", **data})
        if answer.status_code != 202:
            return answer, [], 0
        record = context.jobs.records.get("local", answer.json()["id"])
        clips = context.jobs.uploads.evaluation_clips(record.upload_id)
        return answer, sorted({label for _, label in clips.clips}), len(clips.background)

    return send


def test_one_label_beside_a_background_is_enough(adapt):
    answer, labels, num_background = adapt([DOG, BACKGROUND], labels=["dog"])
    assert (answer.status_code, labels, num_background) == (202, ["dog"], 1)


def test_a_trained_prompt_still_takes_two_labels(adapt):
    answer, _, _ = adapt([DOG, CAT], labels=["dog", "dog"], method="palm")
    assert (answer.status_code, answer.json()["code"]) == (422, "upload_invalid")
    assert "2 different labels" in answer.json()["detail"]


@pytest.mark.parametrize("method", ["palm", "coop", "cocoop", "zero_shot", "ridge"])
def test_every_method_takes_a_background(adapt, method):
    answer, labels, num_background = adapt([DOG, CAT, BACKGROUND], labels=["dog", "cat"], method=method)
    assert (answer.status_code, labels, num_background) == (202, ["cat", "dog"], 1)


def test_a_background_alone_is_refused(adapt):
    for files, data in (
        ([DOG], {"labels": ["dog"], "background_labels": ["dog"]}),
        (zip_of("background/1.wav"), {}),
        (zip_of("background/1.wav", "_background/2.wav"), {}),
    ):
        answer, _, _ = adapt(files, **data)
        assert (answer.status_code, answer.json()["code"]) == (422, "upload_invalid"), answer.text
        assert "background" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("names", "taught", "num_background"),
    [
        (["dog/1.wav", "cat/2.wav", "background/3.wav"], ["cat", "dog"], 1),
        (["my/dog/1.wav", "my/cat/2.wav", "my/_Background/3.wav"], ["cat", "dog"], 1),
        (["dog/1.wav", "background/3.wav"], ["dog"], 1),
        (["sounds/dog/1.wav", "sounds/cat/2.wav", "background/3.wav", "background/far/4.wav"], ["cat", "dog"], 2),
        (["background/dog/1.wav", "background/cat/2.wav"], ["cat", "dog"], 0),
        (["dog/1.wav", "cat/2.wav"], ["cat", "dog"], 0),
    ],
)
def test_a_folder_of_background_stands_beside_the_labels(adapt, names, taught, num_background):
    answer, *found = adapt(zip_of(*names))
    assert answer.status_code == 202, answer.text
    assert found == [taught, num_background]


@pytest.mark.parametrize("named", [["noise", "other"], ['["noise", "other"]'], [" noise ", "other"]])
def test_labels_may_be_called_background(adapt, named):
    files = [DOG, CAT, STREET, ("clips", ("hum.wav", tone(50)))]
    answer, *found = adapt(files, labels=["dog", "cat", "noise", "other"], background_labels=named)
    assert found == [["cat", "dog"], 2]
    assert answer.json()["warnings"] == []
    answer, *found = adapt(zip_of("dog/1.wav", "cat/2.wav", "noise/3.wav", "other/4.wav"), background_labels=named)
    assert found == [["cat", "dog"], 2]


def test_a_label_that_looks_like_background_is_warned_of(adapt):
    answer, *found = adapt([DOG, CAT, STREET], labels=["dog", "cat", "Noise"])
    assert found == [["Noise", "cat", "dog"], 0]
    (warning,) = answer.json()["warnings"]
    assert (warning["code"], warning["label"], warning["file"]) == ("label_like_background", "Noise", "street.wav")


def test_a_background_label_that_no_clip_has_is_named(adapt):
    for files, labels in (([DOG, CAT], ["dog", "cat"]), (zip_of("dog/1.wav", "cat/2.wav"), [])):
        answer, _, _ = adapt(files, labels=labels, background_labels=["hum"])
        assert (answer.status_code, answer.json()["code"]) == (422, "upload_invalid")
        assert "'hum'" in answer.json()["detail"]


def test_a_background_of_which_nothing_can_be_used_is_refused(adapt):
    answer, _, _ = adapt([DOG, CAT, ("background", ("street.wav", b"no sound"))], labels=["dog", "cat"])
    assert (answer.status_code, answer.json()["code"]) == (422, "upload_invalid")
    assert "street.wav" in answer.json()["detail"]


def test_background_and_taught_clips_are_other_bodies(client):
    data = {"name": "animals", "labels": ["dog", "background"]}
    keyed = {"Idempotency-Key": "once"}
    first = client.post("/adapt", files=[DOG, STREET], data=data, headers=keyed)
    assert first.status_code == 202
    again = client.post("/adapt", files=[DOG, BACKGROUND], data={**data, "labels": ["dog"]}, headers=keyed)
    assert again.json()["code"] == "idempotency_mismatch"
