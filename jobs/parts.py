"""The parts of a data set in an archive: what is fitted on, and what is held apart to evaluate on."""

from collections.abc import Sequence
from itertools import takewhile

from jobs.uploaded_clip import UploadedClip

TRAIN, TEST = frozenset(["train", "training"]), frozenset(["test", "testing", "eval", "evaluation"])

Stored = Sequence[tuple[UploadedClip, tuple[str, ...]]]


def without_parts(stored: Stored) -> tuple[Stored, frozenset[int]]:
    """Take the level of folders away on which clips lie in one folder of TRAIN and one of TEST, where there is such.

    Args:
        stored: each file and the folders that it lies in, from the top down.

    Returns:
        The files with the folders that are left, and the numbers of those that were in the folder of TEST.
    """
    clips = [folders for file, folders in stored if file.error is None]
    levels = list(zip(*clips, strict=False))  # as deep as the shallowest clip
    depth = len(list(takewhile(lambda level: len(set(level)) == 1, levels)))
    parts = {name.casefold() for name in levels[depth]} if depth < len(levels) else set()
    if len(parts) != 2 or not parts & TRAIN or not parts & TEST:
        return stored, frozenset()
    test = [file.number for file, folders in stored if file.error is None and folders[depth].casefold() in TEST]
    return [(file, folders[:depth] + folders[depth + 1 :]) for file, folders in stored], frozenset(test)
