"""Archives with `train` and `test` beside each other: fitted on the one, evaluated on the other."""

import pytest

from jobs.errors import ArchiveInvalid, UploadInvalid
from tests.jobs.archives import zip_of
from tests.worker.sounds import tone


def added(uploads, *paths):
    upload = uploads.new_upload()
    entries = [(path, tone(200 + 90 * number, seed=number)) for number, path in enumerate(paths)]
    uploads.add_archive(upload, zip_of(entries))
    return upload


def labels(clips):
    return [label for _, label in clips.clips]


@pytest.mark.parametrize(("train", "test"), [("train", "test"), ("Training", "EVAL"), ("all/train", "all/testing")])
def test_what_lies_in_test_is_not_taught(uploads, train, test):
    paths = [f"{train}/cat/1.wav", f"{train}/dog/2.wav", f"{test}/cat/3.wav", f"{test}/owl/4.wav"]
    upload = added(uploads, *paths, f"{test}/background/5.wav", f"{train}/background/6.wav")
    uploads.check_audio(upload)
    taught, tested = uploads.evaluation_clips(upload), uploads.evaluation_clips(upload, is_test=True)
    assert (labels(taught), len(taught.background)) == (["cat", "dog"], 1)
    assert (labels(tested), len(tested.background)) == (["cat", "owl"], 1)
    assert [clip.filename for clip, _ in uploads.usable(upload)] == [paths[0], paths[1], f"{train}/background/6.wav"]


def test_the_part_is_part_of_what_was_sent(uploads):
    first = added(uploads, "train/cat/1.wav", "train/dog/2.wav", "test/cat/3.wav")
    second = added(uploads, "test/cat/1.wav", "train/dog/2.wav", "train/cat/3.wav")
    assert uploads.digest(first) != uploads.digest(second)


def test_a_clip_in_both_parts_is_told(uploads):
    upload = uploads.new_upload()
    entries = [("train/cat/1.wav", tone(200)), ("train/dog/2.wav", tone(900)), ("test/cat/3.wav", tone(200))]
    uploads.add_archive(upload, zip_of(entries))
    assert [warning.code for warning in uploads.check_audio(upload).warnings] == ["clip_repeated"]


def test_labels_must_be_taught(uploads):
    upload = added(uploads, "train/cat/1.wav", "test/dog/2.wav")
    with pytest.raises(UploadInvalid, match="the only one found is 'cat'"):
        uploads.check_audio(upload)


@pytest.mark.parametrize(
    "paths",
    [
        ["train/cat/1.wav", "test/cat/2.wav", "val/cat/3.wav"],
        ["train/cat/1.wav", "test/cat/2.wav", "dog/3.wav"],
        ["val/cat/1.wav", "test/cat/2.wav"],
        ["cat/train/1.wav", "dog/test/1.wav"],
    ],
)
def test_other_parts_are_refused_as_before(uploads, paths):
    with pytest.raises(ArchiveInvalid):
        added(uploads, *paths)
