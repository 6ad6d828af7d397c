"""One clip's bytes onto the disk, counted against the limits as they come."""

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from jobs.errors import UploadTooLarge
from jobs.limits import UploadLimits

CHUNK_BYTES = 256 * 1024


def write_clip(
    path: Path, chunks: Iterable[bytes] | BinaryIO, limits: UploadLimits, *, remaining_bytes: int, name: str
) -> tuple[int, str]:
    """Write a clip and return its size in bytes and its SHA-256; where that fails, nothing of it stays.

    Args:
        chunks: the bytes, in pieces of any size, or an open binary file.
        remaining_bytes: how many the upload may still take.
        name: of the clip, for messages.

    Raises UploadTooLarge, naming the limit.
    """
    size_bytes, digest = 0, hashlib.sha256()
    try:
        with path.open("xb") as file:
            for piece in _pieces(chunks):
                size_bytes += len(piece)
                if size_bytes > limits.max_clip_bytes:
                    limit = limits.max_clip_bytes
                    raise UploadTooLarge(f"{name or 'a clip'} is larger than {limit} bytes (max_clip_bytes)")
                if size_bytes > remaining_bytes:
                    raise UploadTooLarge(f"more than {limits.max_upload_bytes} bytes (max_upload_bytes)")
                file.write(piece)
                digest.update(piece)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return size_bytes, digest.hexdigest()


def _pieces(chunks: Iterable[bytes] | BinaryIO) -> Iterator[bytes]:
    read = getattr(chunks, "read", None)
    if read is None:
        yield from chunks
        return
    while piece := read(CHUNK_BYTES):
        yield piece
