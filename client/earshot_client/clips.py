"""Clips as they may be given: paths, folders, bytes, arrays, open files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from earshot_client.wav import wav_bytes

BACKGROUND = frozenset({"background", "_background"})
CHUNK_BYTES = 64 * 1024


class Samples(Protocol):
    """A numpy array [T], or what is made one as easily: floating from -1 to 1, or int16."""

    dtype: Any

    def __array__(self) -> Any: ...


@dataclass(frozen=True)
class Recording:
    """Samples at a rate."""

    samples: Samples
    rate_hz: int
    name: str | None = None


# One clip, or the folder of some. An array alone needs the `rate_hz` of the call.
ClipLike = str | os.PathLike[str] | bytes | BinaryIO | Recording | Samples
Clips = ClipLike | Iterable[ClipLike]
# Clips by label; or a folder with one for each label, and perhaps one named `background`.
Sounds = Mapping[str, Clips] | str | os.PathLike[str]


@dataclass(frozen=True)
class Clip:
    """A file to send, which is read when it is sent."""

    name: str
    source: Path | bytes
    size_bytes: int
    in_folder: bool = False

    def chunks(self) -> Iterator[bytes]:
        """Its bytes."""
        if isinstance(self.source, bytes):
            yield self.source
            return
        with self.source.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                yield chunk


def is_one(given: Clips) -> bool:
    """Whether what is given is one clip, or one folder, and not a list."""
    return isinstance(given, (str, os.PathLike, bytes, bytearray, Recording)) or _is_array(given) or _is_file(given)


def clips_of(given: Clips | None, *, rate_hz: int | None = None) -> list[Clip]:
    """Every clip; a folder is every file in it, at any depth, in alphabetical order.

    Raises:
        OSError: a path is not there, or cannot be read.
        TypeError, ValueError: an item is no clip.
    """
    if given is None:
        return []
    found: list[Clip] = []
    for item in [given] if is_one(given) else given:
        found += _clips(item, f"clip-{len(found) + 1}", rate_hz)
    return found


def labelled(sounds: Sounds | None, *, rate_hz: int | None = None) -> Iterator[tuple[str | None, Clip]]:
    """Every clip with its label, which is None of the background that a folder may hold.

    Raises:
        ValueError: a folder has none within, of which each would be a label.
    """
    is_folder = isinstance(sounds, (str, os.PathLike))
    for label, clips in (_folders(Path(sounds)) if is_folder else (sounds or {})).items():
        is_background = is_folder and label.lower() in BACKGROUND
        for clip in clips_of(clips, rate_hz=rate_hz):
            yield (None if is_background else label), clip


def _folders(path: Path) -> dict[str, Path]:
    folders = {each.name: each for each in sorted(path.iterdir()) if each.is_dir() and not each.name.startswith(".")}
    if not folders:
        raise ValueError(f"{path} holds no folders: put the clips of each sound into a folder that is called after it.")
    return folders


def _clips(item: ClipLike, name: str, rate_hz: int | None) -> list[Clip]:
    if isinstance(item, (str, os.PathLike)):
        return _at(Path(item))
    if isinstance(item, Recording):
        data = wav_bytes(item.samples, item.rate_hz)
        return [Clip(item.name or f"{name}.wav", data, len(data))]
    if _is_array(item):
        if rate_hz is None:
            raise ValueError("An array needs its rate: give rate_hz=48000, or Recording(array, 48000).")
        data = wav_bytes(item, rate_hz)
        return [Clip(f"{name}.wav", data, len(data))]
    if _is_file(item):
        given = getattr(item, "name", None)
        name, item = (Path(given).name if isinstance(given, str) else name), item.read()
    if isinstance(item, (bytes, bytearray, memoryview)):
        return [Clip(name, bytes(item), len(item))]
    raise TypeError(f"A {type(item).__name__} is no clip: give a path, a folder, bytes, an array or a Recording.")


def _at(path: Path) -> list[Clip]:
    if not path.is_dir():
        return [Clip(str(path), path, path.stat().st_size)]
    names = sorted(each.relative_to(path) for each in path.rglob("*") if each.is_file())
    shown = [name for name in names if not any(part.startswith(".") for part in name.parts)]
    return [Clip(name.as_posix(), path / name, (path / name).stat().st_size, in_folder=True) for name in shown]


def _is_array(item: Any) -> bool:
    return hasattr(item, "__array__") and hasattr(item, "dtype")


def _is_file(item: Any) -> bool:
    return callable(getattr(item, "read", None))
