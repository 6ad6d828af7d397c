"""The pages of an Ogg file (RFC 3533), and the streams that were joined into it one after another."""

import io
from typing import BinaryIO

CAPTURE = b"OggS"
HEADER_BYTES = 27
MAX_PAGE_BYTES = 65_307
FIRST_OF_STREAM, LAST_OF_STREAM = 0x02, 0x04


class Link(io.RawIOBase):
    """One of the joined streams, from `start` to `stop` in the file, as a seekable file of its own."""

    def __init__(self, stream: BinaryIO, start: int, stop: int) -> None:
        self._stream = stream
        self._start, self._size = start, stop - start
        self._position = 0

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError(f"a negative position: {base + offset}")
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def read(self, count: int = -1) -> bytes:
        left = max(0, self._size - self._position)
        self._stream.seek(self._start + self._position)
        data = self._stream.read(left if count < 0 else min(count, left))
        self._position += len(data)
        return data

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True


def links(stream: BinaryIO) -> list[Link]:
    """The streams of a chained file (RFC 3533, section 4) in their order: one, in most files.

    A page that marks the start of a stream begins a new link, unless it stands among the starting pages of streams
    that are multiplexed.
    """
    size = stream.seek(0, io.SEEK_END)
    starts: list[int] = []
    was_first = False
    offset = _next_page(stream, 0)
    while offset is not None:
        header = _read(stream, offset, HEADER_BYTES + 255)
        is_first = len(header) > 5 and bool(header[5] & FIRST_OF_STREAM)
        if is_first and not was_first:
            starts.append(offset)
        was_first = is_first
        end = offset + _page_bytes(header)
        # Where no page follows, this one is cut off, and its length leads past the start of the next.
        is_followed = end > offset and _read(stream, end, len(CAPTURE)) in (CAPTURE, b"")
        offset = _next_page(stream, end if is_followed else offset + len(CAPTURE))
    starts = [0, *starts[1:]]
    return [Link(stream, start, stop) for start, stop in zip(starts, [*starts[1:], size], strict=True)]


def is_cut(stream: BinaryIO) -> bool:
    """Whether a link does not end in a whole page that is marked as its last."""
    size = stream.seek(0, io.SEEK_END)
    tail_offset = max(0, size - 2 * MAX_PAGE_BYTES)
    tail = _read(stream, tail_offset, size - tail_offset)
    page = tail.rfind(CAPTURE)
    if page < 0 or page + HEADER_BYTES > len(tail):
        return True
    is_last = bool(tail[page + 5] & LAST_OF_STREAM)
    page_bytes = _page_bytes(tail[page:])
    return not is_last or not page_bytes or page + page_bytes > len(tail)


def _next_page(stream: BinaryIO, offset: int) -> int | None:
    """Offset of the first page from `offset` on, past bytes that belong to none; None at the end."""
    if _read(stream, offset, len(CAPTURE)) == CAPTURE:
        return offset
    overlap = len(CAPTURE) - 1
    while len(data := _read(stream, offset, MAX_PAGE_BYTES)) > overlap:
        at = data.find(CAPTURE)
        if at >= 0:
            return offset + at
        offset += len(data) - overlap
    return None


def _page_bytes(page: bytes) -> int:
    """Length of the page that begins with these bytes; 0 where its header is cut off."""
    if len(page) < HEADER_BYTES:
        return 0
    num_segments = page[26]  # 0 in a last page that holds nothing but its end
    segments = page[HEADER_BYTES : HEADER_BYTES + num_segments]
    return HEADER_BYTES + num_segments + sum(segments) if len(segments) == num_segments else 0


def _read(stream: BinaryIO, offset: int, count: int) -> bytes:
    stream.seek(offset)
    return stream.read(count)
