"""What one job teaches: the clips of an upload, and those of the version that it goes on from."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from adapters_store import AdapterStore, ClipList, Taught, TaughtClip
from jobs.base import Base
from jobs.uploaded_clip import UploadedClip
from jobs.uploads import Uploads


@dataclass(frozen=True)
class LessonClip:
    """One clip to be taught.

    Attributes:
        row: as the version's list will have it.
        read: reads its bytes; raises ClipNotFound where they were not kept.
        heard: what the trainer's model hears of it, as an earlier job kept it; None where that is not known.
    """

    row: TaughtClip
    read: Callable[[], bytes]
    heard: bytes | None = None


@dataclass(frozen=True)
class Trained:
    """What a trainer made of a lesson.

    Attributes:
        data: the adapter's file; `header`: what it says of itself.
        held_out: {"label", "score"} or None of each of `Lesson.taught`, in order; empty where nothing is known.
        heard: what the model `fingerprint` hears of clips of which it was not known before, by id.
    """

    data: bytes
    header: dict[str, Any]
    held_out: Sequence[Mapping[str, Any] | None] = ()
    heard: Mapping[str, bytes] = field(default_factory=dict)
    fingerprint: str = ""


@dataclass(frozen=True)
class Lesson:
    """The clips of a job.

    Attributes:
        clips: those of the base first, each once.
        keep: how much of them is to be kept.
        base: what the job goes on from; None where it begins.
        shared: the base's list where it is of the same adapter, so that clips and packs need not be copied.
    """

    clips: tuple[LessonClip, ...]
    keep: str = "audio"
    base: Base | None = None
    shared: ClipList | None = None

    @property
    def taught(self) -> list[LessonClip]:
        """The clips that have labels."""
        return [clip for clip in self.clips if not clip.row.is_background]

    @property
    def background(self) -> list[LessonClip]:
        """The clips that stand for what is not taught."""
        return [clip for clip in self.clips if clip.row.is_background]

    def kept(self, trained: Trained) -> Taught:
        """What the store is to keep of it."""
        answers = dict(zip(map(id, self.taught), trained.held_out, strict=False))
        rows = tuple(replace(clip.row, held_out=answers.get(id(clip))) for clip in self.clips)
        there = self.shared.kept_ids if self.shared else frozenset()
        known = self.shared.ids if self.shared else frozenset()
        carried = {clip.row.id: clip.heard for clip in self.clips if clip.heard and clip.row.id not in known}
        return Taught(
            self.keep,
            rows,
            audio={clip.row.id: clip.read for clip in self.clips if clip.row.id not in there and clip.row.has_audio},
            fingerprint=trained.fingerprint,
            features={**carried, **trained.heard},
            base=self.shared,
        )

    def changes(self) -> dict[str, Any] | None:
        """How the version differs from its base, as its manifest has it."""
        return self.base and self.base.changes(len(self.clips) - len(self.base.clips))


def gather(uploads: Uploads, store: AdapterStore, job: Mapping[str, Any], *, fingerprint: str) -> Lesson:
    """Put together what a job teaches, from its upload and from the store.

    Raises AdapterNotFound where the version that it goes on from was deleted.
    """
    tenant, upload_id = job["tenant"], job["upload_id"]
    keep = job["training"].get("keep") or "audio"
    new = [_uploaded(clip, path) for clip, path in uploads.usable(upload_id)]
    base = Base.read(uploads.directory(upload_id))
    if base is None:
        return Lesson(tuple(new), keep)
    ref = store.resolve(tenant, f"{base.name}@{base.version}")
    kept, listed = store.kept(ref), store.clips(ref)
    heard = kept.features(listed, fingerprint) if listed else {}
    there = kept.presence().audio
    before = [
        LessonClip(replace(row, has_audio=row.id in there), lambda clip=row.id: kept.audio(clip), heard.get(row.id))
        for row in base.clips
    ]
    known = {(clip.row.id, clip.row.label) for clip in before}
    fresh = [clip for clip in new if (clip.row.id, clip.row.label) not in known]
    shared = listed if base.name == job["name"] else None
    return Lesson((*before, *fresh), keep, base, shared)


def _uploaded(clip: UploadedClip, path: Path) -> LessonClip:
    row = TaughtClip(
        id=clip.sha256,
        label=None if clip.is_background else clip.label,
        is_background=clip.is_background,
        file=clip.filename,
        duration_s=clip.duration_s,
        size_bytes=clip.size_bytes,
        has_audio=True,
    )
    return LessonClip(row, path.read_bytes)
