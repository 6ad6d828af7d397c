import contextlib
import io
import os
import stat
import tarfile
import time
import zipfile

import pytest

from aspl.errors import LabelsInvalid
from jobs.errors import (
    ArchiveInvalid,
    StagingUnavailable,
    UploadInvalid,
    UploadNotFound,
    UploadTooLarge,
)
from jobs.limits import UploadLimits
from jobs.uploads import Uploads
from tests.jobs.archives import ARCHIVES, zip_of
from tests.worker.sounds import tone


@pytest.fixture
def upload(uploads):
    return uploads.new_upload()


def test_clips_come_back_in_order_with_their_labels(uploads, upload):
    uploads.add_clip(upload, " dog ", [b"ab", b"c"])
    uploads.add_clip(upload, "Katze 🐱", io.BytesIO(b"def"))
    loaded = uploads.evaluation_clips(upload).clips
    assert [(path.read_bytes(), label) for path, label in loaded] == [(b"abc", "dog"), (b"def", "Katze 🐱")]


def test_a_full_disk_is_named(uploads, upload):
    uploads.add_clip(upload, "dog", [b"a"])
    manifest = uploads.directory(upload) / "manifest.json"
    manifest.unlink()
    manifest.symlink_to("/dev/full")
    with pytest.raises(StagingUnavailable, match=r"No space left on device.*try again later"):
        uploads.add_clip(upload, "cat", [b"b"])


def test_a_disk_that_is_not_there_is_named(uploads):
    uploads.root.write_text("not a directory")
    with pytest.raises(StagingUnavailable):
        uploads.new_upload()


def test_a_clip_that_cannot_be_read_back_is_named(uploads, upload):
    for label in ("dog", "cat"):
        uploads.add_clip(upload, label, [b"a"])
    path, _ = uploads.evaluation_clips(upload).clips[0]
    path.unlink()
    path.mkdir()
    with pytest.raises(StagingUnavailable):
        uploads.check_audio(upload)


def test_the_digest_is_of_labels_and_bytes_alone(uploads):
    made = [uploads.new_upload() for _ in range(4)]
    contents = [("dog", b"a", "1.wav"), ("dog", b"a", "2.wav"), ("cat", b"a", "1.wav"), ("dog", b"b", "1.wav")]
    for upload, (label, data, filename) in zip(made, contents, strict=True):
        uploads.add_clip(upload, label, [data], filename=filename)
    digests = [uploads.digest(upload) for upload in made]
    assert digests[0] == digests[1] and len(set(digests)) == 3


def test_adding_a_clip_costs_the_same_however_many_there_are(uploads, upload, monkeypatch):
    reads = []
    clips = Uploads.clips
    monkeypatch.setattr(Uploads, "clips", lambda *arguments: reads.append(arguments) or clips(*arguments))
    for number in range(30):
        uploads.add_clip(upload, f"label {number}", [b"a"])
    assert len(reads) <= 1
    assert len(uploads.evaluation_clips(upload).clips) == 30


@pytest.mark.parametrize("label", ["", "  ", "x" * 201, "a\0b", "\u202edog"])
def test_unusable_labels_are_refused(uploads, upload, label):
    with pytest.raises(LabelsInvalid):
        uploads.add_clip(upload, label, [b"a"])


@pytest.mark.parametrize(
    ("limits", "limit"),
    [
        ({"max_clip_bytes": 3}, "max_clip_bytes"),
        ({"max_upload_bytes": 9}, "max_upload_bytes"),
        ({"max_clips": 2}, "max_clips"),
        ({"max_labels": 2}, "max_labels"),
    ],
)
def test_limits_are_named(tmp_path, limits, limit):
    uploads = Uploads(tmp_path, UploadLimits(**limits))
    upload = uploads.new_upload()
    with pytest.raises(UploadTooLarge, match=limit):
        for label in ("a", "b", "c"):
            uploads.add_clip(upload, label, [b"12", b"34"])
    assert len(list(uploads.directory(upload).glob("*.clip"))) == len(uploads.clips(upload))


@pytest.mark.parametrize("upload_id", ["..", "../..", "/etc", "", "a" * 32, "0" * 31 + "/"])
def test_only_ids_of_ours_are_directories(uploads, upload_id):
    with pytest.raises(UploadNotFound):
        uploads.directory(upload_id)
    uploads.remove(upload_id)


