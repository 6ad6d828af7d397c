"""Uploads on disk between the request and the end of its job.

Every file in an upload's directory has a name of ours (a number), so nothing that a client says becomes a path.
"""

import hashlib
import json
import re
import shutil
import time
import uuid
from collections.abc import Callable, Collection, Iterable
from dataclasses import asdict, replace
from pathlib import Path
from typing import BinaryIO

from aspl.labels import fold, fold_label
from aspl.report import LeftOut
from jobs.archive_labels import labelled
from jobs.archives import ArchiveMember, members
from jobs.background import BACKGROUND, alike, check_named, named_background
from jobs.checkpoints import own_checkpoint
from jobs.clip_check import check_decoded, is_clip, repetitions
from jobs.clip_files import write_clip
from jobs.disk import disk_faults
from jobs.errors import MemberDamaged, UploadInvalid, UploadNotFound, UploadTooLarge
from jobs.exported import LISTED, Exported
from jobs.findings import Findings, fault, shown_name
from jobs.folders import named
from jobs.limits import UploadLimits
from jobs.uploaded_clip import EvaluationClips, Tally, UploadedClip, reasons

FILE_LIST = "manifest.json"
MIN_LABELS = 2
UPLOAD_ID = re.compile(r"[0-9a-f]{32}")


