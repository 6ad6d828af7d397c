"""`base`: the clips of a version that a new one goes on from, less some, with other labels for some."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from adapters_store import AdapterStore, ClipList, Ref, TaughtClip
from adapters_store.names import DIGEST
from aspl.labels import fold_label
from aspl.report import LeftOut
from jobs.background import is_background_folder
from jobs.errors import UploadInvalid
from jobs.findings import fault

BASE_FILE = "base.json"
MAX_NAMED = 100


@dataclass(frozen=True)
class Base:
    """What a job goes on from.

    Attributes:
        name, version: of the version.
        clips: those of its clips that are taught again, labelled as they are now to be.
        removed: ids of those that are not to be taught again.
        relabelled: the new label of each that has another, by id.
        left_out: clips that could be taught again only if more of them had been kept.
        channel: "base" where the clips that come beside them came through its channel, if it has one; "none" where they
            are as those that it was taught with.
        keep: how much the version keeps of its clips; of a base that was read, the job's training says what it keeps.
    """

    name: str
    version: int
    clips: tuple[TaughtClip, ...]
    removed: tuple[str, ...] = ()
    relabelled: Mapping[str, str] = field(default_factory=dict)
    left_out: tuple[LeftOut, ...] = ()
    channel: str = "base"
    keep: str = "audio"

    @property
    def labels(self) -> frozenset[str]:
        """What its clips are taught as, background aside."""
        return frozenset(clip.label for clip in self.clips if clip.label is not None)

    def changes(self, num_added: int, num_live: int) -> dict[str, Any]:
        """What a new version says of how it differs from this one, as its manifest has it.

        Args:
            num_live: how many of those that are added came through its channel.
        """
        return {
            "base": {"name": self.name, "version": self.version},
            "added": num_added,
            "through_channel": num_live,
            "removed": list(self.removed[:MAX_NAMED]),
            "num_removed": len(self.removed),
            "relabelled": dict(list(self.relabelled.items())[:MAX_NAMED]),
            "num_relabelled": len(self.relabelled),
        }

    def write(self, directory: Path) -> None:
        """Keep it in an upload's directory."""
        rows = {"clips": [vars(clip) for clip in self.clips], "left_out": [asdict(row) for row in self.left_out]}
        value = {**vars(self), **rows}
        del value["keep"]  # which the job's training says
        (directory / BASE_FILE).write_text(json.dumps(value), encoding="utf-8")

    @classmethod
    def read(cls, directory: Path) -> Self | None:
        """What `write` kept there; None where nothing was."""
        try:
            value = json.loads((directory / BASE_FILE).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        clips = tuple(TaughtClip(**row) for row in value.pop("clips"))
        left_out = tuple(LeftOut(**row) for row in value.pop("left_out"))
        return cls(**{**value, "removed": tuple(value["removed"])}, clips=clips, left_out=left_out)


@dataclass(frozen=True)
class Correction:
    """What is to change of a version's clips: ids to leave out, and new labels by id; `channel` as `Base` has it."""

    remove: Sequence[str] = ()
    relabel: Mapping[str, str] = field(default_factory=dict)
    channel: str = "base"

    def checked(self, *, max_label_chars: int) -> "Correction":
        """The same with labels spelled as they are kept; raises UploadInvalid, LabelsInvalid."""
        for what, ids in (("remove", self.remove), ("relabel", self.relabel)):
            if bad := [clip for clip in ids if not DIGEST.fullmatch(clip)]:
                raise UploadInvalid(f"{what}: {bad[0][:80]!r} is no clip's id; an id is 64 hexadecimal digits")
        if both := set(self.remove) & set(self.relabel):
            raise UploadInvalid(f"clip {min(both)} is to be removed and relabelled; say one of the two")
        relabel = {clip: fold_label(label, max_chars=max_label_chars) for clip, label in self.relabel.items()}
        return Correction(tuple(dict.fromkeys(self.remove)), relabel, self.channel)


def plan_base(
    store: AdapterStore,
    ref: Ref,
    correction: Correction,
    *,
    fingerprint: str,
    needs_audio: bool,
    beside: Collection[str] = (),
) -> Base:
    """Return what a job that goes on from version `ref` is taught of its clips.

    Args:
        fingerprint: of the base model that the job runs on.
        needs_audio: whether the method is trained on audio, so that features alone are of no use.
        beside: labels of the clips that come with it.

    Raises UploadInvalid for a version whose clips were not kept, and for clips that it was not taught with.
    """
    listed = store.clips(ref)
    if listed is None:
        raise UploadInvalid(f"nothing was kept of what {ref} was taught with; send all its clips once, without base")
    for what, ids in (("remove", correction.remove), ("relabel", correction.relabel)):
        if strange := [clip for clip in ids if clip not in listed.ids]:
            raise UploadInvalid(f"{what}: {ref} was not taught with clip {strange[0]}")
    labels = {clip.label for clip in listed.clips}
    removed, usable = set(correction.remove), _usable(store, ref, listed, fingerprint)
    clips, left_out, wanting = [], [], 0
    for clip in listed.clips:
        if clip.id in removed:
            continue
        kept = usable.get(clip.id, frozenset())
        if needs_audio and kept == {"features"}:
            wanting += 1
        elif not kept:
            detail = f"its audio was erased, or not kept, when or since {ref} was taught with it"
            left_out.append(LeftOut(clip.file or clip.id, clip.label, fault("clip_not_found", detail)))
        else:
            clips.append(_corrected(clip, correction.relabel, labels))
    if wanting:
        raise UploadInvalid(
            f"the method is trained on audio, and of {wanting} clips of {ref} features alone are kept; take method=auto"
        )
    changes = tuple(correction.remove), correction.relabel
    # One that was there under two labels is there once when it has been given one.
    taught = {clip.id if clip.id in correction.relabel else place: clip for place, clip in enumerate(clips)}
    base = Base(
        ref.name, ref.version, tuple(taught.values()), *changes, tuple(left_out), correction.channel, listed.keep
    )
    _check_labels(base, ref, beside)
    return base


def _usable(store: AdapterStore, ref: Ref, listed: ClipList, fingerprint: str) -> dict[str, frozenset[str]]:
    """What of each clip can be used: its `audio`, its `features` under the model, both or neither."""
    kept = store.kept(ref)
    parts = {"audio": kept.presence().audio, "features": kept.features(listed, fingerprint).keys()}
    return {clip: frozenset(part for part, ids in parts.items() if clip in ids) for clip in listed.ids}


def _corrected(clip: TaughtClip, relabel: Mapping[str, str], labels: Collection[str | None]) -> TaughtClip:
    """The clip as it is to be taught; `background` and `_background` are none but where they are labels already."""
    if clip.id not in relabel:
        return replace(clip, held_out=None)
    label = relabel[clip.id]
    if is_background_folder(label) and label not in labels:
        return replace(clip, label=None, is_background=True, held_out=None)
    return replace(clip, label=label, is_background=False, held_out=None)


def _check_labels(base: Base, ref: Ref, beside: Collection[str]) -> None:
    """Refuse a base of which a label is lost because its clips are, which nobody asked for."""
    lost = {row.label for row in base.left_out} - base.labels - set(beside)
    if named := sorted(label for label in lost if label is not None):
        raise UploadInvalid(
            f"no clip of the label {named[0]!r} of {ref} is kept; send new ones without base, or remove the others"
        )
