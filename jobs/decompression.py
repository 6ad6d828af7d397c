"""Compressed streams read as files, a piece at a time and in bounded memory: gzip, bzip2 and xz."""

import bz2
import gzip
import lzma
from collections.abc import Callable
from typing import BinaryIO, Protocol

from jobs.errors import ArchiveInvalid

CHUNK_BYTES = 64 * 1024
# What `xz -9` asks for is 65 MiB.
XZ_MEMORY_BYTES = 80 * 2**20


class Readable(Protocol):
    """What can be read from its start to its end."""

    def read(self, size_bytes: int, /) -> bytes: ...


class Decompressor(Protocol):
    """As bz2 and lzma have it, of one stream."""

    eof: bool
    needs_input: bool
    unused_data: bytes

    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _Streams:
    """Compressed streams one behind the other, as parallel packers write them, read as one."""

    def __init__(self, file: BinaryIO, new_decompressor: Callable[[], Decompressor]):
        self._file = file
        self._new_decompressor = new_decompressor
        self._decompressor = new_decompressor()
        self._packed = b""

    def read(self, size_bytes: int, /) -> bytes:
        """Up to `size_bytes` of what was packed; raises EOFError where the stream breaks off."""
        piece = b""
        while not piece:
            if self._decompressor.eof and not self._begin_next():
                return b""
            if self._decompressor.needs_input and not self._packed:
                self._packed = self._file.read(CHUNK_BYTES)
                if not self._packed:
                    raise EOFError("the compressed stream breaks off")
            packed, self._packed = self._packed, b""
            piece = self._decompressed(packed, size_bytes)
        return piece

    def _begin_next(self) -> bool:
        """Go on to the stream that follows the one that has ended, over zeros between them; false where none does."""
        self._packed = self._decompressor.unused_data.lstrip(b"\0")
        while not self._packed and (piece := self._file.read(CHUNK_BYTES)):
            self._packed = piece.lstrip(b"\0")
        if self._packed:
            self._decompressor = self._new_decompressor()
        return bool(self._packed)

    def _decompressed(self, packed: bytes, size_bytes: int) -> bytes:
        try:
            return self._decompressor.decompress(packed, size_bytes)
        except lzma.LZMAError as error:
            if "emory" in str(error):
                limit = XZ_MEMORY_BYTES // 2**20
                raise ArchiveInvalid(
                    f"the archive takes more than {limit} MiB of memory to unpack; pack it with `xz -9` or less"
                ) from error
            raise EOFError(str(error)) from error
        except OSError as error:  # bz2's word for damage; the file itself was read before
            raise EOFError(str(error)) from error


def as_it_is(file: BinaryIO) -> Readable:
    """The content of a file that is not compressed."""
    return file


def opened_gzip(file: BinaryIO) -> Readable:
    """The content of a gzip file."""
    # Told to read: a spooled upload claims a mode for writing, which gzip would believe.
    return gzip.GzipFile(fileobj=file, mode="rb")


def opened_bzip2(file: BinaryIO) -> Readable:
    """The content of a bzip2 file."""
    return _Streams(file, bz2.BZ2Decompressor)


def opened_xz(file: BinaryIO) -> Readable:
    """The content of an xz file; ArchiveInvalid is raised where its dictionary is too large."""
    return _Streams(file, lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=XZ_MEMORY_BYTES))
