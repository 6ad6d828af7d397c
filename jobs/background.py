"""Which clips of an upload stand for what was never taught, and which labels look as if theirs should."""

from collections.abc import Iterator, Sequence
from itertools import takewhile

from aspl.labels import fold_label
from aspl.report import ClipWarning
from jobs.errors import UploadInvalid
from jobs.folders import Folders
from jobs.uploaded_clip import UploadedClip

BACKGROUND = "background"
FOLDERS = frozenset([BACKGROUND, "_background"])
# Labels that other tools keep for "none of the others".
ALIKE = frozenset(
    [*FOLDERS, "background noise", "ambient", "ambience", "noise", "other", "others", "silence", "unknown", "nothing"]
)


def stands_beside_labels(folders: Sequence[Folders]) -> list[bool]:
    """Say of each clip of an archive whether its folder is one of background beside those of the labels.

    A folder of that name that holds all clips is as any other folder around them.

    Args:
        folders: for each clip the folders that it lies in, from the top down.
    """
    levels = zip(*folders, strict=False)  # as deep as the shallowest clip
    num_shared = len(list(takewhile(lambda level: len(set(level)) == 1, levels)))
    return [len(each) > num_shared and is_background_folder(each[num_shared]) for each in folders]


def is_background_folder(folder: str) -> bool:
    """Say whether a label's folder would be one of background."""
    return folder.casefold() in FOLDERS


def named_background(given: Sequence[str], *, max_chars: int) -> frozenset[str]:
    """Labels that are called background, spelled as labels are kept; raises LabelsInvalid."""
    return frozenset(fold_label(label, max_chars=max_chars) for label in given)


def check_named(named: frozenset[str], files: Sequence[UploadedClip]) -> None:
    """Raise UploadInvalid for a label that is called background and that no clip has."""
    if absent := sorted(named - {file.label for file in files if file.label is not None}):
        raise UploadInvalid(f"background_labels names {absent[0]!r}, and no clip has that label")


def alike(clips: Sequence[UploadedClip]) -> Iterator[tuple[int, ClipWarning]]:
    """The number of the first clip, and a warning, of each label that is taught and looks like background."""
    seen: set[str] = set()
    for clip in clips:
        if clip.label is None or clip.is_background or clip.label in seen or clip.label.casefold() not in ALIKE:
            continue
        seen.add(clip.label)
        detail = (
            f"{clip.label!r} is taught as a label like the others and will be an answer; if its clips stand for "
            f"anything else, name it in background_labels"
        )
        yield clip.number, ClipWarning("label_like_background", clip.shown_name, clip.label, detail)
