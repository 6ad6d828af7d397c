"""What no version names any more: removed with the last version that did, or, where a crash left it, by its age."""

from collections.abc import Mapping

from adapters_store.files import Entry, Files
from adapters_store.kept_clips import ERASED, KeptClips
from adapters_store.names import CLAIM, DATA, LIST, MANIFEST, NAME, TENANT_DIRECTORY, numbers_in, tenant_of

GRACE_S = 3600.0
"""No publication takes as long; what is older and belongs to no version was left by one that died."""


def drop_unused(files: Files, tenant: str, name: str) -> int:
    """Remove the clips that no version names, unless a publication may be under way; the lock is the caller's.

    Returns how many files went.
    """
    kept = KeptClips(files, tenant, name)
    versions = files.tree(f"{kept.directory}/versions")
    if _is_under_way(versions):
        return 0
    return len(kept.drop_unused(kept.lists(numbers_in(versions, MANIFEST)).values()))


def sweep(files: Files) -> int:
    """Go through all adapters of all tenants; returns how many files went."""
    removed = 0
    for directory in files.children(""):
        if TENANT_DIRECTORY.fullmatch(directory):
            for name in files.children(directory):
                if NAME.fullmatch(name):
                    removed += _sweep_adapter(files, tenant_of(directory), name)
    return removed


def _sweep_adapter(files: Files, tenant: str, name: str) -> int:
    kept = KeptClips(files, tenant, name)
    with files.lock(kept.directory):
        versions = files.tree(f"{kept.directory}/versions")
        if _is_under_way(versions):
            return 0
        whole = set(numbers_in(versions, MANIFEST))
        doomed = [
            f"{kept.directory}/versions/{number:06d}{suffix}"
            for suffix in (DATA, LIST)
            for number in numbers_in(versions, suffix)
            if number not in whole
        ]
        files.remove_many(doomed)
        marks = {path: entry for path, entry in files.tree(kept.clips).items() if path.endswith(ERASED)}
        kept.finish_erasing(path.removesuffix(ERASED) for path, entry in marks.items() if not entry.size_bytes)
        return len(doomed) + len(kept.drop_unused(kept.lists(whole).values()))


def _is_under_way(versions: Mapping[str, Entry]) -> bool:
    """Whether a number was claimed lately and has come to nothing yet."""
    return any(
        path.endswith(CLAIM)
        and entry.size_bytes == 0
        and entry.age_s < GRACE_S
        and path.removesuffix(CLAIM) + MANIFEST not in versions
        for path, entry in versions.items()
    )
