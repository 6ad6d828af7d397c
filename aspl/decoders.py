"""Audio file -> blocks of samples as the file has them: libsndfile for what it reads, libav for the rest."""

import contextlib
import io
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

import av
import numpy as np
import soundfile

from aspl.audio_containers import Container
from aspl.errors import AudioNotAudio, AudioUndecodable

# An error loses the block that it falls into, and libsndfile allows 1,024 channels: blocks are short.
BLOCK_FRAMES = 4_096
# What a block handed on holds at least, but for the last: each costs the caller a fixed time.
JOINED_SAMPLES = 2**18


class Block(NamedTuple):
    """Consecutive samples [n, channels], float32 with full scale 1, and their rate."""

    samples: np.ndarray
    rate_hz: int

    @property
    def num_channels(self) -> int:
        return self.samples.shape[1]


class DecodingStopped(Exception):
    """The data broke off or are damaged after the blocks that were given."""


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


def blocks(stream: BinaryIO, container: Container) -> Iterator[Block]:
    """Decode `stream` (seekable) from its start.

    Raises DecodingStopped where the data end or break before the end that the file gives, AudioUndecodable where no
    decoder opens it, and AudioNotAudio where the container holds no audio track.
    """
    held: list[Block] = []
    num_held = 0
    try:
        for block in _short_blocks(stream, container):
            is_alike = held and held[0].rate_hz == block.rate_hz and held[0].num_channels == block.num_channels
            if held and (not is_alike or num_held >= JOINED_SAMPLES):
                yield _join(held)
                held, num_held = [], 0
            held.append(block)
            num_held += block.samples.size
    except DecodingStopped:
        if held:
            yield _join(held)
        raise
    if held:
        yield _join(held)


def _join(held: list[Block]) -> Block:
    return Block(np.concatenate([block.samples for block in held]), held[0].rate_hz)


def _short_blocks(stream: BinaryIO, container: Container) -> Iterator[Block]:
    if container.is_libsndfile:
        stream.seek(0)
        try:
            file = _ForwardFile(_CStream(stream))
        except soundfile.LibsndfileError:
            pass  # an unusual codec, perhaps
        else:
            with file:
                yield from _libsndfile_blocks(file)
            return
    yield from _libav_blocks(stream, container)


def _libsndfile_blocks(file: soundfile.SoundFile) -> Iterator[Block]:
    num_frames = 0
    while True:
        try:
            samples = file.read(BLOCK_FRAMES, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            raise DecodingStopped(error.error_string) from error
        if not len(samples):
            break
        num_frames += len(samples)
        yield Block(samples, file.samplerate)
    is_counted = file.frames < np.iinfo(np.int64).max
    if is_counted and num_frames < file.frames:
        raise DecodingStopped(f"{num_frames} of {file.frames} frames are there")


def _libav_blocks(stream: BinaryIO, container: Container) -> Iterator[Block]:
    stream.seek(0)
    try:
        source = av.open(stream, format=container.demuxer, metadata_errors="ignore")
    except (av.FFmpegError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise AudioUndecodable(f"The file looks like {container.name}, but does not open as such: {reason}.") from error
    with source:
        if not source.streams.audio:
            raise AudioNotAudio(f"The {container.name} file has no audio track.")
        convert = None
        try:
            for frame in source.decode(source.streams.audio[0]):
                setup = (frame.format.name, frame.layout.name, frame.sample_rate)
                if convert is None or convert[0] != setup:
                    convert = (setup, av.AudioResampler(format="fltp"))
                for part in [frame] if frame.format.name == "fltp" else convert[1].resample(frame):
                    yield Block(part.to_ndarray().T, frame.sample_rate)
        except (av.FFmpegError, ValueError) as error:
            raise DecodingStopped(getattr(error, "strerror", None) or str(error)) from error
