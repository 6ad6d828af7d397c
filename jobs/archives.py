"""Files out of a zip or tar, one member at a time, without ever extracting to a path that the archive names."""

import gzip
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Protocol

from jobs.archive_names import tar_name, zip_name
from jobs.decompression import Readable, as_it_is, opened_bzip2, opened_gzip, opened_xz
from jobs.errors import ArchiveInvalid, MemberDamaged, UploadTooLarge

CHUNK_BYTES = 256 * 1024
# Silence folds a thousand times, so an archive that stays small anyway is let off the ratio.
RATIO_FREE_BYTES = 4 * 1024 * 1024
# Room for headers and paddings above the clips' own bytes.
OVERHEAD_BYTES = 16 * 1024 * 1024
ZIP_ENTRY_BYTES = 512
# Of one extended tar header (long names, PAX); real ones hold some hundred bytes, with a system's attributes thousands.
TAR_HEADER_BYTES = 64 * 1024
# A chain of extended headers, each of the next, recurses in tarfile.
DAMAGE = (
    zipfile.BadZipFile, tarfile.TarError, zlib.error, gzip.BadGzipFile, EOFError, ValueError, NotImplementedError,
    RecursionError,
)  # fmt: skip

TAR_MAGIC, TAR_MAGIC_AT = b"ustar", 257
PACKED_TARS = {
    b"\x1f\x8b": opened_gzip,
    b"BZh": opened_bzip2,
    b"\xfd7zXZ\0": opened_xz,
}
NOT_TAKEN = {
    b"7z\xbc\xaf\x27\x1c": "7z",
    b"Rar!\x1a\x07": "RAR",
    b"\x28\xb5\x2f\xfd": "Zstandard",
    b"\x04\x22\x4d\x18": "LZ4",
    b"LZIP": "lzip",
    b"MSCF": "Windows cabinet",
}
TAKEN = "send a zip, or a tar (as it is, or packed by gzip, bzip2 or xz)"
# What systems leave in folders without being asked; and every name that starts with a dot.
SYSTEM_NAMES = {
    "__macosx", "icon\r", "thumbs.db", "ehthumbs.db", "desktop.ini", "$recycle.bin", "system volume information",
    "@eadir",
}  # fmt: skip
# What a name may hold in the file systems of our time.
MAX_NAME_CHARS = 255


class ArchiveLimits(Protocol):
    """The part of jobs.uploads.UploadLimits that an archive is held to."""

    max_upload_bytes: int
    max_archive_members: int
    max_archive_ratio: float


@dataclass(frozen=True)
class ArchiveMember:
    """One file in an archive; its bytes are read as they are asked for, before the next member."""

    path: PurePosixPath
    chunks: Iterator[bytes]


def members(archive: Path | BinaryIO, limits: ArchiveLimits) -> Iterator[ArchiveMember]:
    """Every file of the archive in its order, but for what systems hide in folders.

    Args:
        archive: a path or a seekable binary file: zip, or tar as it is or packed by gzip, bzip2 or xz.

    Raises ArchiveInvalid for anything else, and for damage, links, devices, absolute paths, `..` and folders whose
    names cannot be told; UploadTooLarge past a limit. A damaged file of a zip raises MemberDamaged as it is read,
    and the next can be asked for.
    """
    with _opened(archive) as file, _damage_named("the archive"):
        archive_bytes = file.seek(0, 2)
        budget = _Budget(archive_bytes, limits)
        unpack = _unpacking(file)
        # Tars by their mark first: a zip's is looked for at the end, where a tar may hold a zip.
        if unpack is None and zipfile.is_zipfile(file):
            yield from _zip_members(_ZipFile(file, limits), budget)
        else:
            file.seek(0)
            yield from _tar_members((unpack or as_it_is)(file), budget)  # the oldest tars bear no mark


