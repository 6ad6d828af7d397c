"""Whether an audio file goes on as far as its own structure says."""

import io
from collections.abc import Callable
from typing import BinaryIO

from aspl.sound import ogg_pages
from aspl.sound.containers import (
    AAC,
    AIFF,
    AMR,
    AU,
    AVI,
    CAF,
    MP3,
    MP4,
    OGG,
    W64,
    WAV,
    WEBM,
    WMA,
    Container,
    audio_start,
)
from aspl.sound.mpeg_frames import HEADER_BYTES, FrameBytes, aac_frame_bytes, mp3_frame_bytes, next_frame

MAX_ELEMENTS = 1_000  # chunks or boxes that are walked; real files have a dozen
MAX_OFFSET = 2**62
MAX_FRAMES = 200_000  # MPEG frames that are walked: over 25 minutes of the shortest kind
# Programs that write to a pipe put a size near 2 or 4 GiB where they cannot know it: SoX 0x7FFFF000, FFmpeg
# 0xFFFFFFFF, others 0x7FFFFFFF or that less a header. As real sizes they would be of files far beyond any limit here.
PLACEHOLDER_BYTES = 0x7FFFF000
SAMPLE_CHUNKS = (b"data", b"SSND", b"movi")
W64_HEADER_BYTES = 24
# Bytes of a frame behind its first one, by the mode in that (RFC 4867, sections 5.3 and 3.6).
AMR_FRAME_BYTES = {
    b"#!AMR\n": (12, 13, 15, 17, 19, 20, 26, 31, 5, 0, 0, 0, 0, 0, 0, 0),
    b"#!AMR-WB\n": (17, 23, 32, 36, 40, 46, 50, 58, 60, 5, 0, 0, 0, 0, 0, 0),
}


def is_cut_short(stream: BinaryIO, container: Container) -> bool | None:
    """Whether the file ends before its own structure says that it does; None where it has no such structure.

    A file that gives no size, as those written to a pipe, is never cut short. A size of 0 in front of samples is that
    of a recorder that never came to write it: the file was not finished, which counts as cut.
    """
    size = stream.seek(0, io.SEEK_END)
    checks: dict[Container, Callable[[BinaryIO, int], bool]] = {
        WAV: _is_chunked_cut,
        AIFF: _is_chunked_cut,
        CAF: _is_chunked_cut,
        AVI: _is_chunked_cut,
        AU: _is_au_cut,
        W64: _is_w64_cut,
        OGG: lambda stream, _: ogg_pages.is_cut(stream),
        MP3: lambda stream, size: _is_mpeg_cut(stream, size, mp3_frame_bytes),
        AAC: lambda stream, size: _is_mpeg_cut(stream, size, aac_frame_bytes),
        MP4: _is_mp4_cut,
        WEBM: _is_webm_cut,
        WMA: _is_asf_cut,
        AMR: _is_amr_cut,
    }
    return checks[container](stream, size) if container in checks else None


def _read(stream: BinaryIO, offset: int, count: int) -> bytes:
    """What lies there; nothing past the end, also where a damaged size leads further than a file can be."""
    if offset > MAX_OFFSET:
        return b""
    stream.seek(offset)
    return stream.read(count)


def _is_chunked_cut(stream: BinaryIO, size: int) -> bool:
    """RIFF, RF64, IFF and CAF: a sequence of name, size, content, of which one holds the samples."""
    magic = _read(stream, 0, 4)
    order = "little" if magic in (b"RIFF", b"RF64", b"BW64") else "big"
    size_bytes, offset, is_padded = (8, 8, False) if magic == b"caff" else (4, 12, True)
    large_size = None
    for _ in range(MAX_ELEMENTS):
        header = _read(stream, offset, 4 + size_bytes)
        if len(header) < 4 + size_bytes:
            return offset > size
        claimed = int.from_bytes(header[4:], order)
        content = offset + len(header)
        if header[:4] == b"ds64":
            large_size = int.from_bytes(_read(stream, content + 8, 8), order)
        if header[:4] == b"LIST" and _read(stream, content, 4) == b"movi":
            header = b"movi"
        if header[:4] in SAMPLE_CHUNKS:
            if magic in (b"RF64", b"BW64") and large_size is not None:
                claimed = large_size
            elif not claimed and content < size:
                return not _is_chunk(stream, content, size, order, size_bytes)
            return claimed < PLACEHOLDER_BYTES and content + claimed > size
        offset = content + claimed + (claimed % 2 if is_padded else 0)
    return False


def _is_chunk(stream: BinaryIO, offset: int, size: int, order: str, size_bytes: int) -> bool:
    """Whether what lies here is a further chunk, and not samples whose size was never written."""
    header = _read(stream, offset, 4 + size_bytes)
    claimed = int.from_bytes(header[4:], order)
    return header[:4].isalnum() and claimed > 0 and offset + len(header) + claimed <= size