def test_removing_leaves_nothing(uploads, upload):
    uploads.add_clip(upload, "dog", [b"a"])
    uploads.remove(upload)
    assert list(uploads.root.iterdir()) == []
    uploads.remove(upload)


def test_the_sweep_takes_old_uploads_without_a_job(uploads):
    old, used, young = (uploads.new_upload() for _ in range(3))
    past = time.time() - 1000
    for upload in (old, used):
        os.utime(uploads.directory(upload), (past, past))
    assert uploads.sweep({used}, older_than_s=500) == [old]
    assert {path.name for path in uploads.root.iterdir()} == {used, young}


def test_two_labels_are_needed(uploads, upload):
    uploads.add_clip(upload, "dog", [b"a"])
    with pytest.raises(UploadInvalid, match="2"):
        uploads.check_labels(upload)


def test_clips_that_do_not_decode_are_left_out(uploads, upload):
    for number, label in enumerate(["dog", "dog", "cat"]):
        uploads.add_clip(upload, label, [tone(300 + 100 * number)])
    uploads.add_clip(upload, "cat", [tone(500)[:60]], filename="broken.wav")
    findings = uploads.check_audio(upload)
    assert [(file.file, file.label) for file in findings.left_out] == [("broken.wav", "cat")]
    assert findings.left_out[0].error["code"].startswith("audio_")
    assert [label for _, label in uploads.evaluation_clips(upload).clips] == ["dog", "dog", "cat"]


def test_a_label_without_a_usable_clip_is_named(uploads, upload):
    uploads.add_clip(upload, "dog", [tone(300)])
    uploads.add_clip(upload, "cat", [b"no audio"], filename="cat.txt")
    with pytest.raises(UploadInvalid, match=r"'cat' can be used: cat.txt: "):
        uploads.check_audio(upload)


def test_seconds_of_audio_are_limited_in_all(tmp_path):
    uploads = Uploads(tmp_path, UploadLimits(max_upload_s=0.5))
    upload = uploads.new_upload()
    for label in ("dog", "cat"):
        uploads.add_clip(upload, label, [tone(300)])
    with pytest.raises(UploadTooLarge, match="max_upload_s"):
        uploads.check_audio(upload)


@pytest.mark.parametrize("make", ARCHIVES.values(), ids=ARCHIVES)
def test_folders_of_an_archive_are_labels(uploads, upload, make):
    entries = [
        ("clips/dog/1.wav", b"a"),
        ("clips/dog/.hidden", b"x"),
        ("__MACOSX/clips/dog/1.wav", b"x"),
        ("clips/.DS_Store", b"x"),
        ("clips/große katze/1.wav", b"b"),
    ]
    uploads.add_archive(upload, make(entries))
    assert [(path.read_bytes(), label) for path, label in uploads.evaluation_clips(upload).clips] == [
        (b"a", "dog"),
        (b"b", "große katze"),
    ]


def test_files_of_an_archive_that_are_no_clips_are_listed_and_not_kept(uploads, upload):
    entries = [
        ("README", b"read me"),
        ("labels.csv", b"dog,cat"),
        ("stray.wav", tone(100)),
        ("dog/1.wav", tone(300)),
        ("dog/cover.jpg", b"\xff\xd8\xff\xe0" + bytes(100)),
        ("dog/photo.heic", b"\0\0\0\x18ftypheic" + bytes(100)),
        ("dog/notes/more.txt", b"deeper"),
        ("docs/manual.pdf", b"%PDF-1.7"),
        ("cat/recorded", tone(500)),
        ("cat/broken.wav", b"RIFF"),
    ]
    uploads.add_archive(upload, zip_of(entries))
    findings = uploads.check_audio(upload)
    left_out = [(file.file, file.label, file.error["code"]) for file in findings.left_out]
    assert left_out == [
        ("README", None, "audio_unsupported"),
        ("labels.csv", None, "audio_unsupported"),
        ("stray.wav", None, "labels_invalid"),
        ("dog/cover.jpg", None, "audio_unsupported"),
        ("dog/photo.heic", None, "audio_unsupported"),
        ("dog/notes/more.txt", None, "audio_unsupported"),
        ("docs/manual.pdf", None, "audio_unsupported"),
        ("cat/broken.wav", "cat", "audio_unsupported"),
    ]
    assert findings.num_left_out == 8
    assert [label for _, label in uploads.evaluation_clips(upload).clips] == ["dog", "cat"]
    assert len(list(uploads.directory(upload).glob("*.clip"))) == 3


