"""Which of the folders in an archive are its labels: told with certainty, or refused with what was found."""

from collections.abc import Sequence

from jobs.errors import ArchiveInvalid

# Names of the parts of a data set. A train is a sound too.
PARTS = frozenset(["train", "training", "test", "testing", "val", "valid", "validation", "dev", "eval", "evaluation"])
PART_AND_LABEL = {"train"}
NUM_SHOWN = 8

Folders = tuple[str, ...]


def label_depth(clips: Sequence[Folders]) -> int:
    """Tell which folder of every clip's path is its label, counted from 0.

    Folders that all clips share are passed over, above the labels and below them. Where two depths could be the
    labels (label/session and session/label look alike) nothing is guessed.

    Args:
        clips: for each clip the folders that it lies in, one at least, from the top down.

    Raises:
        ArchiveInvalid: clips at different depths, labels at more than one, or parts of a data set beside each other.
    """
    levels = [list(level) for level in zip(*clips, strict=False)]  # as deep as the shallowest clip
    branching = {tuple(level): depth for depth, level in enumerate(levels) if len(set(level)) > 1}
    for level in branching:
        _refuse_parts(level)
    if len({len(folders) for folders in clips}) > 1:
        shallow, deep = min(clips, key=len), max(clips, key=len)
        raise ArchiveInvalid(
            f"clips lie at different depths: some in {_path(shallow)}, some in {_path(deep)}; put every clip right "
            "into its label's folder, and those folders beside each other"
        )
    if len(branching) > 1:
        readings = "; or ".join(
            f"the labels are the folders {named(level)} ({_path(clips[0][: depth + 1])})"
            for level, depth in branching.items()
        )
        raise ArchiveInvalid(
            f"it cannot be told which folders are the labels. Either {readings}. Leave one depth of folders, "
            "in which each label's folder holds its clips itself"
        )
    return next(iter(branching.values()), len(levels) - 1)


def named(names: Sequence[str]) -> str:
    """Some names in a sentence: each once, and not too many."""
    distinct = list(dict.fromkeys(names))
    rest = f" and {len(distinct) - NUM_SHOWN} more" if len(distinct) > NUM_SHOWN else ""
    return ", ".join(map(repr, distinct[:NUM_SHOWN])) + rest


def _refuse_parts(level: Sequence[str]) -> None:
    parts = [name for name in dict.fromkeys(level) if name.casefold() in PARTS]
    if not parts or (len(parts) == 1 and parts[0].casefold() in PART_AND_LABEL):
        return
    others = [name for name in level if name not in parts]
    beside = f" (beside {named(others)})" if others else ""
    to_send = next((name for name in parts if name.casefold().startswith("train")), None)
    advice = f"upload the folder {to_send!r} alone" if to_send else "upload what is to be trained on alone"
    raise ArchiveInvalid(
        f"folders called {named(parts)}{beside} look like parts of a data set rather than labels; {advice}, with a "
        "folder for each label in it. Clips of labels so named can be sent as `clips` with `labels`"
    )


def _path(folders: Folders) -> str:
    return repr("/".join(folders) + "/")
