"""Tenants' adapters as immutable, numbered versions, and the pointer to the one that a bare name means.

TENANT/NAME/current                          {"version": 3, "digest": "…"}
TENANT/NAME/versions/000003.claim            empty; taken once, never removed: no number comes twice
TENANT/NAME/versions/000003.safetensors      the adapter
TENANT/NAME/versions/000003.json             the manifest; with it, and not before, the version exists
"""

import hashlib
import json
from collections.abc import Mapping
from contextlib import AbstractContextManager, suppress
from datetime import UTC, datetime
from typing import Any

from adapters_store.errors import AdapterCorrupt, AdapterNotFound, NameInvalid, StoreError, VersionNotFound
from adapters_store.files import Files
from adapters_store.names import (
    NAME,
    Ref,
    adapter_directory,
    check_version,
    parse_reference,
    pointer_path,
    tenant_directory,
    version_path,
)

CLAIM, DATA, MANIFEST = ".claim", ".safetensors", ".json"


class AdapterStore:
    """Publishes, resolves, reads and deletes adapters; holds no state of its own, so replicas agree at once.

    Every method raises `NameInvalid` for a name that is not path-safe, and `StoreUnavailable` or `StoreFull` when the
    place where the files lie fails.
    """

    def __init__(self, files: Files):
        self._files = files

    def publish(self, tenant: str, name: str, data: bytes, manifest: Mapping[str, Any]) -> Ref:
        """Store `data` as the adapter's next version and make it the current one.

        Args:
            tenant, name: whose adapter, and which; the first version makes it.
            data: the adapter file.
            manifest: what to tell of it, as JSON; `version`, `digest`, `size_bytes` and `created_at` are added.

        Returns:
            The new version. Its number was never given before, not even to a version deleted since.
        """
        directory = adapter_directory(tenant, name)
        digest = hashlib.sha256(data).hexdigest()
        with self._files.lock(directory):
            ref = Ref(tenant, name, self._claim_number(tenant, name), digest)
            path = version_path(tenant, name, ref.version)
            created_at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
            added = {"version": ref.version, "digest": digest, "size_bytes": len(data), "created_at": created_at}
            text = json.dumps({**manifest, **added}, ensure_ascii=False, allow_nan=False)
            try:
                self._files.write(path + DATA, data)
                self._files.write(path + MANIFEST, text.encode())
            except StoreError:
                # A write that is reported as failed may have been applied: no manifest may outlive its data.
                self._discard(path + MANIFEST, path + DATA)
                raise
            current = self._sound_current(tenant, name)
            # A writer that claimed a later number may have been faster.
            if current is None or current < ref.version:
                self._point(ref)
        return ref

    def resolve(self, tenant: str, reference: str) -> Ref:
        """The version that `name` or `name@3` means now, at the cost of reading one small file.

        Raises:
            AdapterNotFound: the tenant has no such adapter, or (`VersionNotFound`) no such version of it.
        """
        name, version = parse_reference(reference)
        if version is not None:
            return self._stored_ref(tenant, name, version)
        ref = self._pointer(tenant, name)
        if ref is None:
            raise AdapterNotFound(f"There is no adapter {name!r}.")
        return ref

    def read(self, ref: Ref) -> bytes:
        """The adapter file of `ref`.

        Raises:
            AdapterNotFound: it was deleted since `ref` was resolved.
            AdapterCorrupt: what is stored is not what was published.
        """
        data = self._files.read(version_path(ref.tenant, ref.name, ref.version) + DATA)
        if data is None:
            raise _no_version(ref.name, ref.version)
        if hashlib.sha256(data).hexdigest() != ref.digest:
            raise AdapterCorrupt(f"The file of adapter {ref} is damaged: its digest is not the published one.")
        return data

    def manifest(self, ref: Ref) -> dict[str, Any]:
        """What `publish` was told of this version, with `version`, `digest`, `size_bytes` and `created_at`."""
        return self._manifest(ref.tenant, ref.name, ref.version)

    def names(self, tenant: str, *, limit: int = 100, after: str | None = None) -> tuple[list[str], str | None]:
        """The tenant's adapters in alphabetical order.

        Args:
            limit: how many at most, from 1.
            after: the name after which to go on.

        Returns:
            The names, and the one to pass as `after` for the next page, `None` on the last.
        """
        if limit < 1:
            raise ValueError(f"limit is {limit}; it must be at least 1")
        children = self._files.children(tenant_directory(tenant))
        candidates = sorted(name for name in children if NAME.fullmatch(name) and (after is None or name > after))
        found: list[str] = []
        for start in range(0, len(candidates), limit + 1):
            chunk = {pointer_path(tenant, name): name for name in candidates[start:][: limit + 1]}
            found += sorted(chunk[path] for path in self._files.existing(chunk))
            if len(found) > limit:
                return found[:limit], found[limit - 1]
        return found, None

    def versions(self, tenant: str, name: str) -> list[int]:
        """The adapter's versions in ascending order; none where there is no such adapter."""
        return self._numbers(tenant, name, MANIFEST)

    def current(self, tenant: str, name: str) -> int | None:
        """The version that the bare name means, `None` where there is no such adapter."""
        ref = self._pointer(tenant, name)
        return ref.version if ref else None

    def set_current(self, tenant: str, name: str, version: int) -> Ref:
        """Let the bare name mean `version`, an older or a newer one.

        Raises:
            VersionNotFound: there is no such version.
        """
        with self._existing_adapter(tenant, name):
            ref = self._stored_ref(tenant, name, check_version(version))
            self._point(ref)
        return ref

    def delete(self, tenant: str, name: str, version: int | None = None) -> None:
        """Delete one version, or the adapter with all of them.

        Where the current version goes, the highest that remains becomes current; with the last one, the adapter goes.

        Raises:
            AdapterNotFound: there is nothing of that name, or (`VersionNotFound`) no such version.
        """
        with self._existing_adapter(tenant, name):
            versions = self.versions(tenant, name)
            if version is None:
                doomed = versions
                if not versions and self._files.read(pointer_path(tenant, name)) is None:
                    raise AdapterNotFound(f"There is no adapter {name!r}.")
            elif check_version(version) in versions:
                doomed = [version]
            else:
                raise _no_version(name, version)
            # The pointer moves first: a request that comes meanwhile finds a version that is whole.
            self._settle_pointer(tenant, name, without=doomed)
            for number in doomed:
                path = version_path(tenant, name, number)
                self._files.remove(path + MANIFEST)
                self._files.remove(path + DATA)
            # Where there are no locks, another deletion may have taken the version that was pointed to.
            self._settle_pointer(tenant, name)

    def check(self) -> None:
        """Raise `StoreUnavailable` or `StoreFull` unless the store is reachable and writable."""
        self._files.check()

    def _claim_number(self, tenant: str, name: str) -> int:
        number = max(self._numbers(tenant, name, CLAIM), default=0) + 1
        while not self._files.claim(version_path(tenant, name, number) + CLAIM):
            number += 1
        return number

    def _numbers(self, tenant: str, name: str, suffix: str) -> list[int]:
        children = self._files.children(f"{adapter_directory(tenant, name)}/versions")
        stems = (child.removesuffix(suffix) for child in children if child.endswith(suffix))
        return sorted(int(stem) for stem in stems if stem.isdecimal())

    def _existing_adapter(self, tenant: str, name: str) -> AbstractContextManager[None]:
        """The adapter's lock, without making a directory for an adapter that never was."""
        directory = adapter_directory(tenant, name)
        if not self._files.children(f"{directory}/versions"):
            raise AdapterNotFound(f"There is no adapter {name!r}.")
        return self._files.lock(directory)

    def _stored_ref(self, tenant: str, name: str, version: int) -> Ref:
        manifest = self._manifest(tenant, name, version)
        return _checked_ref(tenant, name, {**manifest, "version": version})

    def _manifest(self, tenant: str, name: str, version: int) -> dict[str, Any]:
        data = self._files.read(version_path(tenant, name, version) + MANIFEST)
        if data is None:
            raise _no_version(name, version)
        return _parsed(data, f"The manifest of adapter {name}@{version}")

    def _pointer(self, tenant: str, name: str) -> Ref | None:
        data = self._files.read(pointer_path(tenant, name))
        if data is None:
            return None
        return _checked_ref(tenant, name, _parsed(data, f"The current pointer of adapter {name!r}"))

    def _sound_current(self, tenant: str, name: str) -> int | None:
        """As `current`, for those about to set it: a damaged pointer counts as none, and so is healed."""
        try:
            return self.current(tenant, name)
        except AdapterCorrupt:
            return None

    def _point(self, ref: Ref) -> None:
        text = json.dumps({"version": ref.version, "digest": ref.digest})
        self._files.write(pointer_path(ref.tenant, ref.name), text.encode())

    def _settle_pointer(self, tenant: str, name: str, *, without: list[int] | None = None) -> None:
        """Let the pointer name a version that is there and not in `without`, or remove it where none is left."""
        remaining = [number for number in self.versions(tenant, name) if number not in (without or [])]
        if not remaining:
            self._files.remove(pointer_path(tenant, name))
        elif self._sound_current(tenant, name) not in remaining:
            self._point(self._stored_ref(tenant, name, remaining[-1]))

    def _discard(self, *paths: str) -> None:
        """Remove the files in this order, as far as the place lets it."""
        with suppress(StoreError):
            for path in paths:
                self._files.remove(path)


def _parsed(data: bytes, what: str) -> dict[str, Any]:
    try:
        value = json.loads(data, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise AdapterCorrupt(f"{what} is damaged: it is not JSON.") from error
    if not isinstance(value, dict):
        raise AdapterCorrupt(f"{what} is damaged: it is not a JSON object.")
    return value


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def _checked_ref(tenant: str, name: str, fields: dict[str, Any]) -> Ref:
    try:
        return Ref(tenant, name, fields.get("version"), fields.get("digest"))
    except NameInvalid as error:
        raise AdapterCorrupt(f"What is stored of adapter {name!r} is damaged: {error}") from error


def _no_version(name: str, version: int) -> VersionNotFound:
    return VersionNotFound(f"There is no version {version} of adapter {name!r}.")
