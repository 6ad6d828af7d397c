"""The frames of MP3 and ADTS AAC streams: where they begin and how long their headers say that they are."""

from collections.abc import Callable
from typing import BinaryIO

FrameBytes = Callable[[bytes], int]
"""From the first bytes of a frame to its length; 0 where they are no header."""

HEADER_BYTES = 7
# A header is 11 bits and some fields, which other files have too; so many in a row, alike, are no chance.
FRAMES_IN_STEP = 4
# How far the first frame is looked for: a stream that was joined in the middle begins within a frame.
RESYNC_BYTES = 16_384

MP3_SAMPLE_RATES_HZ = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
MP3_KBIT_S = {
    "mpeg1 layer3": (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    "mpeg1 layer2": (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    "mpeg2": (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}


def mp3_frame_bytes(header: bytes) -> int:
    """Length of the MPEG audio frame (layer II or III) with this header; 0 where it is none."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return 0
    version, layer = header[1] >> 3 & 3, header[1] >> 1 & 3
    bitrate, rate = header[2] >> 4, header[2] >> 2 & 3
    if version == 1 or layer not in (1, 2) or bitrate in (0, 15) or rate == 3:
        return 0
    table = "mpeg2" if version != 3 else "mpeg1 layer3" if layer == 1 else "mpeg1 layer2"
    samples_by_8 = 72 if version != 3 and layer == 1 else 144
    kbit_s = MP3_KBIT_S[table][bitrate - 1]
    return samples_by_8 * kbit_s * 1000 // MP3_SAMPLE_RATES_HZ[version][rate] + (header[2] >> 1 & 1)


def aac_frame_bytes(header: bytes) -> int:
    """Length of the ADTS frame with this header; 0 where it is none."""
    if len(header) < HEADER_BYTES or header[0] != 0xFF or header[1] & 0xF6 != 0xF0 or header[2] >> 2 & 15 > 12:
        return 0
    length = (header[3] & 3) << 11 | header[4] << 3 | header[5] >> 5
    return length if length > HEADER_BYTES else 0


def is_frame(stream: BinaryIO, offset: int, frame_bytes: FrameBytes, *, num_frames: int = 2) -> bool:
    """Whether `num_frames` frames of one kind follow each other from `offset` on, or fewer up to the file's end."""
    kind = None
    for number in range(num_frames):
        stream.seek(offset)
        header = stream.read(HEADER_BYTES)
        if number and not header:
            return True
        length = frame_bytes(header)
        if not length or kind not in (None, _kind(header)):
            return False
        kind = _kind(header)
        offset += length
    return True


def next_frame(stream: BinaryIO, offset: int, frame_bytes: FrameBytes) -> int | None:
    """Offset of the first of several frames in a row within RESYNC_BYTES from `offset`; None where there is none."""
    stream.seek(offset)
    nearby = stream.read(RESYNC_BYTES)
    at = nearby.find(b"\xff")
    while at >= 0:
        if frame_bytes(nearby[at : at + HEADER_BYTES]) and is_frame(
            stream, offset + at, frame_bytes, num_frames=FRAMES_IN_STEP
        ):
            return offset + at
        at = nearby.find(b"\xff", at + 1)
    return None


def _kind(header: bytes) -> tuple[int, int]:
    """Version, layer and sample rate, which stay the same through a stream (the header's other fields do not)."""
    return header[1] & 0xFE, header[2] & 0x0C
