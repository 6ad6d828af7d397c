"""Which kind of audio file some bytes are."""

from dataclasses import dataclass
from typing import BinaryIO

from aspl.errors import AudioInvalid, AudioNotAudio
from aspl.sound.mpeg_frames import aac_frame_bytes, is_frame, mp3_frame_bytes, next_frame

W64_RIFF = bytes.fromhex("726966662e91cf11a5d628db04c10000")
ASF_HEADER = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")


@dataclass(frozen=True)
class Container:
    """A kind of file: the name that users know it by, and the name of libav's demuxer for it."""

    name: str
    demuxer: str
    is_libsndfile: bool = False


WAV = Container("WAV", "wav", is_libsndfile=True)
W64 = Container("Wave64", "w64")  # of which libsndfile takes floats for integers
AIFF = Container("AIFF", "aiff", is_libsndfile=True)
AU = Container("AU", "au", is_libsndfile=True)
CAF = Container("CAF", "caf", is_libsndfile=True)
OGG = Container("Ogg", "ogg", is_libsndfile=True)
# libsndfile reads FLAC and MP3 too, but ends at the first damage, and its MP3 decoder writes to standard error.
FLAC = Container("FLAC", "flac")
MP3 = Container("MP3", "mp3")
AAC = Container("AAC", "aac")
MP4 = Container("MP4", "mov")
WEBM = Container("WebM", "matroska")
WMA = Container("WMA", "asf")
AMR = Container("AMR", "amr")
WAVPACK = Container("WavPack", "wv")
TTA = Container("TTA", "tta")
AVI = Container("AVI", "avi")

BY_MAGIC = {
    W64_RIFF: W64,
    ASF_HEADER: WMA,
    b"fLaC": FLAC,
    b"OggS": OGG,
    b".snd": AU,
    b"caff": CAF,
    b"\x1aE\xdf\xa3": WEBM,
    b"#!AMR": AMR,
    b"wvpk": WAVPACK,
    b"TTA1": TTA,
}
FORMS = {
    **{(magic, b"WAVE"): WAV for magic in (b"RIFF", b"RIFX", b"RF64", b"BW64")},
    (b"RIFF", b"AVI "): AVI,
    (b"FORM", b"AIFF"): AIFF,
    (b"FORM", b"AIFC"): AIFF,
}
TAKEN = "WAV, Wave64, FLAC, Ogg, MP3, AAC, M4A, WebM, AIFF, AU, CAF, WMA, AMR, WavPack, TTA or AVI"
# What is often sent in the place of audio; by its name a sender sees what went wrong.
OTHERS = {
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"GIF8": "a GIF image",
    b"%PDF": "a PDF document",
    b"PK\x03\x04": "a zip archive",
    b"\x1f\x8b": "a gzip archive",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"Rar!": "a RAR archive",
    b"MThd": "a MIDI file, which holds notes and no sound",
    b"\x00\x00\x01\xba": "an MPEG video",
    b"FLV": "a Flash video",
    b"#EXTM3U": "a playlist, which names other files",
    b"<!DOCTYPE": "an HTML page",
    b"<html": "an HTML page",
    b"<?xml": "an XML file",
    b"DSD ": "DSD audio",
    b"MAC ": "Monkey's Audio",
    b"MPCK": "Musepack audio",
}
TAR_MAGIC_OFFSET, TAR_MAGIC = 257, b"ustar"


def identify(stream: BinaryIO) -> Container:
    """Tell the kind of the audio file `stream` (seekable) by its first bytes.

    Only these kinds are ever given to a decoder, each with its own demuxer: libav's probing would also open playlists,
    which name other files.

    Raises AudioInvalid for an empty file and AudioNotAudio for every other type.
    """
    start = audio_start(stream)
    stream.seek(start)
    head = stream.read(32)
    if not head and start:
        raise AudioInvalid("The file ends within the tag at its start: there is no audio in it.")
    if not head:
        raise AudioInvalid("The file is empty (0 bytes): there is no audio in it.")
    if container := next((known for magic, known in BY_MAGIC.items() if head.startswith(magic)), None):
        return container
    if container := FORMS.get((head[:4], head[8:12])):
        return container
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"styp", b"moof", b"wide"):
        return MP4
    for container, frame_bytes in ((MP3, mp3_frame_bytes), (AAC, aac_frame_bytes)):
        if is_frame(stream, start, frame_bytes):
            return container
    if start:  # tags without a frame right behind them: padding, which libav's demuxer skips
        return MP3
    if other := _other(stream, head):
        raise AudioNotAudio(f"The file begins like {other}, which is no audio type known here ({TAKEN}).")
    for container, frame_bytes in ((MP3, mp3_frame_bytes), (AAC, aac_frame_bytes)):
        if next_frame(stream, start, frame_bytes) is not None:  # a stream that somebody joined in the middle
            return container
    raise AudioNotAudio(f"The file is of no audio type known here ({TAKEN}).")


def _other(stream: BinaryIO, head: bytes) -> str | None:
    """What else the file is: archives above all may hold the frames of an MP3 further on."""
    stream.seek(TAR_MAGIC_OFFSET)
    if stream.read(len(TAR_MAGIC)) == TAR_MAGIC:
        return "a tar archive"
    return next((name for magic, name in OTHERS.items() if head.startswith(magic)), None)


def audio_start(stream: BinaryIO) -> int:
    """Offset behind an ID3v2 tag at the start of the file; 0 where there is none."""
    stream.seek(0)
    tag = stream.read(10)
    if len(tag) < 10 or tag[:3] != b"ID3":
        return 0
    tag_bytes = tag[6] << 21 | tag[7] << 14 | tag[8] << 7 | tag[9]  # 7 bits a byte
    return 10 + tag_bytes + (10 if tag[5] & 0x10 else 0)
