import bz2
import contextlib
import gzip
import io
import lzma
import os
import struct
import subprocess
import tarfile
import tempfile
import zipfile
import zlib

import pytest

from jobs.archives import MAX_NAME_CHARS, members
from jobs.errors import ArchiveInvalid, MemberDamaged, UploadTooLarge
from jobs.limits import MIB, UploadLimits
from tests.jobs.archives import ARCHIVES, tar_of, zip_of, zip_of_raw_names

LIMITS = UploadLimits()
ENTRIES = [("dog/1.wav", b"a" * 3000), ("rain/1.wav", b"b")]


def read(archive, limits=LIMITS):
    return [(str(member.path), b"".join(member.chunks)) for member in members(archive, limits)]


def names(archive):
    return [name for name, _ in read(archive)]


def unicode_path(raw: bytes, name: str, *, version: int = 1, crc: int | None = None) -> bytes:
    content = struct.pack("<BL", version, zlib.crc32(raw) if crc is None else crc) + name.encode()
    return struct.pack("<HH", 0x7075, len(content)) + content


@pytest.mark.parametrize("make", ARCHIVES.values(), ids=ARCHIVES)
@pytest.mark.parametrize("spooled_bytes", [2**20, 10])
def test_every_kind_is_read_from_an_upload_in_memory_and_on_disk(make, spooled_bytes):
    with tempfile.SpooledTemporaryFile(max_size=spooled_bytes) as file:
        file.write(make(ENTRIES).getvalue())
        file.seek(0)
        assert read(file) == ENTRIES


@pytest.mark.parametrize("tar_format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_tars_of_every_format_are_read(tar_format):
    long = f"{'clips of animals/' * 7}große katze/1.wav" if tar_format != tarfile.USTAR_FORMAT else "große katze/1.wav"
    assert read(tar_of([(long, b"a")], "w", tar_format)) == [(long, b"a")]


def test_a_tar_that_bears_no_mark_is_read():
    data = bytearray(tar_of(ENTRIES, "w", tarfile.USTAR_FORMAT).getvalue())
    for at in (0, 512 * 7):  # the second header lies behind one of 3000 bytes
        data[at + 257 : at + 265] = bytes(8)
        data[at + 148 : at + 156] = b"%06o\0 " % (sum(data[at : at + 148]) + 8 * 32 + sum(data[at + 156 : at + 512]))
    assert read(io.BytesIO(data)) == ENTRIES


def test_a_zip_at_the_end_of_a_tar_is_a_member():
    inner = zip_of([("cat/1.wav", b"c")]).getvalue()
    assert names(tar_of([*ENTRIES, ("notes.zip", inner)], "w")) == ["dog/1.wav", "rain/1.wav", "notes.zip"]


@pytest.mark.parametrize("mode", ["bz2", "xz"])
def test_streams_in_a_row_are_one(mode):
    data = tar_of(ENTRIES, "w").getvalue()
    whole = tar_of(ENTRIES, f"w:{mode}").getvalue()
    pack = bz2.compress if mode == "bz2" else lzma.compress
    for joint in (b"", b"\0" * 4):
        assert read(io.BytesIO(pack(data[:700]) + joint + pack(data[700:]) + joint)) == ENTRIES
    assert read(io.BytesIO(whole + b"\0" * 8)) == ENTRIES


def test_an_xz_that_takes_too_much_memory_is_refused():
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 2**28}]
    data = lzma.compress(tar_of(ENTRIES, "w").getvalue(), filters=filters)
    with pytest.raises(ArchiveInvalid, match="80 MiB of memory"):
        read(io.BytesIO(data))
    data = lzma.compress(tar_of(ENTRIES, "w").getvalue(), preset=9)
    assert read(io.BytesIO(data)) == ENTRIES


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"7z\xbc\xaf\x27\x1c\0\4", "7z"),
        (b"Rar!\x1a\x07\x01\0", "RAR"),
        (b"\x28\xb5\x2f\xfd", "Zstandard"),
    ],
)
def test_kinds_that_are_not_taken_are_named_with_those_that_are(head, kind):
    with pytest.raises(ArchiveInvalid, match=f"{kind}.*send a zip"):
        read(io.BytesIO(head + os.urandom(2000)))