def _is_au_cut(stream: BinaryIO, size: int) -> bool:
    offset, claimed = (int.from_bytes(_read(stream, at, 4), "big") for at in (4, 8))
    return (not claimed and offset < size) or (claimed < PLACEHOLDER_BYTES and offset + claimed > size)


def _is_w64_cut(stream: BinaryIO, size: int) -> bool:
    """Wave64: chunks of a 16-byte name, a size that counts its own header, and content padded to 8 bytes."""
    offset = 40  # behind riff, its size and wave
    for _ in range(MAX_ELEMENTS):
        header = _read(stream, offset, W64_HEADER_BYTES)
        if len(header) < W64_HEADER_BYTES:
            return offset > size
        claimed = int.from_bytes(header[16:], "little")
        if header[:4] == b"data":
            return claimed < PLACEHOLDER_BYTES and offset + claimed > size
        offset += max(W64_HEADER_BYTES, -(-claimed // 8) * 8)
    return False


def _is_mpeg_cut(stream: BinaryIO, size: int, frame_bytes: FrameBytes) -> bool:
    """MP3 and ADTS: the last frame is not whole, or there is less than the encoder noted in the first one."""
    start = next_frame(stream, audio_start(stream), frame_bytes)
    if start is None:
        return True
    noted_frames, noted_bytes = _xing(_read(stream, start, 64))
    offset, num_frames, has_lost = start, 0, False
    for _ in range(MAX_FRAMES):
        length = frame_bytes(_read(stream, offset, HEADER_BYTES))
        if length and offset + length > size:
            return True
        if not length:
            following = next_frame(stream, offset, frame_bytes)
            if following is None:
                break
            offset, has_lost = following, True
            continue
        offset += length
        num_frames += 1
    else:
        return False
    if noted_bytes:
        return start + noted_bytes > size
    return not has_lost and num_frames <= noted_frames


def _xing(first_frame: bytes) -> tuple[int, int]:
    """The numbers of frames and bytes that an encoder noted in the file's first, soundless frame; 0 where not."""
    at = max(first_frame.find(b"Xing"), first_frame.find(b"Info"))
    if at < 0 or len(first_frame) < at + 16:
        return 0, 0
    flags, fields = first_frame[at + 7], first_frame[at + 8 :]
    has_frames, has_bytes = bool(flags & 1), bool(flags & 2)
    num_frames = int.from_bytes(fields[:4], "big") if has_frames else 0
    num_bytes = int.from_bytes(fields[4:8] if has_frames else fields[:4], "big") if has_bytes else 0
    return num_frames, num_bytes


def _is_mp4_cut(stream: BinaryIO, size: int) -> bool:
    offset = 0
    for _ in range(MAX_ELEMENTS):
        header = _read(stream, offset, 16)
        if len(header) < 8:
            return offset > size
        length = int.from_bytes(header[:4], "big")
        if length == 1:  # a 64-bit length follows the type
            length = int.from_bytes(header[8:16], "big")
        if length < 8 or not header[4:8].isalnum():  # 0: until the end of the file; no name: a tag behind the boxes
            return False
        offset += length
    return False


def _is_webm_cut(stream: BinaryIO, size: int) -> bool:
    header_bytes, at, _ = _ebml_size(_read(stream, 4, 8), 4)
    segment = at + header_bytes
    if _read(stream, segment, 4) != b"\x18\x53\x80\x67":
        return True
    segment_bytes, at, is_unknown = _ebml_size(_read(stream, segment + 4, 8), segment + 4)
    return not is_unknown and at + segment_bytes > size


def _ebml_size(field: bytes, offset: int) -> tuple[int, int, bool]:
    """Read a variable-length size: its value, the offset behind it, and whether it means "unknown" (all ones)."""
    width = 9 - field[0].bit_length() if field and field[0] else 8
    mask = (1 << 7 * width) - 1
    value = int.from_bytes(field[:width], "big") & mask
    return value, offset + width, value == mask


def _is_asf_cut(stream: BinaryIO, size: int) -> bool:
    """ASF: objects of a 16-byte name and a size that counts its own header; a size of 0 is a broadcast's."""
    offset = 0
    for _ in range(MAX_ELEMENTS):
        header = _read(stream, offset, 24)
        length = int.from_bytes(header[16:], "little")
        if len(header) < 24 or length < 24:
            return offset > size
        offset += length
    return False


def _is_amr_cut(stream: BinaryIO, size: int) -> bool:
    start = _read(stream, 0, 9)
    magic, sizes = next(((m, s) for m, s in AMR_FRAME_BYTES.items() if start.startswith(m)), (b"", ()))
    offset = len(magic)
    while sizes and offset < size and offset < MAX_FRAMES * 61:
        offset += 1 + sizes[_read(stream, offset, 1)[0] >> 3 & 15]
    return offset > size or offset == len(magic)
