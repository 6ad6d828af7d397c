"""What one job teaches: the clips of an upload, and those of the version that it goes on from."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from adapters_store import AdapterStore, Channel, ClipList, Taught, TaughtClip, channel_id
from aspl.adapter_info import read_channel
from jobs.base import Base
from jobs.exported import Exported
from jobs.uploaded_clip import UploadedClip
from jobs.uploads import Uploads


@dataclass(frozen=True)
class LessonClip:
    """One clip to be taught.

    Attributes:
        row: as the version's list will have it.
        read: reads its bytes; raises ClipNotFound where they were not kept.
        heard: what the trainer's model hears of it, as an earlier job kept it; None where that is not known.
        shift: of one that came through a channel what brings it back, before it is heard.
    """

    row: TaughtClip
    read: Callable[[], bytes]
    heard: bytes | None = None
    shift: Channel | None = None

    def through(self, name: str, channels: Mapping[str, Channel]) -> Self:
        """The same clip, marked with a channel; "" of one that is taught as it came."""
        return replace(self, row=replace(self.row, channel=name), shift=channels[name] if name else None)


@dataclass(frozen=True)
class Trained:
    """What a trainer made of a lesson.

    Attributes:
        data: the adapter's file; `header`: what it says of itself.
        held_out: {"label", "score"} or None of each of `Lesson.taught`, in order; empty where nothing is known.
        heard: what the model `fingerprint` hears of clips of which it was not known before, by id.
        told: what is to be said of its thresholds; "" for nothing.
    """

    data: bytes
    header: dict[str, Any]
    held_out: Sequence[Mapping[str, Any] | None] = ()
    heard: Mapping[str, bytes] = field(default_factory=dict)
    fingerprint: str = ""
    told: str = ""


@dataclass(frozen=True)
class Lesson:
    """The clips of a job.

    Attributes:
        clips: those of the base first, each once.
        keep: how much of them is to be kept.
        base: what the job goes on from; None where it begins.
        shared: the base's list where it is of the same adapter, so that clips and packs need not be copied.
        there: clips of `shared` whose audio is there still; of what was erased since, that which comes again is kept.
        channel: that the version itself is to have: its base's.
        before: the file of the version whose thresholds it is to have: its base's.
        is_as_recorded: whether its channels were told from clips as loud as they were recorded, so that clips are to
            be heard so.
    """

    clips: tuple[LessonClip, ...]
    keep: str = "audio"
    base: Base | None = None
    shared: ClipList | None = None
    there: frozenset[str] = frozenset()
    channel: Channel | None = None
    before: bytes | None = None
    is_as_recorded: bool = False

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
        rows = tuple(self._row(clip, answers.get(id(clip))) for clip in self.clips)
        known = self.shared.ids if self.shared else frozenset()
        carried = {clip.row.id: clip.heard for clip in self.clips if clip.heard and clip.row.id not in known}
        return Taught(
            self.keep,
            rows,
            audio={
                clip.row.id: clip.read for clip in self.clips if clip.row.id not in self.there and clip.row.has_audio
            },
            fingerprint=trained.fingerprint,
            features={**carried, **trained.heard},
            base=self.shared,
            channels={clip.row.channel: clip.shift for clip in self.clips if clip.row.channel and clip.shift},
        )

    @staticmethod
    def _row(clip: LessonClip, answer: Mapping[str, Any] | None) -> TaughtClip:
        return replace(clip.row, held_out=answer, channel=clip.row.channel or None)

    def changes(self, told: str = "") -> dict[str, Any] | None:
        """How the version differs from its base, as its manifest has it; `told`: see `Trained`."""
        if self.base is None:
            return None
        added = self.clips[len(self.base.clips) :]
        changes = self.base.changes(len(added), sum(clip.shift is not None for clip in added))
        return changes | {"thresholds": told}


def gather(uploads: Uploads, store: AdapterStore, job: Mapping[str, Any], *, fingerprint: str) -> Lesson:
    """Put together what a job teaches, from its upload and from the store.

    Raises AdapterNotFound where the version that it goes on from was deleted.
    """
    tenant, upload_id = job["tenant"], job["upload_id"]
    keep = job["training"].get("keep") or "audio"
    exported, base = (kept.read(uploads.directory(upload_id)) for kept in (Exported, Base))
    new = [_uploaded(clip, path, exported) for clip, path in uploads.usable(upload_id)]
    if base is None:
        return Lesson(tuple(new), keep, channel=exported.channel, is_as_recorded=exported.is_as_recorded)
    ref = store.resolve(tenant, f"{base.name}@{base.version}")
    kept, listed = store.kept(ref), store.clips(ref)
    heard = kept.features(listed, fingerprint) if listed else {}
    there = kept.presence().audio
    channels = listed.channels if listed else {}
    before = [
        LessonClip(
            replace(row, has_audio=row.id in there),
            lambda clip=row.id: kept.audio(clip),
            heard.get(row.id),
            channels[row.channel] if row.channel else None,
        )
        for row in base.clips
    ]
    known = {(clip.row.id, clip.row.label) for clip in before}
    file = store.read(ref)
    own = read_channel(file)
    fresh = [clip for clip in new if (clip.row.id, clip.row.label) not in known]
    if listed:
        fresh = list(_through(fresh, listed, own if base.channel == "base" else None))
    shared = listed if base.name == job["name"] else None
    return Lesson((*before, *fresh), keep, base, shared, there if shared else frozenset(), own, file)


def _through(fresh: Iterable[LessonClip], listed: ClipList, own: Channel | None) -> Iterator[LessonClip]:
    """Mark clips that come beside those of a base with its channel `own`.

    One that the base was taught with is as it was there, and one out of an export as it was where it comes from.
    """
    marks = {row.id: row.channel or "" for row in listed.clips}
    for clip in fresh:
        if clip.row.id in marks:
            yield clip.through(marks[clip.row.id], listed.channels)
        elif own is None or clip.row.channel is not None:
            yield clip
        else:
            yield clip.through(name := channel_id(own), {name: own})


def _uploaded(clip: UploadedClip, path: Path, exported: Exported) -> LessonClip:
    row = TaughtClip(
        id=clip.sha256,
        label=None if clip.is_background else clip.label,
        is_background=clip.is_background,
        file=clip.filename,
        duration_s=clip.duration_s,
        size_bytes=clip.size_bytes,
        has_audio=True,
    )
    found, mark = LessonClip(row, path.read_bytes), exported.marks.get(clip.sha256)
    return found if mark is None else found.through(mark, exported.channels)
