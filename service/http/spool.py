"""The files of one form as they come: in memory while they are small, else all in one file on the disk."""

import io
import os
import tempfile
from typing import IO

from jobs.limits import MIB
from service.inference.account import Charge, Resource

MAX_MEMORY_BYTES = MIB
"""Of one form; of all forms together the accounts bound it."""


class Spool:
    """Bytes that are appended once and read from anywhere; closed with the last of its parts."""

    def __init__(self, charge: Charge):
        self._charge = charge
        self._memory = bytearray()
        self._file: IO[bytes] | None = None
        self._num_parts = 0
        self.size_bytes = 0

    @property
    def is_on_disk(self) -> bool:
        return self._file is not None

    def part(self) -> "Part":
        """A file of the form, which is written before the next one begins."""
        self._num_parts += 1
        return Part(self)

    def append(self, data: bytes) -> None:
        """Keep more; raises OSError where the disk does not take it."""
        if self._file is None and not self._fits(len(data)):
            self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - it is closed with the last part
            _write(self._file, self._memory)
            self._memory = bytearray()
        if self._file is None:
            self._memory += data
        else:
            _write(self._file, data)
        self.size_bytes += len(data)

    def read(self, start: int, stop: int) -> bytes:
        """The bytes from `start` to `stop`, or fewer; safe to call from many threads."""
        if self._file is None:
            return bytes(memoryview(self._memory)[start:stop])
        return os.pread(self._file.fileno(), stop - start, start)

    def release(self) -> None:
        """One part is read no more."""
        self._num_parts -= 1
        if not self._num_parts:
            self._memory = bytearray()
            if self._file is not None:
                self._file.close()

    def _fits(self, num_bytes: int) -> bool:
        is_small = self.size_bytes + num_bytes <= MAX_MEMORY_BYTES
        return is_small and self._charge.has_taken(Resource.BODY_MEMORY, num_bytes)


class Part(io.RawIOBase):
    """One file of a form: a range of its spool."""

    def __init__(self, spool: Spool):
        self._spool = spool
        self._start: int | None = None  # until its first bytes come: the parser may be ahead of what is written
        self._size_bytes = 0
        self._position = 0

    @property
    def _rolled(self) -> bool:
        # What Starlette asks of a file, to use a thread where it is on the disk.
        return self._spool.is_on_disk

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place in the file."""
        position = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size_bytes}[whence]
        if position < 0:
            raise OSError("a place before the beginning of the file")
        self._position = position
        return position

    def write(self, data: bytes) -> int:  # type: ignore[override]
        """Append; nothing that was written is changed."""
        if self._start is None:
            self._start = self._spool.size_bytes
        self._spool.append(data)
        self._size_bytes += len(data)
        self._position = self._size_bytes
        return len(data)

    def read(self, size: int = -1) -> bytes:
        """The next bytes, all of them where `size` is negative."""
        if self.closed:
            raise ValueError("the file is closed")
        first = self._start or 0
        start, end = first + min(self._position, self._size_bytes), first + self._size_bytes
        data = self._spool.read(start, end if size is None or size < 0 else min(start + size, end))
        self._position += len(data)
        return data

    def readall(self) -> bytes:
        return self.read()

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """Read no more of it."""
        if not self.closed:
            self._spool.release()
        super().close()


def _write(file: IO[bytes], data: bytes | bytearray) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]