def test_files_that_are_no_clips_count_for_no_limit_of_clips(tmp_path):
    uploads = Uploads(tmp_path, UploadLimits(max_clips=2, max_upload_bytes=100))
    upload = uploads.new_upload()
    notes = [(f"notes/{number}.txt", b"x" * 60) for number in range(9)]
    uploads.add_archive(upload, zip_of([*notes[:3], ("dog/1.wav", b"a"), *notes[3:6], ("cat/1.wav", b"b"), *notes[6:]]))
    assert [label for _, label in uploads.evaluation_clips(upload).clips] == ["dog", "cat"]
    with pytest.raises(UploadTooLarge, match="max_clips"):
        uploads.add_clip(upload, "dog", [b"c"])
    with pytest.raises(UploadTooLarge, match="max_clips"):
        uploads.add_archive(uploads.new_upload(), zip_of([(f"dog/{number}.wav", b"a") for number in range(3)]))


def test_what_is_listed_is_bounded_and_counted(uploads, upload):
    notes = [(f"dog/{number}{'x' * 240}.txt", b"x") for number in range(150)]
    clips = [(f"{label}/{number}.wav", tone(300)) for label in ("dog", "cat") for number in range(60)]
    uploads.add_archive(upload, zip_of([*notes, *clips]))
    findings = uploads.check_audio(upload)
    assert (len(findings.left_out), findings.num_left_out) == (100, 150)
    assert (len(findings.warnings), findings.num_warnings) == (100, 119)
    assert all(len(file.file) <= 200 and file.file.endswith("x.txt") for file in findings.left_out)


def test_clips_that_come_twice_are_named(uploads, upload):
    same, silent = tone(300), tone(300)[:44] + bytes(28_800)
    for label, data, name in [
        ("dog", same, "1.wav"),
        ("dog", same, "2.wav"),
        ("cat", same, "3.wav"),
        ("cat", silent, "4.wav"),
        ("cat", tone(400)[:-2000], "5.wav"),
    ]:
        uploads.add_clip(upload, label, [data], filename=name)
    warnings = uploads.check_audio(upload).warnings
    assert [(warning.code, warning.file, warning.label) for warning in warnings] == [
        ("clip_repeated", "2.wav", "dog"),
        ("clip_in_two_labels", "3.wav", "cat"),
        ("audio_silent", "4.wav", "cat"),
        ("audio_truncated", "5.wav", "cat"),
    ]
    assert "1.wav" in warnings[0].detail and "'dog'" in warnings[1].detail


def test_two_spellings_of_a_label_are_one(uploads, upload):
    archive = zip_of([("be\u0301be\u0301/1.wav", b"a"), ("bébé/2.wav", b"b"), ("dog\u00a0 bark/1.wav", b"c")])
    assert [clip.label for clip in uploads.add_archive(upload, archive)] == ["bébé", "bébé", "dog bark"]
    assert uploads.add_clip(upload, "dog bark\n", [b"d"]).label == "dog bark"


def test_a_folder_that_is_no_label_is_named(uploads, upload):
    with pytest.raises(LabelsInvalid, match=r"the folder of 'do\\u202eg/1.wav' is no label.*U\+202E"):
        uploads.add_archive(upload, zip_of([("do\u202eg/1.wav", b"a"), ("cat/1.wav", b"b")]))


def test_every_clip_of_a_label_that_fails_is_named(uploads, upload):
    entries = [("dog/1.wav", tone(300)), *((f"cat/{number}.wav", b"no audio") for number in range(30))]
    uploads.add_archive(upload, zip_of(entries))
    with pytest.raises(UploadInvalid, match=r"'cat' can be used: cat/0.wav: .*; cat/19.wav: .*; and 10 more"):
        uploads.check_audio(upload)


def test_labels_that_were_found_are_named_where_they_do_not_suffice(uploads, upload):
    uploads.add_archive(upload, zip_of([("dog/1.wav", b"a"), ("cat/1.txt", b"b")]))
    with pytest.raises(UploadInvalid, match=r"the only one found is 'dog'. Left out: cat/1.txt: "):
        uploads.check_labels(upload)


@pytest.mark.parametrize("entries", [[], [("README.txt", b"x")], [("dog/notes.txt", b"x"), ("x.csv", b"y")]])
def test_archives_without_clips_are_refused(uploads, upload, entries):
    with pytest.raises(ArchiveInvalid, match="no folder with clips"):
        uploads.add_archive(upload, zip_of(entries))


