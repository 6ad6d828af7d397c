"""Which kind of audio file some bytes are, and whether the file goes on as far as its structure says."""

import io
from dataclasses import dataclass
from typing import BinaryIO

from aspl.errors import AudioInvalid, AudioNotAudio

MAX_ELEMENTS = 1_000  # chunks or boxes that are walked; real files have a dozen
MAX_FRAMES = 200_000  # MPEG frames that are walked: over 25 minutes of the shortest kind
MAX_OGG_PAGE_BYTES = 65_307
# What programs that write to a pipe put where the size would stand, for "until the end": others, FFmpeg, SoX.
UNKNOWN_SIZES = {0, 0xFFFFFFFF, 0x7FFFF000}

MP3_SAMPLE_RATES_HZ = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
MP3_KBIT_S = {
    "mpeg1 layer3": (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    "mpeg1 layer2": (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    "mpeg2": (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}


@dataclass(frozen=True)
class Container:
    """A kind of file: the name that users know it by, and the name of libav's demuxer for it."""

    name: str
    demuxer: str
    is_libsndfile: bool = False


WAV = Container("WAV", "wav", is_libsndfile=True)
AIFF = Container("AIFF", "aiff", is_libsndfile=True)
AU = Container("AU", "au", is_libsndfile=True)
CAF = Container("CAF", "caf", is_libsndfile=True)
FLAC = Container("FLAC", "flac", is_libsndfile=True)
OGG = Container("Ogg", "ogg", is_libsndfile=True)
# libsndfile reads MP3 too, but its decoder writes warnings to the process's standard error.
MP3 = Container("MP3", "mp3")
AAC = Container("AAC", "aac")
MP4 = Container("MP4", "mov")
WEBM = Container("WebM", "matroska")


def identify(stream: BinaryIO) -> Container:
    """Tell the kind of the audio file `stream` (seekable) by its first bytes.

    Only these kinds are ever given to a decoder, each with its own demuxer: libav's probing would also open playlists,
    which name other files.

    Raises AudioInvalid for an empty file and AudioNotAudio for every other type.
    """
    start = _audio_start(stream)
    head = _read(stream, start, 12)
    if not head:
        raise AudioInvalid("The file is empty (0 bytes): there is no audio in it.")
    by_magic = {b"fLaC": FLAC, b"OggS": OGG, b".snd": AU, b"caff": CAF, b"\x1aE\xdf\xa3": WEBM}
    if head[:4] in by_magic:
        return by_magic[head[:4]]
    if head[:4] in (b"RIFF", b"RIFX", b"RF64") and head[8:12] == b"WAVE":
        return WAV
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return AIFF
    if head[4:8] in (b"ftyp", b"moov", b"mdat"):
        return MP4
    for container, frame_bytes in ((MP3, _mp3_frame_bytes), (AAC, _aac_frame_bytes)):
        # One header is 11 bits, which other files have too: the next frame's must stand where the first one says.
        length = frame_bytes(_read(stream, start, 7))
        following = _read(stream, start + length, 7) if length else b""
        if length and (not following or frame_bytes(following)):
            return container
    if start:  # tags without a frame right behind them: padding, which libav's demuxer skips
        return MP3
    raise AudioNotAudio(
        "The file is of no audio type known here (WAV, FLAC, Ogg Vorbis or Opus, MP3, AAC, M4A, WebM, AIFF, AU, CAF)."
    )


def is_cut_short(stream: BinaryIO, container: Container) -> bool:
    """Whether the file ends before its own structure says that it does.

    A file that gives no size, as those written to a pipe, is never cut short. FLAC has no such structure: there the
    decoder tells.
    """
    size = stream.seek(0, io.SEEK_END)
    if container in (WAV, AIFF, CAF):
        return _is_chunked_cut(stream, size)
    if container is AU:
        offset, claimed = (int.from_bytes(_read(stream, at, 4), "big") for at in (4, 8))
        return claimed not in UNKNOWN_SIZES and offset + claimed > size
    if container is OGG:
        return _is_ogg_cut(stream, size)
    if container in (MP3, AAC):
        return _is_mpeg_cut(stream, size, container)
    if container is MP4:
        return _is_mp4_cut(stream, size)
    if container is WEBM:
        return _is_webm_cut(stream, size)
    return False


def _read(stream: BinaryIO, offset: int, count: int) -> bytes:
    stream.seek(offset)
    return stream.read(count)


def _audio_start(stream: BinaryIO) -> int:
    tag = _read(stream, 0, 10)
    if len(tag) < 10 or tag[:3] != b"ID3":
        return 0
    tag_bytes = tag[6] << 21 | tag[7] << 14 | tag[8] << 7 | tag[9]  # ID3v2: 7 bits a byte
    return 10 + tag_bytes + (10 if tag[5] & 0x10 else 0)


def _is_chunked_cut(stream: BinaryIO, size: int) -> bool:
    """RIFF, RF64, IFF and CAF: a sequence of name, size, content, of which one holds the samples."""
    magic = _read(stream, 0, 4)
    order = "little" if magic in (b"RIFF", b"RF64") else "big"
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
        if header[:4] in (b"data", b"SSND"):
            if magic == b"RF64" and large_size is not None:
                claimed = large_size
            is_unknown = claimed in UNKNOWN_SIZES or claimed == 256**size_bytes - 1
            return not is_unknown and content + claimed > size
        offset = content + claimed + (claimed % 2 if is_padded else 0)
    return False


def _is_ogg_cut(stream: BinaryIO, size: int) -> bool:
    tail_offset = max(0, size - 2 * MAX_OGG_PAGE_BYTES)
    tail = _read(stream, tail_offset, size - tail_offset)
    page = tail.rfind(b"OggS")
    if page < 0 or page + 27 > len(tail):
        return True
    num_segments = tail[page + 26]  # 0 in a last page that holds nothing but its end
    segments = tail[page + 27 : page + 27 + num_segments]
    if len(segments) < num_segments:
        return True
    is_last = bool(tail[page + 5] & 0x04)
    return not is_last or page + 27 + num_segments + sum(segments) > len(tail)


def _is_mpeg_cut(stream: BinaryIO, size: int, container: Container) -> bool:
    frame_bytes = _mp3_frame_bytes if container is MP3 else _aac_frame_bytes
    offset = start = _audio_start(stream)
    num_frames = 0
    for _ in range(MAX_FRAMES):
        length = frame_bytes(_read(stream, offset, 7))
        if not length:
            break
        if offset + length > size:
            return True
        offset += length
        num_frames += 1
    else:
        return False
    return 0 < num_frames <= _xing_frames(_read(stream, start, 64))


def _xing_frames(first_frame: bytes) -> int:
    """The number of frames that an encoder noted in the file's first, soundless one; 0 where it did not."""
    at = max(first_frame.find(b"Xing"), first_frame.find(b"Info"))
    has_count = at >= 0 and len(first_frame) >= at + 12 and first_frame[at + 7] & 1
    return int.from_bytes(first_frame[at + 8 : at + 12], "big") if has_count else 0


def _mp3_frame_bytes(header: bytes) -> int:
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


def _aac_frame_bytes(header: bytes) -> int:
    """Length of the ADTS frame with this header; 0 where it is none."""
    if len(header) < 7 or header[0] != 0xFF or header[1] & 0xF6 != 0xF0 or header[2] >> 2 & 15 > 12:
        return 0
    length = (header[3] & 3) << 11 | header[4] << 3 | header[5] >> 5
    return length if length > 7 else 0


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
