"""Where an attempt at a job keeps what it has done so far, for the one after it."""

import shutil
from pathlib import Path


def own_checkpoint(directory: Path, holder: str) -> Path:
    """A file for this attempt alone, which begins as a copy of the one that another attempt wrote last.

    An attempt that was taken for dead may still write to its own.
    """
    own = directory / f"checkpoint-{holder}.safetensors"
    if not own.exists() and (earlier := sorted(directory.glob("checkpoint*.safetensors"), key=_changed_at)):
        copy = own.with_suffix(".copy")
        shutil.copyfile(earlier[-1], copy)
        copy.replace(own)
    return own


def _changed_at(path: Path) -> float:
    return path.stat().st_mtime
