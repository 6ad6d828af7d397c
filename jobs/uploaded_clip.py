"""The files of an upload as its list has them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

NUM_NAMED = 20


@dataclass(frozen=True)
class UploadedClip:
    """One file of an upload: its number, label, name, size and digest, and why it cannot be used, if so.

    A file of an archive that is no clip, or lies in no folder, has no label and is not kept. Of a clip of the
    background the label is what it came under, and is not taught. What `is_test` is evaluated on, and not taught.
    """

    number: int
    label: str | None
    filename: str
    size_bytes: int
    sha256: str
    error: dict[str, str] | None = None
    is_background: bool = False
    duration_s: float | None = None
    is_test: bool = False

    @property
    def is_taught(self) -> bool:
        """Whether it is a clip of a label that is to be taught."""
        return self.label is not None and not self.is_background and not self.is_test

    @property
    def shown_name(self) -> str:
        """The client's name for the file, or its place in the upload."""
        return self.filename or f"clip {self.number + 1}"


@dataclass(frozen=True)
class EvaluationClips:
    """What an adapter is evaluated on: paths with labels, and what is none of the labels.

    Attributes:
        ids: SHA-256 of the labelled clips and then of the background, in order.
    """

    clips: list[tuple[Path, str]]
    background: list[Path]
    ids: tuple[str, ...]

    @classmethod
    def of(cls, files: Sequence[tuple[UploadedClip, Path]]) -> Self:
        """Clips that can be used, and where they lie."""
        labelled = [(clip, path) for clip, path in files if not clip.is_background]
        background = [(clip, path) for clip, path in files if clip.is_background]
        ids = tuple(clip.sha256 for clip, _ in (*labelled, *background))
        return cls([(path, clip.label or "") for clip, path in labelled], [path for _, path in background], ids)


@dataclass
class Tally:
    """What an upload under way holds so far, so that its list is not read again for every clip."""

    num_files: int = 0
    num_clips: int = 0
    size_bytes: int = 0
    labels: set[str] = field(default_factory=set)

    def add(self, file: UploadedClip) -> None:
        self.num_files += 1
        if file.label is not None or file.error is None:
            self.num_clips += 1
            self.size_bytes += file.size_bytes
        if file.is_taught:
            self.labels.add(file.label)


def reasons(files: list[UploadedClip]) -> str:
    """Files and why each of them is left out, not too many of them."""
    rest = f"; and {len(files) - NUM_NAMED} more" if len(files) > NUM_NAMED else ""
    return "; ".join(f"{f.shown_name}: {f.error['detail']}" for f in files[:NUM_NAMED] if f.error) + rest