@pytest.mark.parametrize("data", [b"", b"no archive", b"PK\x03\x04" + bytes(100), os.urandom(3000)])
def test_what_is_no_archive_is_refused_with_what_to_send(data):
    with pytest.raises(ArchiveInvalid, match="send a zip"):
        read(io.BytesIO(data))


def test_a_file_packed_alone_is_no_tar():
    with pytest.raises(ArchiveInvalid):
        read(io.BytesIO(gzip.compress(b"RIFF" + os.urandom(3000))))


# Names


@pytest.mark.parametrize("folder", ["bébé", "犬", "😀", "Gerät"])
def test_names_in_utf8_are_read_whatever_the_flag_says(folder):
    name = f"{folder}/1.wav"
    assert names(zip_of([(name, b"a")])) == [name]
    assert names(zip_of_raw_names([(name.encode(), b"a"), (b"rain/1.wav", b"b")])) == [name, "rain/1.wav"]


@pytest.mark.parametrize("encoding", ["cp1252", "cp437", "cp850", "shift-jis", "gbk"])
def test_a_folder_whose_name_cannot_be_told_is_refused(encoding):
    folder = "犬の声" if encoding in ("shift-jis", "gbk") else "Gerät"
    with pytest.raises(ArchiveInvalid, match="not in UTF-8"):
        names(zip_of_raw_names([(f"{folder}/1.wav".encode(encoding), b"a")]))


def test_the_name_of_a_file_alone_may_stay_untold():
    assert names(zip_of_raw_names([(b"dog/Ger\xe4t.wav", b"a")])) == ["dog/Ger\ufffdt.wav"]
    with pytest.raises(ArchiveInvalid, match="not in UTF-8"):
        names(zip_of_raw_names([(b"Ger\xe4t\\1.wav", b"a")]))


def test_the_unicode_path_of_a_zip_is_taken_where_it_stands_for_the_name():
    raw = b"Ger\x84t/1.wav"
    assert names(zip_of_raw_names([(raw, b"a")], extra=unicode_path(raw, "Gerät/1.wav"))) == ["Gerät/1.wav"]
    for extra in (unicode_path(raw, "Rad/1.wav", crc=1), unicode_path(raw, "Rad/1.wav", version=2), b"\x75\x70\1\0x"):
        with pytest.raises(ArchiveInvalid, match="not in UTF-8"):
            names(zip_of_raw_names([(raw, b"a")], extra=extra))


def test_a_unicode_path_is_checked_as_every_name():
    raw = b"dog/11.wav"
    with pytest.raises(ArchiveInvalid, match="outside"):
        names(zip_of_raw_names([(raw, b"a")], extra=unicode_path(raw, "../../1.wav")))