class _Budget:
    """Counts entries and unfolded bytes against the limits, as they are read: what a header claims is not believed."""

    def __init__(self, archive_bytes: int, limits: ArchiveLimits):
        self.limits = limits
        self.num_entries = 0
        self.size_bytes = 0
        self.header_bytes = 0
        self.ratio_bytes = max(RATIO_FREE_BYTES, int(archive_bytes * limits.max_archive_ratio))

    def count_entry(self) -> None:
        self.num_entries += 1
        if self.num_entries > self.limits.max_archive_members:
            limit = self.limits.max_archive_members
            raise UploadTooLarge(f"more than {limit} entries in the archive (max_archive_members)")

    def count_header(self, size_bytes: int) -> None:
        self.header_bytes += size_bytes
        if size_bytes > TAR_HEADER_BYTES or self.header_bytes > OVERHEAD_BYTES:
            raise ArchiveInvalid("the archive's headers hold more than names and dates; pack the clips anew")

    def count_bytes(self, size_bytes: int) -> None:
        self.size_bytes += size_bytes
        if self.size_bytes > self.ratio_bytes:
            limit = self.limits.max_archive_ratio
            raise UploadTooLarge(f"the archive unfolds to more than {limit:g} times its size (max_archive_ratio)")
        if self.size_bytes > self.limits.max_upload_bytes + OVERHEAD_BYTES:
            raise UploadTooLarge(f"more than {self.limits.max_upload_bytes} bytes (max_upload_bytes)")


class _Counted:
    """A file whose every read is counted."""

    def __init__(self, file: Readable, budget: _Budget):
        self.file = file
        self.budget = budget

    def read(self, size_bytes: int, /) -> bytes:
        piece = self.file.read(size_bytes)
        self.budget.count_bytes(len(piece))
        return piece


class _ZipFile:
    """A zip's file, of which zipfile may read no more at once than a directory of as many entries as are let in.

    It reads a directory whole, and more than one record may say how long that is (APPNOTE.TXT 4.3.14, ZIP64).
    """

    def __init__(self, file: BinaryIO, limits: ArchiveLimits):
        self._file = file
        self._num_entries = limits.max_archive_members
        self.tell = file.tell

    def seek(self, offset: int, whence: int = 0, /) -> int:
        if whence == 0 and offset < 0:  # by a damaged directory; files differ in what they raise then
            raise zipfile.BadZipFile("a member begins before the archive does")
        return self._file.seek(offset, whence)

    def seekable(self) -> bool:
        return True

    def read(self, size_bytes: int = -1, /) -> bytes:
        if size_bytes > self._num_entries * ZIP_ENTRY_BYTES:
            raise UploadTooLarge(f"more than {self._num_entries} entries in the archive (max_archive_members)")
        return self._file.read(size_bytes)


def _tar_header_class(budget: _Budget) -> type[tarfile.TarInfo]:
    """The class of an archive's tar headers, which counts the extended ones: tarfile holds all of them in memory."""
    extended = (
        tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK
    )  # fmt: skip

    class TarHeader(tarfile.TarInfo):
        @classmethod
        def frombuf(cls, buf: bytes, encoding: str, errors: str) -> tarfile.TarInfo:
            try:
                header = super().frombuf(buf, encoding, errors)
            except (tarfile.InvalidHeaderError, tarfile.TruncatedHeaderError) as error:
                # tarfile would take it for the end, with no word of the rest.
                raise tarfile.ReadError(str(error)) from error
            if header.type in extended:
                budget.count_header(header.size)
            elif header.type == tarfile.GNUTYPE_SPARSE:
                refuse_sparse(header)
            return header

    def refuse_sparse(header: tarfile.TarInfo, *_: object) -> None:
        # tarfile makes up the holes, which take no bytes of the archive, and reads a map of any length.
        name = PurePosixPath(tar_name(header)).name  # its folder may be one that tar made up
        raise ArchiveInvalid(f"{name!r} in the archive is stored with holes; pack it again without --sparse")

    # How PAX keeps sparse files is told by its headers alone, which tarfile's own methods take apart.
    for method in ("_proc_gnusparse_00", "_proc_gnusparse_01", "_proc_gnusparse_10"):
        setattr(TarHeader, method, refuse_sparse)
    return TarHeader