class Uploads:
    """The uploads of one data directory; one thread at a time adds to an upload.

    What writes or reads an upload raises StagingUnavailable where the disk fails.
    """

    def __init__(self, data_dir: Path, limits: UploadLimits | None = None):
        self.root = data_dir / "staging"
        self.limits = limits or UploadLimits()
        self._tallies: dict[str, Tally] = {}

    @disk_faults()
    def new_upload(self) -> str:
        """Make an empty upload and return its id."""
        upload_id = uuid.uuid4().hex
        (self.root / upload_id).mkdir(parents=True)
        return upload_id

    def add_clip(
        self,
        upload_id: str,
        label: str,
        chunks: Iterable[bytes] | BinaryIO,
        *,
        filename: str = "",
        is_background: bool = False,
    ) -> UploadedClip:
        """Write one clip to the upload.

        Args:
            label: what is to be heard, in any spelling of it; see aspl.labels.
            chunks: the file's bytes, in pieces of any size, or an open binary file.
            filename: the client's name for the file, used only in messages.
            is_background: whether it stands for what is not taught, whatever its label.

        Raises LabelsInvalid, UploadTooLarge (naming the limit), UploadNotFound.
        """
        label = fold_label(label, max_chars=self.limits.max_label_chars)
        self._count_labels(upload_id, set() if is_background else {label})
        self._check_num_clips(self._tally(upload_id).num_clips + 1)
        clip = replace(self._store(upload_id, chunks, filename=filename), label=label, is_background=is_background)
        self._note(upload_id, [clip])
        return clip

    def add_archive(
        self, upload_id: str, archive: Path | BinaryIO, *, background_labels: Iterable[str] = ()
    ) -> list[UploadedClip]:
        """Write every clip of a zip or tar to the upload, labelled by its folder; see jobs.folders.

        Clips of `background_labels`, and of folders that jobs.background knows, are background.
        Returns its files in their order; those that are no audio, or lie in no folder, have no label but an error.
        Raises ArchiveInvalid, LabelsInvalid, UploadTooLarge.
        """
        stored = []
        for member in members(archive, self.limits):
            folders = tuple(map(fold, member.path.parts[:-1]))
            stored.append((self._unpacked(upload_id, member, folders), folders))
            self._check_num_clips(self._tally(upload_id).num_clips)
        named = named_background(list(background_labels), max_chars=self.limits.max_label_chars)
        files = labelled(stored, named, max_chars=self.limits.max_label_chars)
        check_named(named, files)
        taught = {file.label for file in files if file.is_taught}
        self._count_labels(upload_id, taught)
        self._note(upload_id, files)
        return files

    def add_files(self, upload_id: str, archive: Path | BinaryIO) -> list[UploadedClip]:
        """Write every file of a zip or tar that is audio to the upload, without labels, whatever folder it lies in.

        Returns its files in their order; those that are no audio have an error. Raises as `add_archive`.
        """
        files = []
        for member in members(archive, self.limits):
            files.append(self._unpacked(upload_id, member, None))
            self._check_num_clips(self._tally(upload_id).num_clips)
        self._note(upload_id, files)
        self._tallies.pop(upload_id, None)
        return files

    def files(self, upload_id: str) -> list[tuple[UploadedClip, Path]]:
        """Every file that can be used and where it lies, in order."""
        usable = (clip for clip in self.clips(upload_id) if clip.error is None)
        return [(clip, self._clip_path(upload_id, clip.number)) for clip in usable]

    @disk_faults()
    def clips(self, upload_id: str) -> list[UploadedClip]:
        """What the upload holds, in the order in which it came."""
        file_list = self.directory(upload_id) / FILE_LIST
        if not file_list.exists():
            return []
        latest: dict[int, UploadedClip] = {}
        for line in file_list.read_text(encoding="utf-8").splitlines():
            clip = UploadedClip(**json.loads(line))
            latest[clip.number] = clip
        return [latest[number] for number in sorted(latest)]

    def usable(self, upload_id: str, *, is_test: bool = False) -> list[tuple[UploadedClip, Path]]:
        """Every clip that can be used and its file, in order: of the upload's test part, or else of the rest."""
        usable = [clip for clip in self.clips(upload_id) if clip.error is None and clip.label is not None]
        return [(clip, self._clip_path(upload_id, clip.number)) for clip in usable if clip.is_test == is_test]

    def evaluation_clips(self, upload_id: str, *, is_test: bool = False) -> EvaluationClips:
        """As `usable`, to evaluate on."""
        return EvaluationClips.of(self.usable(upload_id, is_test=is_test))

    def digest(self, upload_id: str) -> str:
        """SHA-256 over labels and clips, equal for equal uploads."""
        digest = hashlib.sha256()
        for clip in self.clips(upload_id):
            if clip.label is not None or clip.error is None:
                meant = [BACKGROUND, None, clip.sha256] if clip.is_background else [clip.label, clip.sha256]
                digest.update(json.dumps([*meant, "test"] if clip.is_test else meant).encode())
        return digest.hexdigest()

    def check_labels(
        self, upload_id: str, *, min_labels: int = MIN_LABELS, before: Collection[str] = frozenset()
    ) -> None:
        """Raise UploadInvalid unless there are clips of at least `min_labels` labels, background aside, together with
        the labels of what was taught `before`."""
        self._tallies.pop(upload_id, None)
        files = self.clips(upload_id)
        taught = (clip.label for clip in files if clip.is_taught)
        labels = list(dict.fromkeys((*before, *taught)))
        if len(labels) < min_labels:
            found = f"the only one found is {labels[0]!r}" if labels else "none was found"
            others = [file for file in files if file.label is None]
            left_out = f". Left out: {reasons(others)}" if others else ""
            wanted = f"{min_labels} different labels" if min_labels > 1 else "one label"
            beside = " beside the background" if any(clip.is_background for clip in files) else ""
            raise UploadInvalid(f"clips of at least {wanted}{beside} are needed; {found}{left_out}")

    @disk_faults()
    def check_audio(
        self,
        upload_id: str,
        *,
        min_labels: int = MIN_LABELS,
        before: Collection[str] = frozenset(),
        on_audio: Callable[[float], None] = lambda seconds: None,
    ) -> Findings:
        """Decode every clip and mark those that cannot be used; slow, for a thread of its own.

        `on_audio` is called with each further duration that was decoded, in seconds; what it raises ends the check.

        Returns the files that are left out of the training, each with its error, and what is odd about the others.
        Raises UploadInvalid where a label, or the background, has no usable clip, UploadTooLarge where all of it
        together is too long.
        """
        self.check_labels(upload_id, min_labels=min_labels, before=before)
        all_clips = (clip for clip in self.clips(upload_id) if clip.label is not None)
        files = [(clip, self._clip_path(upload_id, clip.number)) for clip in all_clips]
        clips, warnings = [], []
        for clip, odd in check_decoded(files, self.limits, on_audio):
            clips.append(clip)
            warnings += [(clip.number, warning) for warning in odd]
        self._note(upload_id, clips)
        usable = [clip for clip in clips if clip.error is None]
        used = {_taught_as(clip) for clip in usable if not clip.is_test} | set(before)
        if failed := [clip for clip in clips if not clip.is_test and _taught_as(clip) not in used]:
            labels = named([clip.label for clip in failed if clip.label is not None])
            raise UploadInvalid(f"no clip of the label {labels} can be used: {reasons(failed)}")
        warnings += [*repetitions(usable), *alike(usable)]
        warnings.sort(key=lambda numbered: numbered[0])
        left_out = [LeftOut(f.shown_name, f.label, f.error) for f in self.clips(upload_id) if f.error is not None]
        return Findings.of(left_out, [warning for _, warning in warnings])

    @disk_faults()
    def checkpoint(self, upload_id: str, holder: str) -> Path:
        """Where this attempt at the job keeps its state, which begins as what the one before it left."""
        return own_checkpoint(self.directory(upload_id), holder)

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
            is_doomed = directory.name not in in_use and UPLOAD_ID.fullmatch(directory.name)
            if is_doomed and time.time() - directory.stat().st_mtime > older_than_s:
                self.remove(directory.name)
                removed.append(directory.name)
        return removed

    def _tally(self, upload_id: str) -> Tally:
        if upload_id not in self._tallies:
            tally = self._tallies[upload_id] = Tally()
            for clip in self.clips(upload_id):
                tally.add(clip)
        return self._tallies[upload_id]

    @disk_faults()
    def _store(self, upload_id: str, chunks: Iterable[bytes] | BinaryIO, *, filename: str) -> UploadedClip:
        """Write a file, which is still to be given its label."""
        tally = self._tally(upload_id)
        path, name = self._clip_path(upload_id, tally.num_files), shown_name(filename)
        remaining = self.limits.max_upload_bytes - tally.size_bytes
        size_bytes, sha256 = write_clip(path, chunks, self.limits, remaining_bytes=remaining, name=name)
        file = UploadedClip(tally.num_files, None, name, size_bytes, sha256)
        tally.add(file)
        return file

    @disk_faults()
    def _note(self, upload_id: str, files: Iterable[UploadedClip]) -> None:
        with (self.directory(upload_id) / FILE_LIST).open("a", encoding="utf-8") as file_list:
            file_list.writelines(json.dumps(asdict(file)) + "\n" for file in files)

    def _unpacked(self, upload_id: str, member: ArchiveMember, folders: tuple[str, ...] | None) -> UploadedClip:
        """A file of an archive, written where it is a clip with a label, else with its error."""
        try:
            file = self._store(upload_id, member.chunks, filename=str(member.path))
        except MemberDamaged as error:
            tally = self._tally(upload_id)
            damage = fault(error.code, str(error))
            file = UploadedClip(tally.num_files, None, shown_name(str(member.path)), 0, "", damage)
            tally.add(file)
            return file
        if member.path == LISTED:
            Exported.keep(self._clip_path(upload_id, file.number), self.directory(upload_id))
        return self._checked(upload_id, file, folders)

    @disk_faults()
    def _checked(self, upload_id: str, file: UploadedClip, folders: tuple[str, ...] | None) -> UploadedClip:
        """A file of an archive as it is, or, where it is no clip with a label, with its error and without its bytes."""
        path = self._clip_path(upload_id, file.number)
        if not is_clip(path, file.filename):
            error = fault("audio_unsupported", "the file holds no audio")
        elif folders == ():
            error = fault("labels_invalid", "the clip lies in no folder, and a clip's folder is its label")
        else:
            return file
        path.unlink()
        tally = self._tally(upload_id)
        tally.num_clips -= 1
        tally.size_bytes -= file.size_bytes
        return replace(file, error=error)

    def _check_num_clips(self, num_clips: int) -> None:
        if num_clips > self.limits.max_clips:
            raise UploadTooLarge(f"more than {self.limits.max_clips} clips (max_clips)")

    def _count_labels(self, upload_id: str, labels: set[str]) -> None:
        tally = self._tally(upload_id)
        if len(tally.labels | labels) > self.limits.max_labels:
            raise UploadTooLarge(f"more than {self.limits.max_labels} labels (max_labels)")
        tally.labels |= labels

    def _clip_path(self, upload_id: str, number: int) -> Path:
        return self.directory(upload_id) / f"{number:06d}.clip"


def _taught_as(clip: UploadedClip) -> str | None:
    """The label; None of the background."""
    return None if clip.is_background else clip.label
