"""Audio file -> blocks of samples as the file has them: libsndfile for PCM, Vorbis and Opus, libav for the rest."""

import contextlib
import io
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

import av
import numpy as np
import soundfile
from av.codec.context import Flags2

from aspl.errors import AudioNotAudio, AudioUndecodable
from aspl.sound import ogg_pages
from aspl.sound.containers import CAF, FLAC, OGG, Container
from aspl.sound.ends import is_cut_short
from aspl.sound.flac_frames import Numbering

# An error loses the block that it falls into, and libsndfile allows 1,024 channels: blocks are short.
BLOCK_FRAMES = 4_096
# A pause between two frames from which on something is missing there. Opus leaves out up to 0.4 s of silence.
MIN_GAP_S = 0.5
# PyAV looks for the end of a frame's planes where there is none if it has eight or more, and reads what lies behind.
MAX_PLANES = 7
# What a block handed on holds at least, but for the last: each costs the caller a fixed time.
JOINED_SAMPLES = 2**18


class Block(NamedTuple):
    """Consecutive samples [n, channels], float32 with full scale 1, and their rate."""

    samples: np.ndarray
    rate_hz: int

    @property
    def num_channels(self) -> int:
        return self.samples.shape[1]


class Loss(NamedTuple):
    """A part that could not be decoded, and why; `is_end` where nothing after it could be."""

    reason: str
    is_end: bool


class _ForwardFile(soundfile.SoundFile):
    """Reads without going back to the place where it stands anyway, which would start some decoders anew."""

    def seekable(self) -> bool:
        return False