@pytest.mark.parametrize("tar_format", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_names_in_a_tar_that_are_not_utf8_are_refused(tar_format):
    name = b"Ger\xe4t/1.wav".decode("utf-8", "surrogateescape")
    with pytest.raises(ArchiveInvalid, match="not in UTF-8"):
        names(tar_of([(name, b"a")], "w", tar_format))


def test_names_longer_than_any_file_system_takes_are_refused():
    with pytest.raises(ArchiveInvalid, match="longer than 255"):
        names(zip_of([("a\u0301\u0323" * 10_000 + "/1.wav", b"a")]))


def test_a_nameless_entry_of_a_zip_is_passed_over():
    assert names(zip_of([(zipfile.ZipInfo(""), b"a"), *ENTRIES])) == ["dog/1.wav", "rain/1.wav"]


@pytest.mark.parametrize("make", ARCHIVES.values(), ids=ARCHIVES)
def test_what_systems_leave_in_folders_is_passed_over(make):
    hidden = [".DS_Store", "dog/.DS_Store", "__MACOSX/dog/._1.wav", "dog/Thumbs.db", "desktop.ini", "dog/Icon\r"]
    hidden += ["dog/@eaDir/1.wav/SYNOAUDIO", "System Volume Information/x.wav", ".git/config", "dog/._1.wav"]
    assert names(make([*((name, b"x") for name in hidden), *ENTRIES])) == ["dog/1.wav", "rain/1.wav"]


# Damage


def test_a_damaged_member_is_named():
    data = zip_of([("dog/1.wav", b"a" * 3000), ("rain/1.wav", b"b" * 3000)], zipfile.ZIP_STORED).getvalue()
    with pytest.raises(ArchiveInvalid, match=r"'rain/1\.wav' in the archive is damaged"):
        read(io.BytesIO(data.replace(b"bbb", b"bxb", 1)))


def test_after_a_damaged_member_of_a_zip_the_next_is_read():
    data = zip_of([("dog/1.wav", b"a" * 3000), ("rain/1.wav", b"b" * 3000)], zipfile.ZIP_STORED).getvalue()
    listed = []
    for member in members(io.BytesIO(data.replace(b"aaa", b"axa", 1)), LIMITS):
        try:
            listed.append(b"".join(member.chunks))
        except MemberDamaged as error:
            listed.append(str(error).split(";")[0])
    assert listed == ["'dog/1.wav' in the archive is damaged, or neither a zip nor a tar", b"b" * 3000]


@pytest.mark.parametrize("is_on_disk", [False, True])
def test_a_member_that_begins_before_the_archive_is_damage(is_on_disk, tmp_path):
    """A directory that is said to lie later than it does moves all members to earlier places."""
    data = bytearray(zip_of(ENTRIES).getvalue())
    (offset,) = struct.unpack_from("<L", data, len(data) - 6)
    struct.pack_into("<L", data, len(data) - 6, offset + 10)
    path = tmp_path / "a.zip"
    path.write_bytes(data)
    with pytest.raises(ArchiveInvalid, match="damaged"):
        read(path if is_on_disk else io.BytesIO(data))


def test_a_tar_whose_header_is_damaged_does_not_end_there():
    data = tar_of(ENTRIES, "w").getvalue()
    with pytest.raises(ArchiveInvalid, match="damaged"):
        read(io.BytesIO(data.replace(b"rain", b"ruin", 1)))


@pytest.mark.parametrize("kind", ["tar", "tar.gz", "tar.bz2", "tar.xz"])
def test_flipped_bytes_of_a_tar_never_crash(kind):
    data = ARCHIVES[kind]([("dog/1.wav", os.urandom(200)), ("rain/1.wav", b"abc" * 500)]).getvalue()
    for position in range(0, len(data), max(1, len(data) // 150)):
        flipped = bytearray(data)
        flipped[position] ^= 0xFF
        with contextlib.suppress(ArchiveInvalid, UploadTooLarge):
            read(io.BytesIO(flipped))


@pytest.mark.parametrize("kind", ["tar.bz2", "tar.xz"])
def test_what_unfolds_without_end_is_cut_off(kind):
    archive = ARCHIVES[kind]([("dog/1.wav", bytes(64 * 2**20))])
    with pytest.raises(UploadTooLarge, match="max_archive_ratio"):
        for member in members(archive, LIMITS):
            for chunk in member.chunks:
                assert len(chunk) <= 2**18


def test_a_directory_of_a_zip_that_is_too_large_is_not_read(monkeypatch):
    archive = zip_of([(f"dog/{'n' * 200}{number}.wav", b"") for number in range(40)])
    monkeypatch.setattr(zipfile, "ZipInfo", lambda *_, **__: pytest.fail("the directory is read"))
    with pytest.raises(UploadTooLarge, match="max_archive_members"):
        read(archive, UploadLimits(max_archive_members=1))


def test_the_directory_that_a_zip64_record_tells_of_is_bounded_too():
    """The plain end record says that the directory is empty; zipfile believes the other one."""
    directory = bytes(LIMITS.max_archive_members * 512 + 1)
    record = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 1, 1, len(directory), 0)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, len(directory), 1)
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 0, 0xFFFFFFFF, 0)
    with pytest.raises(UploadTooLarge, match="max_archive_members"):
        read(io.BytesIO(directory + record + locator + end))


