"""Clips that nobody labelled, of the place where an adapter listens: by themselves, or beside those that teach."""

from collections.abc import Iterable
from typing import BinaryIO

from jobs.errors import UploadInvalid
from jobs.findings import Findings
from jobs.uploads import Uploads

LIVE = "unlabelled"  # what stands in an upload's list where another clip has its label
MIN_LIVE_CLIPS = 5


def beside(uploads: Uploads, upload_id: str) -> Uploads:
    """Return where the live clips that came with an upload lie: within it, so that they leave with it."""
    return Uploads(uploads.directory(upload_id), uploads.limits)


def add_live_clips(uploads: Uploads, files: Iterable[tuple[str, BinaryIO]]) -> tuple[str, Findings]:
    """Write live clips, by their names, to an upload of their own; return its id and what was found of them.

    Raises UploadInvalid for fewer than 5 that can be used, and what `Uploads.add_clip` raises; the upload is then gone.
    """
    upload_id = uploads.new_upload()
    try:
        for name, file in files:
            uploads.add_clip(upload_id, LIVE, file, filename=name)
        num_files = len(uploads.clips(upload_id))
        findings = uploads.check_audio(upload_id, min_labels=1) if num_files >= MIN_LIVE_CLIPS else None
        num_usable = num_files - findings.num_left_out if findings else num_files
        if findings is None or num_usable < MIN_LIVE_CLIPS:
            wanted = f"a channel is told from {MIN_LIVE_CLIPS} unlabelled clips or more"
            raise UploadInvalid(f"{num_usable} of {num_files} unlabelled clips can be used; {wanted}")
        return upload_id, findings
    except BaseException:
        uploads.remove(upload_id)
        raise
