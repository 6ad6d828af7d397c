"""Uploads on disk between the request and the end of its job.

Every file in an upload's directory has a name of ours (a number), so nothing that a client says becomes a path.
"""

import hashlib
import json
import re
import shutil
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

import structlog

from worker.errors import LabelInvalid, StagingUnavailable, UploadInvalid, UploadNotFound, UploadTooLarge
from worker.settings import Settings

MANIFEST = "manifest.json"
CHECKPOINT = "checkpoint.safetensors"
CHUNK_BYTES = 256 * 1024
MIN_LABELS = 2
UPLOAD_ID = re.compile(r"[0-9a-f]{32}")

log = structlog.get_logger()


@contextmanager
def _disk_faults() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        log.error("the disk of the uploads fails", error=str(error))
        fault = error.strerror or type(error).__name__
        raise StagingUnavailable(
            f"the clips cannot be kept on this service's disk ({fault}); try again later, or with fewer clips"
        ) from error


@dataclass(frozen=True)
class UploadLimits:
    """How much one upload may hold; see Settings for the units."""

    max_clip_s: float = 600.0
    max_clip_bytes: int = 64 * 1024 * 1024
    max_upload_bytes: int = 512 * 1024 * 1024
    max_upload_s: float = 3600.0
    max_clips: int = 2000
    max_labels: int = 1000
    max_label_chars: int = 200
    max_archive_members: int = 10_000
    max_archive_ratio: float = 100.0

    @classmethod
    def of(cls, settings: Settings) -> "UploadLimits":
        """The limits that the settings name."""
        return cls(**{name: getattr(settings, name) for name in cls.__dataclass_fields__})


@dataclass(frozen=True)
class StagedClip:
    """One file of an upload: its number, label, size and digest, and why it cannot be used, if so."""

    number: int
    label: str
    filename: str
    size_bytes: int
    sha256: str
    error: dict[str, str] | None = None


@dataclass
class _Tally:
    """What an upload under way holds so far, so that its manifest is not read again for every clip."""

    num_clips: int = 0
    size_bytes: int = 0
    labels: set[str] = field(default_factory=set)

    def add(self, clip: StagedClip) -> None:
        self.num_clips += 1
        self.size_bytes += clip.size_bytes
        self.labels.add(clip.label)


