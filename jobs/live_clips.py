"""Clips that nobody labelled, of the place where an adapter listens: by themselves, or beside those that teach."""

from collections.abc import Callable, Iterable
from typing import BinaryIO

from jobs.errors import UploadInvalid
from jobs.findings import Findings
from jobs.uploads import Uploads

LIVE = "unlabelled"  # what stands in an upload's list where another clip has its label
MIN_LIVE_CLIPS = 5


def beside(uploads: Uploads, upload_id: str) -> Uploads:
    """Return where the live clips that came with an upload lie: within it, so that they leave with it."""
    return Uploads(uploads.directory(upload_id), uploads.limits)


def stage_live_clips(uploads: Uploads, upload_id: str, files: Iterable[tuple[str, BinaryIO]]) -> None:
    """Write live clips, by their names, to an upload; raises what `Uploads.add_clip` raises."""
    for name, file in files:
        uploads.add_clip(upload_id, LIVE, file, filename=name)


def check_live_clips(
    uploads: Uploads, upload_id: str, *, on_audio: Callable[[float], None] = lambda seconds: None
) -> Findings:
    """Decode an upload's live clips; raises UploadInvalid for fewer than 5 that can be used.

    Args:
        on_audio: see `Uploads.check_audio`.
    """
    files, wanted = uploads.clips(upload_id), f"a channel is told from {MIN_LIVE_CLIPS} or more"
    num_files, num_different = len(files), len({file.sha256 for file in files})
    if num_different < MIN_LIVE_CLIPS:
        alike = f", {num_different} of them different" if num_different < num_files else ""
        raise UploadInvalid(f"{num_files} unlabelled clips came{alike}; {wanted}")
    findings = uploads.check_audio(upload_id, min_labels=1, on_audio=on_audio)
    if (num_usable := num_files - findings.num_left_out) < MIN_LIVE_CLIPS:
        raise UploadInvalid(f"{num_usable} of {num_files} unlabelled clips can be used; {wanted}")
    return findings