def _unpacking(file: BinaryIO) -> Callable[[BinaryIO], Readable] | None:
    """How to read a file with the mark of a tar or of a packed one; None for others, of which some are refused."""
    file.seek(0)
    head = file.read(TAR_MAGIC_AT + len(TAR_MAGIC))
    if head[TAR_MAGIC_AT:] == TAR_MAGIC:
        return as_it_is
    for magic, unpack in PACKED_TARS.items():
        if head.startswith(magic):
            return unpack
    for magic, kind in NOT_TAKEN.items():
        if head.startswith(magic):
            raise ArchiveInvalid(f"the archive is of a kind that is not taken ({kind}); {TAKEN}")
    return None


def _zip_members(file: _ZipFile, budget: _Budget) -> Iterator[ArchiveMember]:
    with zipfile.ZipFile(file) as opened:
        for info in opened.infolist():
            budget.count_entry()
            kind = stat.S_IFMT(info.external_attr >> 16)
            name = zip_name(info)
            path = _safe_path(name, is_special=kind not in (0, stat.S_IFREG, stat.S_IFDIR))
            if name.endswith("/") or path is None:
                continue
            if info.flag_bits & 0x1:
                raise ArchiveInvalid("the archive is encrypted; upload it without a password")
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                method = f"{str(path)!r} in the zip is packed by method {info.compress_type}"
                raise ArchiveInvalid(f"{method}; take 0 (stored) or 8 (deflated), as a plain zip does")
            with opened.open(info) as member:
                yield ArchiveMember(path, _pieces(_Counted(member, budget), path, fault=MemberDamaged))


def _tar_members(file: Readable, budget: _Budget) -> Iterator[ArchiveMember]:
    # Headers are counted too: tarfile holds an extended one in memory, however long it says it is.
    stream, header_class = _Counted(file, budget), _tar_header_class(budget)
    with tarfile.open(fileobj=stream, mode="r|", tarinfo=header_class, encoding="utf-8") as opened:
        for info in opened:
            budget.count_entry()
            path = _safe_path(tar_name(info), is_special=not (info.isreg() or info.isdir()))
            if info.isreg() and path is not None:
                yield ArchiveMember(path, _pieces(opened.extractfile(info), path, fault=ArchiveInvalid))


def _safe_path(name: str, *, is_special: bool) -> PurePosixPath | None:
    """The member's path, None where it is to be left out; raises ArchiveInvalid where it is not safe."""
    path = PurePosixPath(name.replace("\\", "/"))
    if is_special:
        raise ArchiveInvalid(f"{name!r} in the archive is a link or a device; only files and folders are taken")
    has_drive = bool(path.parts) and path.parts[0].endswith(":")
    if path.is_absolute() or ".." in path.parts or has_drive or "\0" in name:
        raise ArchiveInvalid(f"{name!r} in the archive leads outside of it")
    if any(len(part) > MAX_NAME_CHARS for part in path.parts):
        raise ArchiveInvalid(f"a name in the archive is longer than {MAX_NAME_CHARS} characters: {name[:40]!r}...")
    if not path.parts or any(part.startswith(".") or part.casefold() in SYSTEM_NAMES for part in path.parts):
        return None
    return path


def _pieces(file: Readable, path: PurePosixPath, *, fault: type[ArchiveInvalid]) -> Iterator[bytes]:
    while True:
        with _damage_named(f"{str(path)!r} in the archive", fault):
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
def _damage_named(what: str, fault: type[ArchiveInvalid] = ArchiveInvalid) -> Iterator[None]:
    try:
        yield
    except DAMAGE as error:
        raise fault(f"{what} is damaged, or neither a zip nor a tar; {TAKEN}") from error