# Tar headers


def sparse_tar(version: str) -> bytes:
    """A tar of one file that is a hole of a gibibyte, as GNU tar writes it in each of its formats."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "dog")
        os.makedirs(path)
        with open(os.path.join(path, "1.wav"), "wb") as file:
            file.truncate(2**30)
        kind = ["--format=gnu"] if version == "gnu" else ["--format=pax", f"--sparse-version={version}"]
        command = ["tar", "--sparse", *kind, "--hole-detection=seek", "-C", folder, "-cf", "-", "dog"]
        return subprocess.run(command, check=True, capture_output=True).stdout


@pytest.mark.parametrize("version", ["gnu", "0.0", "0.1", "1.0"])
def test_a_file_with_holes_is_refused_before_it_is_unfolded(version):
    data = sparse_tar(version)
    assert len(data) < 2**16
    with pytest.raises(ArchiveInvalid, match=r"'1\.wav' in the archive is stored with holes; pack it again"):
        read(io.BytesIO(data))


def extended_header(kind: bytes, size: int) -> bytes:
    info = tarfile.TarInfo("header")
    info.type, info.size = kind, size
    content = b"7 a=bc\n" * (size // 7)
    return info.tobuf(tarfile.USTAR_FORMAT) + content.ljust(-(-size // 512) * 512, b"\0")


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK])
def test_extended_headers_are_bounded_one_by_one_and_together(kind):
    with pytest.raises(ArchiveInvalid, match="headers hold more"):
        read(io.BytesIO(extended_header(kind, 2**17) + tar_of(ENTRIES, "w").getvalue()))
    members_of_one_kib = b"".join(
        extended_header(tarfile.XHDTYPE, 60_000) + tar_of([(f"dog/{number}.wav", b"a")], "w").getvalue()[:1024]
        for number in range(300)
    )
    with pytest.raises(ArchiveInvalid, match="headers hold more"):
        read(io.BytesIO(members_of_one_kib))


def test_a_chain_of_extended_headers_is_damage():
    with pytest.raises(ArchiveInvalid):
        read(io.BytesIO(extended_header(tarfile.XHDTYPE, 7) * 2000 + tar_of(ENTRIES, "w").getvalue()))


def test_a_small_archive_is_let_off_the_ratio():
    limits = UploadLimits(max_archive_ratio=2)
    assert len(read(zip_of([("dog/1.wav", bytes(4 * MIB))]), limits)) == 1
    with pytest.raises(UploadTooLarge, match="max_archive_ratio"):
        read(zip_of([("dog/1.wav", bytes(4 * MIB + 1))]), limits)


def test_an_archive_may_unfold_to_its_clips_and_sixteen_mebibytes_of_headers():
    limits = UploadLimits(max_upload_bytes=MIB)
    assert len(read(tar_of([("dog/1.wav", bytes(16 * MIB))], "w"), limits)) == 1
    with pytest.raises(UploadTooLarge, match="max_upload_bytes"):
        read(tar_of([("dog/1.wav", bytes(17 * MIB + 1))], "w"), limits)


def test_a_name_may_be_as_long_as_a_file_system_s():
    assert len(read(zip_of([(f"{'n' * MAX_NAME_CHARS}/1.wav", b"a")]))) == 1
    with pytest.raises(ArchiveInvalid, match=f"longer than {MAX_NAME_CHARS} characters"):
        read(zip_of([(f"{'n' * (MAX_NAME_CHARS + 1)}/1.wav", b"a")]))


def test_an_archive_may_have_as_many_entries_as_the_limit_says():
    limits = UploadLimits(max_archive_members=3)
    entries = [(f"dog/{number}.wav", b"a") for number in range(4)]
    assert len(read(zip_of(entries[:3]), limits)) == 3
    with pytest.raises(UploadTooLarge, match="max_archive_members"):
        read(zip_of(entries), limits)
