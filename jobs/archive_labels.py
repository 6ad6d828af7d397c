"""From the folders of an archive to the labels of its clips, and to those that are background."""

from collections.abc import Sequence
from dataclasses import replace

from aspl.errors import LabelsInvalid
from aspl.labels import fold_label
from jobs.background import BACKGROUND, is_background_folder, stands_beside_labels
from jobs.folders import Folders, depth_of_labels
from jobs.parts import without_parts
from jobs.uploaded_clip import UploadedClip


def labelled(
    stored: Sequence[tuple[UploadedClip, Folders]], named: frozenset[str], *, max_chars: int
) -> list[UploadedClip]:
    """Return the files of an archive, those that are clips with the label that their folder is.

    Where folders `train` and `test` lie beside each other, what is in the second is marked as such.

    Args:
        stored: each file and the folders that it lies in.
        named: labels that are called background.
        max_chars: the most characters of a label.

    Raises ArchiveInvalid where it cannot be told which folders are labels, LabelsInvalid where one is none.
    """
    stored, test = without_parts(stored)
    clips = [(file, folders) for file, folders in stored if file.error is None]
    beside = stands_beside_labels([folders for _, folders in clips])
    background = {file.number for (file, _), is_beside in zip(clips, beside, strict=True) if is_beside}
    taught = [(file, folders) for file, folders in stored if file.number not in background]
    has_labels = not background or any(file.error is None for file, _ in taught)
    depth = depth_of_labels(taught) if has_labels else 0

    def with_label(file: UploadedClip, folders: Folders) -> UploadedClip:
        if file.error is not None:
            return file
        file = replace(file, is_test=file.number in test)
        if file.number in background:
            return replace(file, label=BACKGROUND, is_background=True)
        label = _label(file, folders[depth], max_chars)
        return replace(file, label=label, is_background=label in named or is_background_folder(label))

    return [with_label(file, folders) for file, folders in stored]


def _label(file: UploadedClip, folder: str, max_chars: int) -> str:
    try:
        return fold_label(folder, max_chars=max_chars)
    except LabelsInvalid as error:
        raise LabelsInvalid(f"the folder of {file.filename!r} is no label: {error}", limit=error.limit) from error