class _CStream:
    """A stream as libsndfile expects one: nameless, and a damaged file's impossible seek leaves it where it is."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> None:
        with contextlib.suppress(ValueError, OSError):
            self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()

    def read(self, count: int) -> bytes:
        return self._stream.read(count)


def blocks(stream: BinaryIO, container: Container) -> Iterator[Block | Loss]:
    """Decode `stream` (seekable) from its start, past damage where the codec finds its way again.

    Raises AudioUndecodable where no decoder opens it, and AudioNotAudio where the container holds no audio track.
    """
    held: list[Block] = []
    num_held = 0
    for item in _linked(stream, container):
        is_alike = isinstance(item, Block) and held and held[0].rate_hz == item.rate_hz
        is_alike = is_alike and held[0].num_channels == item.num_channels
        if held and (not is_alike or num_held >= JOINED_SAMPLES):
            yield _join(held)
            held, num_held = [], 0
        if isinstance(item, Loss):
            yield item
            continue
        held.append(item)
        num_held += item.samples.size
    if held:
        yield _join(held)


def _join(held: list[Block]) -> Block:
    return Block(np.concatenate([block.samples for block in held]), held[0].rate_hz)


def _linked(stream: BinaryIO, container: Container) -> Iterator[Block | Loss]:
    """The streams of a chained Ogg file one after another, each an own file for the decoders; others as they are."""
    if container is not OGG:
        yield from _short_blocks(stream, container)
        return
    first, *others = ogg_pages.links(stream)
    yield from _short_blocks(first, container)
    earlier = first
    for link in others:
        if ogg_pages.is_cut(earlier):
            yield Loss("one of the joined streams breaks off", is_end=False)
        earlier = link
        try:
            yield from _short_blocks(link, container)
        except (AudioUndecodable, AudioNotAudio) as error:
            yield Loss(str(error), is_end=False)


def _short_blocks(stream: BinaryIO, container: Container) -> Iterator[Block | Loss]:
    if container.is_libsndfile:
        stream.seek(0)
        try:
            file = _ForwardFile(_CStream(stream))
        except soundfile.LibsndfileError:
            pass  # an unusual codec, perhaps
        else:
            with file:
                # A header that was never finished tells of no samples; libav reads on until the end.
                if file.frames or not is_cut_short(stream, container):
                    yield from _libsndfile_blocks(file)
                    return
    yield from _libav_blocks(stream, container)


def _libsndfile_blocks(file: soundfile.SoundFile) -> Iterator[Block | Loss]:
    num_frames = 0
    while True:
        try:
            samples = file.read(BLOCK_FRAMES, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            yield Loss(error.error_string, is_end=True)
            return
        if not len(samples):
            break
        num_frames += len(samples)
        yield Block(samples, file.samplerate)
    is_counted = file.frames < np.iinfo(np.int64).max
    if is_counted and num_frames < file.frames:
        # It counts as far as the file goes, and passes over what it cannot read.
        yield Loss(f"{num_frames} of {file.frames} frames are there", is_end=not num_frames)


def _libav_blocks(stream: BinaryIO, container: Container) -> Iterator[Block | Loss]:
    stream.seek(0)
    try:
        # Without a mode PyAV asks the stream, and a spooled upload says that it is open for writing.
        source = av.open(stream, mode="r", format=container.demuxer, metadata_errors="ignore")
    except (av.FFmpegError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise AudioUndecodable(f"The file looks like {container.name}, but does not open as such: {reason}.") from error
    with source:
        if not source.streams.audio:
            raise AudioNotAudio(f"The {container.name} file has no audio track.")
        track = source.streams.audio[0]
        if track.codec_context is None:
            raise AudioUndecodable(f"The {container.name} file's audio is of a codec that is not known here.")
        numbering = None
        if track.codec_context.name == "flac":
            numbering = Numbering(track.duration if container is FLAC else None)
        if container is CAF and track.codec_context.name == "alac":
            # Its last packet says itself how long it is; libav takes the container's remainder off once more.
            track.codec_context.flags2 |= Flags2.skip_manual
        frames = _libav_frames(source, track, numbering)
        yield from _as_blocks(frames)


def _as_blocks(frames: Iterator[av.AudioFrame | Loss]) -> Iterator[Block | Loss]:
    """Frames of any format and layout as blocks of float32."""
    setup, convert = None, None
    for frame in frames:
        if isinstance(frame, Loss):
            yield frame
            continue
        if setup != (setup := (frame.format.name, frame.layout.name, frame.sample_rate)):
            convert = av.AudioResampler(format="flt")
        if frame.format.name == "fltp" and frame.layout.nb_channels <= MAX_PLANES:
            yield Block(frame.to_ndarray().T, frame.sample_rate)
            continue
        try:
            parts = convert.resample(frame)
        except (av.FFmpegError, ValueError) as error:  # a setup that no recording has
            yield Loss(_reason(error), is_end=False)
            continue
        for part in parts:
            yield Block(part.to_ndarray().reshape(-1, part.layout.nb_channels), frame.sample_rate)


def _libav_frames(
    source: av.container.InputContainer, track: av.AudioStream, numbering: Numbering | None
) -> Iterator[av.AudioFrame | Loss]:
    """The decoded frames of a track, and where packets between them could not be decoded, a Loss in their place."""
    failed: str | None = None
    expected_s: float | None = None
    for packet in _libav_packets(source, track):
        if isinstance(packet, str):
            failed = failed or packet
            continue
        try:
            frames = packet.decode()
        except (av.FFmpegError, ValueError) as error:
            failed = failed or _reason(error)
            continue
        if numbering is not None and packet.size and numbering.has_gap(bytes(packet), sum(f.samples for f in frames)):
            failed = failed or "frames are missing"
        for frame in frames:
            if None not in (frame.time, expected_s) and frame.time - expected_s > MIN_GAP_S:
                failed = failed or f"{frame.time - expected_s:.1f} s are missing"
            expected_s = None if frame.time is None else frame.time + frame.samples / frame.sample_rate
        # The last packet, an empty one, brings out what the decoder held back: that is no going on.
        if failed and frames and packet.size:
            yield Loss(failed, is_end=False)
            failed = None
        yield from frames
    if numbering is not None and numbering.is_short():
        failed = failed or "the last frames are missing"
    if failed:
        yield Loss(failed, is_end=True)


def _libav_packets(source: av.container.InputContainer, track: av.AudioStream) -> Iterator[av.Packet | str]:
    """The packets of a track, and why there are no more where the container itself breaks."""
    try:
        yield from source.demux(track)
    except (av.FFmpegError, ValueError) as error:
        yield _reason(error)


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