class Staging:
    """The uploads of one data directory; one thread at a time adds to an upload.

    What writes or reads an upload raises StagingUnavailable where the disk fails.
    """

    def __init__(self, data_dir: Path, limits: UploadLimits | None = None):
        self.root = data_dir / "staging"
        self.limits = limits or UploadLimits()
        self._tallies: dict[str, _Tally] = {}

    @_disk_faults()
    def new_upload(self) -> str:
        """Make an empty upload and return its id."""
        upload_id = uuid.uuid4().hex
        (self.root / upload_id).mkdir(parents=True)
        return upload_id

    @_disk_faults()
    def add_clip(
        self, upload_id: str, label: str, chunks: Iterable[bytes] | BinaryIO, *, filename: str = ""
    ) -> StagedClip:
        """Write one clip to the upload.

        Args:
            label: what is to be heard; surrounding blanks are cut off.
            chunks: the file's bytes, in pieces of any size, or an open binary file.
            filename: the client's name for the file, used only in messages.

        Raises LabelInvalid, UploadTooLarge (naming the limit), UploadNotFound.
        """
        label = self.check_label(label)
        tally = self._tally(upload_id)
        if tally.num_clips >= self.limits.max_clips:
            raise UploadTooLarge(f"more than {self.limits.max_clips} clips (max_clips)")
        if label not in tally.labels and len(tally.labels) >= self.limits.max_labels:
            raise UploadTooLarge(f"more than {self.limits.max_labels} labels (max_labels)")
        path = self._clip_path(upload_id, tally.num_clips)
        size_bytes, sha256 = self._write(path, _pieces(chunks), self.limits.max_upload_bytes - tally.size_bytes)
        clip = StagedClip(tally.num_clips, label, filename[:200], size_bytes, sha256)
        with (self.directory(upload_id) / MANIFEST).open("a", encoding="utf-8") as manifest:
            manifest.write(json.dumps(asdict(clip)) + "\n")
        tally.add(clip)
        return clip

    def add_archive(self, upload_id: str, archive: Path | BinaryIO) -> list[StagedClip]:
        """Write every clip of a zip or tar (plain or gzip) to the upload; the folder of a file is its label.

        Raises ArchiveInvalid, LabelInvalid, UploadTooLarge.
        """
        from worker.archive import members

        return [
            self.add_clip(upload_id, member.label, member.chunks, filename=member.filename)
            for member in members(archive, self.limits)
        ]

    @_disk_faults()
    def clips(self, upload_id: str) -> list[StagedClip]:
        """What the upload holds, in the order in which it came."""
        manifest = self.directory(upload_id) / MANIFEST
        if not manifest.exists():
            return []
        latest: dict[int, StagedClip] = {}
        for line in manifest.read_text(encoding="utf-8").splitlines():
            clip = StagedClip(**json.loads(line))
            latest[clip.number] = clip
        return [latest[number] for number in sorted(latest)]

    def load(self, upload_id: str) -> list[tuple[Path, str]]:
        """Path and label of every clip that can be used, in order."""
        return [(self._clip_path(upload_id, c.number), c.label) for c in self.clips(upload_id) if c.error is None]

    def digest(self, upload_id: str) -> str:
        """SHA-256 over labels and clips, equal for equal uploads."""
        digest = hashlib.sha256()
        for clip in self.clips(upload_id):
            digest.update(json.dumps([clip.label, clip.sha256]).encode())
        return digest.hexdigest()

    def check_labels(self, upload_id: str) -> None:
        """Raise UploadInvalid unless the upload holds clips of at least two labels."""
        self._tallies.pop(upload_id, None)
        labels = {clip.label for clip in self.clips(upload_id)}
        if len(labels) < MIN_LABELS:
            raise UploadInvalid(f"clips of at least {MIN_LABELS} different labels are needed, not {len(labels)}")

    @_disk_faults()
    def check_audio(self, upload_id: str) -> list[StagedClip]:
        """Decode every clip and mark those that cannot be used; slow, for a thread of its own.

        Returns the clips that cannot be used, each with its error; they are left out of the training.
        Raises UploadInvalid where a label has no usable clip, UploadTooLarge where all of it together is too long.
        """
        self.check_labels(upload_id)
        failed = [clip for clip in self._decoded(upload_id) if clip.error is not None]
        with (self.directory(upload_id) / MANIFEST).open("a", encoding="utf-8") as manifest:
            manifest.writelines(json.dumps(asdict(clip)) + "\n" for clip in failed)
        used = {clip.label for clip in self.clips(upload_id) if clip.error is None}
        for clip in failed:
            if clip.label not in used:
                name = f" ({clip.filename})" if clip.filename else ""
                raise UploadInvalid(f"no clip of the label {clip.label!r} can be used{name}: {clip.error['detail']}")
        return failed

    def check_label(self, label: str) -> str:
        """The label without surrounding blanks; raises LabelInvalid where it is empty, too long or not printable."""
        label = label.strip()
        if not label:
            raise LabelInvalid("a label is empty")
        if len(label) > self.limits.max_label_chars:
            raise LabelInvalid(f"a label is longer than {self.limits.max_label_chars} characters (max_label_chars)")
        if not label.isprintable():
            raise LabelInvalid(f"the label {label!r} holds characters that cannot be printed")
        return label

    def checkpoint(self, upload_id: str) -> Path:
        """Where the training of this upload keeps its state between two workers."""
        return self.directory(upload_id) / CHECKPOINT

    def directory(self, upload_id: str) -> Path:
        """The directory of an upload; raises UploadNotFound where there is none."""
        if not UPLOAD_ID.fullmatch(upload_id) or not (self.root / upload_id).is_dir():
            raise UploadNotFound("the uploaded clips are not there any more; upload them again")
        return self.root / upload_id

    def remove(self, upload_id: str) -> None:
        """Remove an upload with all its files, if it is there."""
        self._tallies.pop(upload_id, None)
        if UPLOAD_ID.fullmatch(upload_id):
            shutil.rmtree(self.root / upload_id, ignore_errors=True)

    def sweep(self, in_use: set[str], *, older_than_s: float) -> list[str]:
        """Remove uploads that no job uses and that did not change for `older_than_s` seconds; return their ids."""
        removed = []
        for directory in self.root.iterdir() if self.root.is_dir() else ():
            if directory.name in in_use or not UPLOAD_ID.fullmatch(directory.name):
                continue
            if time.time() - directory.stat().st_mtime > older_than_s:
                self.remove(directory.name)
                removed.append(directory.name)
        return removed

    def _tally(self, upload_id: str) -> _Tally:
        if upload_id not in self._tallies:
            tally = _Tally()
            for clip in self.clips(upload_id):
                tally.add(clip)
            self._tallies[upload_id] = tally
        return self._tallies[upload_id]

    def _decoded(self, upload_id: str) -> Iterator[StagedClip]:
        # Imported here because `import aspl` imports torch, which the worker's parent process must not.
        from aspl.audio import decode
        from aspl.errors import AsplError

        total_s = 0.0
        for clip in self.clips(upload_id):
            try:
                decoded = decode(
                    self._clip_path(upload_id, clip.number).read_bytes(), max_duration_s=self.limits.max_clip_s
                )
            except AsplError as error:
                yield replace(clip, error={"code": error.code, "detail": str(error)})
                continue
            total_s += decoded.duration_s
            if total_s > self.limits.max_upload_s:
                raise UploadTooLarge(f"more than {self.limits.max_upload_s:g} seconds of audio (max_upload_s)")
            yield clip

    def _clip_path(self, upload_id: str, number: int) -> Path:
        return self.directory(upload_id) / f"{number:06d}.clip"

    def _write(self, path: Path, pieces: Iterator[bytes], remaining_bytes: int) -> tuple[int, str]:
        size_bytes, digest = 0, hashlib.sha256()
        try:
            with path.open("xb") as file:
                for piece in pieces:
                    size_bytes += len(piece)
                    if size_bytes > self.limits.max_clip_bytes:
                        raise UploadTooLarge(
                            f"a clip is larger than {self.limits.max_clip_bytes} bytes (max_clip_bytes)"
                        )
                    if size_bytes > remaining_bytes:
                        raise UploadTooLarge(f"more than {self.limits.max_upload_bytes} bytes (max_upload_bytes)")
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