@pytest.mark.parametrize("name", ["../dog/1.wav", "/dog/1.wav", "dog/../../1.wav", "C:/dog/1.wav", "..\\dog\\1.wav"])
@pytest.mark.parametrize("make", ARCHIVES.values(), ids=ARCHIVES)
def test_paths_that_lead_outside_are_refused(uploads, upload, make, name):
    with pytest.raises(ArchiveInvalid, match="outside"):
        uploads.add_archive(upload, make([(name, b"a")]))
    assert [path.name for path in uploads.root.parent.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_in_a_tar_are_refused(uploads, upload, kind):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        info = tarfile.TarInfo("dog/1.wav")
        info.type, info.linkname = kind, "/etc/passwd"
        archive.addfile(info)
    file.seek(0)
    with pytest.raises(ArchiveInvalid, match="link or a device"):
        uploads.add_archive(upload, file)


def test_links_in_a_zip_are_refused(uploads, upload):
    info = zipfile.ZipInfo("dog/1.wav")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with pytest.raises(ArchiveInvalid, match="link"):
        uploads.add_archive(upload, zip_of([(info, b"/etc/passwd")]))


@pytest.mark.parametrize("make", ARCHIVES.values(), ids=ARCHIVES)
def test_files_in_no_folder_are_refused(uploads, upload, make):
    with pytest.raises(ArchiveInvalid, match="folder is its label"):
        uploads.add_archive(upload, make([("1.wav", b"a")]))


@pytest.mark.parametrize(
    ("name", "limits"),
    [
        ("max_archive_members", {"max_archive_members": 3, "max_archive_ratio": 1e6}),
        ("max_archive_ratio", {"max_archive_ratio": 2}),
        ("max_upload_bytes", {"max_upload_bytes": 1_000_000, "max_archive_ratio": 1e6}),
        ("max_clip_bytes", {"max_clip_bytes": 1_000_000, "max_archive_ratio": 1e6}),
    ],
)
@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_archives_over_a_limit_are_refused(tmp_path, kind, name, limits):
    uploads = Uploads(tmp_path, UploadLimits(**limits))
    archive = ARCHIVES[kind]([(f"dog/{number}.wav", bytes(2_000_000)) for number in range(4)])
    with pytest.raises(UploadTooLarge, match=name):
        uploads.add_archive(uploads.new_upload(), archive)


def test_a_zip_with_a_huge_directory_is_refused_before_it_is_read(tmp_path):
    uploads = Uploads(tmp_path, UploadLimits(max_archive_members=1))
    with pytest.raises(UploadTooLarge, match="max_archive_members"):
        uploads.add_archive(uploads.new_upload(), zip_of([(f"dog/{number}.wav", b"") for number in range(20)]))


@pytest.mark.parametrize("make", ARCHIVES.values(), ids=ARCHIVES)
def test_damaged_archives_are_named(uploads, upload, make):
    data = make([(f"dog/{number}.wav", os.urandom(5000)) for number in range(5)]).getvalue()
    for length in range(0, len(data) - 1100, len(data) // 7):
        with pytest.raises(ArchiveInvalid):
            uploads.add_archive(uploads.new_upload(), io.BytesIO(data[:length]))


def test_flipped_bytes_of_an_archive_never_crash(uploads):
    data = bytearray(zip_of([(f"dog/{number}.wav", b"abc" * 1000) for number in range(3)]).getvalue())
    for position in range(0, len(data), 3):
        flipped = bytearray(data)
        flipped[position] ^= 0xFF
        upload = uploads.new_upload()
        with contextlib.suppress(UploadInvalid, UploadTooLarge, LabelsInvalid):
            uploads.add_archive(upload, io.BytesIO(flipped))


def test_a_damaged_file_of_a_zip_is_left_out_and_named(uploads):
    data = zip_of([("dog/1.wav", tone(440)), ("dog/2.wav", b"RIFF" + b"q" * 3000)], zipfile.ZIP_STORED).getvalue()
    upload = uploads.new_upload()
    files = uploads.add_archive(upload, io.BytesIO(data.replace(b"qqq", b"qxq", 1)))
    assert [(file.label, file.error and file.error["code"]) for file in files] == [
        ("dog", None),
        (None, "archive_invalid"),
    ]
    assert len(uploads.evaluation_clips(upload).clips) == 1
