"""Pages of a tenant's adapters, in rounds of reads side by side rather than one after the other."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from adapters_store.errors import AdapterCorrupt
from adapters_store.files import Files
from adapters_store.manifests import parsed_manifest
from adapters_store.names import (
    MANIFEST,
    NAME,
    Ref,
    adapter_directory,
    numbers_in,
    pointer_path,
    tenant_directory,
    version_path,
)
from adapters_store.pointer import Pointer

NUM_NEWER = 10


@dataclass(frozen=True)
class AdapterEntry:
    """An adapter as a list shows it.

    Attributes:
        current: the version that the bare name means; None where what says so is damaged.
        versions: all of them, in ascending order.
        manifests: of the current version and of the last `NUM_NEWER` after it, as far as they can be read.
        fault: why `current` or its manifest cannot be told.
    """

    name: str
    current: Ref | None
    versions: tuple[int, ...] = ()
    manifests: Mapping[int, dict[str, Any]] = field(default_factory=dict)
    fault: AdapterCorrupt | None = None


def read_pointers(files: Files, tenant: str, *, limit: int, after: str | None) -> tuple[dict[str, bytes], str | None]:
    """The pointers of a tenant's adapters in alphabetical order of their names.

    Args:
        limit: how many at most, from 1.
        after: the name after which to go on.

    Returns:
        The pointers by name, and the name to pass as `after` for the next page, `None` on the last.
    """
    if limit < 1:
        raise ValueError(f"limit is {limit}; it must be at least 1")
    children = files.children(tenant_directory(tenant))
    candidates = sorted(name for name in children if NAME.fullmatch(name) and (after is None or name > after))
    found: dict[str, bytes] = {}
    for start in range(0, len(candidates), limit + 1):
        chunk = {pointer_path(tenant, name): name for name in candidates[start:][: limit + 1]}
        read = files.read_many(chunk)
        found |= {name: read[path] for path, name in chunk.items() if path in read}
        if len(found) > limit:
            page = dict(list(found.items())[:limit])
            return page, list(page)[-1]
    return found, None


def read_entries(files: Files, tenant: str, pointers: Mapping[str, bytes], fingerprint: str = "") -> list[AdapterEntry]:
    """The adapters of these pointers, as a base model sees them; one that was deleted meanwhile is left out."""
    entries = [_pointed(tenant, name, data, fingerprint) for name, data in pointers.items()]
    directories = {entry.name: f"{adapter_directory(tenant, entry.name)}/versions" for entry in entries}
    children = files.children_many(directories.values())
    versions = {name: tuple(numbers_in(children[path], MANIFEST)) for name, path in directories.items()}
    wanted = {
        version_path(tenant, entry.name, number) + MANIFEST: (entry.name, number)
        for entry in entries
        if entry.current
        for number in _shown(entry.current.version, versions[entry.name])
    }
    read = files.read_many(wanted)
    manifests: dict[str, dict[int, dict[str, Any]]] = {entry.name: {} for entry in entries}
    faults: dict[str, AdapterCorrupt] = {}
    current = {entry.name: entry.current and entry.current.version for entry in entries}
    for path, (name, number) in wanted.items():
        try:
            if path in read:
                manifests[name][number] = parsed_manifest(read[path], name, number)
        except AdapterCorrupt as error:
            if number == current[name]:
                faults[name] = error
    return [
        AdapterEntry(e.name, e.current, versions[e.name], manifests[e.name], e.fault or faults.get(e.name))
        for e in entries
        if e.fault or e.name in faults or (e.current and e.current.version in manifests[e.name])
    ]


def _pointed(tenant: str, name: str, data: bytes, fingerprint: str) -> AdapterEntry:
    try:
        return AdapterEntry(name, Pointer.parse(data, tenant, name).of(fingerprint))
    except AdapterCorrupt as error:
        return AdapterEntry(name, None, fault=error)


def _shown(current: int, versions: tuple[int, ...]) -> list[int]:
    return [current, *[number for number in versions if number > current][-NUM_NEWER:]]
