"""Clips out of a zip or tar, one member at a time, without ever extracting to a path that the archive names."""

import gzip
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO, Protocol

from worker.errors import ArchiveInvalid, UploadTooLarge

CHUNK_BYTES = 256 * 1024
# Silence folds a thousand times, so an archive that stays small anyway is let off the ratio.
RATIO_FREE_BYTES = 4 * 1024 * 1024
# Room for headers and paddings above the clips' own bytes.
OVERHEAD_BYTES = 16 * 1024 * 1024
ZIP_ENTRY_BYTES = 512
ZIP_END = struct.Struct("<4s4H2LH")
DAMAGE = (zipfile.BadZipFile, tarfile.TarError, zlib.error, gzip.BadGzipFile, EOFError, ValueError, NotImplementedError)


class ArchiveLimits(Protocol):
    """The part of worker.staging.UploadLimits that an archive is held to."""

    max_upload_bytes: int
    max_archive_members: int
    max_archive_ratio: float


@dataclass(frozen=True)
class ArchiveMember:
    """One clip in an archive; its bytes are read as they are asked for, before the next member."""

    label: str
    filename: str
    chunks: Iterator[bytes]


def members(archive: Path | BinaryIO, limits: ArchiveLimits) -> Iterator[ArchiveMember]:
    """Every clip of the archive in its order; the folder that holds a file is its label.

    Folders above the label's are passed over, so that an archive of one folder that holds the label folders works
    as one of the label folders themselves. `__MACOSX` and names that start with a dot are left out.

    Args:
        archive: a path or a seekable binary file: zip, tar or tar.gz.

    Raises ArchiveInvalid for anything else, and for damage, links, devices, absolute paths and `..`;
    UploadTooLarge past a limit.
    """
    with _opened(archive) as file, _damage_named():
        archive_bytes = file.seek(0, 2)
        budget = _Budget(archive_bytes, limits)
        is_zip = zipfile.is_zipfile(file)
        if is_zip:
            _check_zip_directory(file, archive_bytes, limits)
        file.seek(0)
        yield from _zip_members(file, budget) if is_zip else _tar_members(file, budget)


class _Budget:
    """Counts entries and unfolded bytes against the limits, as they are read: what a header claims is not believed."""

    def __init__(self, archive_bytes: int, limits: ArchiveLimits):
        self.limits = limits
        self.num_entries = 0
        self.size_bytes = 0
        self.ratio_bytes = max(RATIO_FREE_BYTES, int(archive_bytes * limits.max_archive_ratio))

    def count_entry(self) -> None:
        self.num_entries += 1
        if self.num_entries > self.limits.max_archive_members:
            limit = self.limits.max_archive_members
            raise UploadTooLarge(f"more than {limit} entries in the archive (max_archive_members)")

    def count_bytes(self, size_bytes: int) -> None:
        self.size_bytes += size_bytes
        if self.size_bytes > self.ratio_bytes:
            limit = self.limits.max_archive_ratio
            raise UploadTooLarge(f"the archive unfolds to more than {limit:g} times its size (max_archive_ratio)")
        if self.size_bytes > self.limits.max_upload_bytes + OVERHEAD_BYTES:
            raise UploadTooLarge(f"more than {self.limits.max_upload_bytes} bytes (max_upload_bytes)")


class _Counted:
    """A file whose every read is counted."""

    def __init__(self, file: IO[bytes], budget: _Budget):
        self.file = file
        self.budget = budget

    def read(self, size_bytes: int) -> bytes:
        piece = self.file.read(size_bytes)
        self.budget.count_bytes(len(piece))
        return piece


def _zip_members(file: BinaryIO, budget: _Budget) -> Iterator[ArchiveMember]:
    with zipfile.ZipFile(file) as opened:
        for info in opened.infolist():
            budget.count_entry()
            kind = stat.S_IFMT(info.external_attr >> 16)
            path = _safe_path(info.filename, is_special=kind not in (0, stat.S_IFREG, stat.S_IFDIR))
            if info.is_dir() or path is None:
                continue
            if info.flag_bits & 0x1:
                raise ArchiveInvalid("the archive is encrypted; upload it without a password")
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise ArchiveInvalid("the archive is packed in an unusual way; use a plain zip")
            with opened.open(info) as member:
                yield ArchiveMember(_label(path), path.name, _pieces(_Counted(member, budget)))


def _tar_members(file: BinaryIO, budget: _Budget) -> Iterator[ArchiveMember]:
    is_gzip = file.read(2) == b"\x1f\x8b"
    file.seek(0)
    # Headers are counted too: tarfile holds an extended one in memory, however long it says it is.
    stream = _Counted(gzip.GzipFile(fileobj=file) if is_gzip else file, budget)
    with tarfile.open(fileobj=stream, mode="r|") as opened:
        for info in opened:
            budget.count_entry()
            path = _safe_path(info.name, is_special=not (info.isreg() or info.isdir()))
            if info.isreg() and path is not None:
                yield ArchiveMember(_label(path), path.name, _pieces(opened.extractfile(info)))


def _check_zip_directory(file: BinaryIO, archive_bytes: int, limits: ArchiveLimits) -> None:
    """Refuse a zip whose directory is too large to be read into memory, which zipfile does at once."""
    tail_bytes = min(archive_bytes, ZIP_END.size + 0xFFFF)
    file.seek(archive_bytes - tail_bytes)
    tail = file.read(tail_bytes)
    _, _, _, _, _, directory_bytes, _, _ = ZIP_END.unpack_from(tail, tail.rindex(b"PK\x05\x06"))
    if directory_bytes > limits.max_archive_members * ZIP_ENTRY_BYTES:
        raise UploadTooLarge(f"more than {limits.max_archive_members} entries in the archive (max_archive_members)")


def _safe_path(name: str, *, is_special: bool) -> PurePosixPath | None:
    """The member's path, None where it is to be left out; raises ArchiveInvalid where it is not safe."""
    path = PurePosixPath(name.replace("\\", "/"))
    if is_special:
        raise ArchiveInvalid(f"{name!r} in the archive is a link or a device; only files and folders are taken")
    has_drive = bool(path.parts) and path.parts[0].endswith(":")
    if path.is_absolute() or ".." in path.parts or has_drive or "\0" in name:
        raise ArchiveInvalid(f"{name!r} in the archive leads outside of it")
    if any(part == "__MACOSX" or part.startswith(".") for part in path.parts):
        return None
    return path


def _label(path: PurePosixPath) -> str:
    if len(path.parts) < 2:
        raise ArchiveInvalid(f"{path.name!r} lies in no folder; each clip's folder is its label")
    return path.parts[-2]


def _pieces(file: _Counted | IO[bytes]) -> Iterator[bytes]:
    while True:
        with _damage_named():
            piece = file.read(CHUNK_BYTES)
        if not piece:
            return
        yield piece


@contextmanager
def _opened(archive: Path | BinaryIO) -> Iterator[BinaryIO]:
    if isinstance(archive, Path):
        with archive.open("rb") as file:
            yield file
    else:
        yield archive


@contextmanager
def _damage_named() -> Iterator[None]:
    try:
        yield
    except DAMAGE as error:
        raise ArchiveInvalid("the archive is damaged, or neither a zip nor a tar") from error
