"""The files of a form with labels into an upload: as fields, or as an archive with a folder for each label."""

from typing import Protocol

from fastapi import UploadFile

from aspl.labels import fold
from jobs.background import BACKGROUND, check_named, named_background
from jobs.uploads import Uploads
from service.http.forms import SEVERAL_LABELS, split_labels
from service.http.problems import ServiceError


class LabelledFiles(Protocol):
    """What such a form has."""

    clips: list[UploadFile]
    labels: list[str]
    archive: UploadFile | None
    background: list[UploadFile]
    background_labels: list[str]


def stage_labelled(uploads: Uploads, upload_id: str, form: LabelledFiles) -> None:
    """Put the form's files into an upload; raises what says that labels and clips do not fit each other."""
    labels, background_labels = split_labels(form.labels), split_labels(form.background_labels)
    if form.archive is not None:
        uploads.add_archive(upload_id, form.archive.file, background_labels=background_labels)
    else:
        _stage_clips(uploads, upload_id, form.clips, labels, background_labels)
    for clip in form.background:
        uploads.add_clip(upload_id, BACKGROUND, clip.file, filename=clip.filename or "", is_background=True)


def _stage_clips(
    uploads: Uploads, upload_id: str, clips: list[UploadFile], labels: list[str], background_labels: list[str]
) -> None:
    if len(labels) != len(clips):
        raise ServiceError(
            "upload_invalid",
            f"{len(clips)} clips came with {len(labels)} labels; each clip needs one. {SEVERAL_LABELS}",
        )
    named = named_background(background_labels, max_chars=uploads.limits.max_label_chars)
    files = [
        uploads.add_clip(upload_id, label, clip.file, filename=clip.filename or "", is_background=fold(label) in named)
        for clip, label in zip(clips, labels, strict=True)
    ]
    check_named(named, files)
