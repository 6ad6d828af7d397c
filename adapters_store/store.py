"""Tenants' adapters as immutable, numbered versions, and the pointer to the one that a bare name means.

TENANT/NAME/current                          {"version": 3, "digest": "…"}; see pointer.py
TENANT/NAME/versions-clips/DIGEST.audio      a clip that versions were taught with, once however many name it
TENANT/NAME/versions-clips/DIGEST.erased     its audio was erased; `done` once its features are gone as well
TENANT/NAME/versions-features/MODEL-ID.pack  what one base model hears of several clips; see feature_packs.py
TENANT/NAME/versions/000003.claim            taken once, never removed: no number comes twice; empty until the version
                                             has failed or is deleted
TENANT/NAME/versions/000003.clips            the list of the version's clips, and the packs of their features
TENANT/NAME/versions/000003.safetensors      the adapter
TENANT/NAME/versions/000003.json             the manifest; with it, and not before, the version exists

A publication claims its number, then writes clips, packs, list, adapter and manifest, in this order: wherever it is cut
off there is no version without its clips. What no version's list names goes with the last version that named it; not
while an empty claim without a manifest, younger than `sweep.GRACE_S`, tells of a publication that may need it.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, suppress
from datetime import UTC, datetime
from typing import Any

from adapters_store.clips import ClipList, Taught
from adapters_store.erasure import erase_tenant
from adapters_store.errors import AdapterCorrupt, StoreError, no_adapter, no_version
from adapters_store.files import Files
from adapters_store.kept_clips import KeptClips
from adapters_store.manifests import checked_ref, parsed_manifest
from adapters_store.names import (
    CLAIM,
    DATA,
    LIST,
    MANIFEST,
    TENANT_DIRECTORY,
    Ref,
    adapter_directory,
    check_version,
    numbers_in,
    parse_reference,
    pointer_path,
    tenant_of,
    version_path,
)
from adapters_store.pages import AdapterEntry, read_entries, read_pointers
from adapters_store.pointer import Pointers
from adapters_store.sweep import drop_unused, sweep
from adapters_store.usage import Usage, count_usage

CLOSED = b"closed"
"""What a claim holds whose number no publication will use any more."""


class AdapterStore:
    """Publishes, resolves, reads and deletes adapters; holds no state of its own, so replicas agree at once.

    Every method raises `NameInvalid` for a name that is not path-safe, and `StoreUnavailable` or `StoreFull` when the
    place where the files lie fails.
    """

    def __init__(self, files: Files, fingerprint: str = ""):
        self._files = files
        self._fingerprint = fingerprint
        self.pointers = Pointers(files, fingerprint)

    def for_model(self, fingerprint: str) -> "AdapterStore":
        """The store as a service or a worker with that base model uses it: a bare name means what is ready for it."""
        return AdapterStore(self._files, fingerprint)

    def publish(
        self,
        tenant: str,
        name: str,
        data: bytes,
        manifest: Mapping[str, Any],
        *,
        takes_over: bool = True,
        taught: Taught | None = None,
    ) -> Ref:
        """Store `data` as the adapter's next version and make it the current one.

        Args:
            tenant, name: whose adapter, and which; the first version makes it.
            data: the adapter file.
            manifest: what to tell of it, as JSON; `version`, `digest`, `size_bytes` and `created_at` are added.
            takes_over: whether the bare name means it from now on; the first version always does.
            taught: the clips that it was taught with, which are kept beside it.

        Returns:
            The new version. Its number was never given before, not even to a version deleted since.

        Raises:
            ClipsGone: what it goes on from was deleted meanwhile.
        """
        directory, kept = adapter_directory(tenant, name), KeptClips(self._files, tenant, name)
        digest = hashlib.sha256(data).hexdigest()
        with self._files.lock(directory):
            ref = Ref(tenant, name, self._claim_number(tenant, name), digest)
        path = version_path(tenant, name, ref.version)
        created_at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        added = {"version": ref.version, "digest": digest, "size_bytes": len(data), "created_at": created_at}
        text = json.dumps({**manifest, **added}, ensure_ascii=False, allow_nan=False)
        try:
            listed = taught and kept.put(taught)
        except StoreError:
            self._discard(path)
            raise
        with self._files.lock(directory):
            try:
                if listed:
                    self._files.write(path + LIST, kept.confirm(listed).to_bytes())
                self._files.write(path + DATA, data)
                self._files.write(path + MANIFEST, text.encode())
            except StoreError:
                # A write that is reported as failed may have been applied: no manifest may outlive its data.
                self._discard(path)
                raise
            current = self.pointers.sound_current(tenant, name)
            # A writer that claimed a later number may have been faster.
            if current is None or (takes_over and current < ref.version):
                self.pointers.move(ref)
        return ref

    def resolve(self, tenant: str, reference: str) -> Ref:
        """The version that `name` or `name@3` means now, at the cost of reading one small file.

        Raises:
            AdapterNotFound: the tenant has no such adapter, or (`VersionNotFound`) no such version of it.
        """
        name, version = parse_reference(reference)
        if version is not None:
            return self._stored_ref(tenant, name, version)
        ref = self.pointers.current(tenant, name)
        if ref is None:
            raise no_adapter(name)
        return ref

    def read(self, ref: Ref) -> bytes:
        """The adapter file of `ref`.

        Raises:
            AdapterNotFound: it was deleted since `ref` was resolved.
            AdapterCorrupt: what is stored is not what was published.
        """
        data = self._files.read(version_path(ref.tenant, ref.name, ref.version) + DATA)
        if data is None:
            raise no_version(ref.name, ref.version)
        if hashlib.sha256(data).hexdigest() != ref.digest:
            raise AdapterCorrupt(f"The file of adapter {ref} is damaged: its digest is not the published one.")
        return data

    def manifest(self, ref: Ref) -> dict[str, Any]:
        """What `publish` was told of this version, with `version`, `digest`, `size_bytes` and `created_at`."""
        return self._manifest(ref.tenant, ref.name, ref.version)

    def clips(self, ref: Ref) -> ClipList | None:
        """What a version was taught with; None where that was not kept, as of an imported one."""
        return self.kept(ref).list_of(ref)

    def kept(self, ref: Ref) -> KeptClips:
        """The clips of the version's adapter, to be read."""
        return KeptClips(self._files, ref.tenant, ref.name)

    def kept_audio(self, tenant: str, name: str) -> frozenset[str]:
        """The clips of an adapter whose audio is there, by id; none where there is no such adapter."""
        return KeptClips(self._files, tenant, name).presence().audio

    def erase_clips(self, tenant: str, name: str, ids: Iterable[str]) -> None:
        """Erase clips with all that was heard of them; the versions that name them go on serving."""
        with self._existing_adapter(tenant, name):
            KeptClips(self._files, tenant, name).erase(ids)

    def names(self, tenant: str, *, limit: int = 100, after: str | None = None) -> tuple[list[str], str | None]:
        """The tenant's adapters in alphabetical order, and the `after` of the next page; see `adapters_store.pages`."""
        pointers, following = read_pointers(self._files, tenant, limit=limit, after=after)
        return list(pointers), following

    def page(self, tenant: str, *, limit: int = 100, after: str | None = None) -> tuple[list[AdapterEntry], str | None]:
        """As `names`, with what `entry` tells of each; in four rounds of reads."""
        pointers, following = read_pointers(self._files, tenant, limit=limit, after=after)
        return read_entries(self._files, tenant, pointers, self._fingerprint), following

    def entry(self, tenant: str, name: str) -> AdapterEntry:
        """An adapter with its versions and the manifests of the current one and of those after it.

        Raises:
            AdapterNotFound: the tenant has no such adapter.
        """
        data = self._files.read(pointer_path(tenant, name))
        if data is None:
            raise no_adapter(name)
        return read_entries(self._files, tenant, {name: data}, self._fingerprint)[0]

    def versions(self, tenant: str, name: str) -> list[int]:
        """The adapter's versions in ascending order; none where there is no such adapter."""
        return self._numbers(tenant, name, MANIFEST)

    def current(self, tenant: str, name: str) -> int | None:
        """The version that the bare name means, `None` where there is no such adapter."""
        ref = self.pointers.current(tenant, name)
        return ref and ref.version

    def set_current(self, tenant: str, name: str, version: int) -> Ref:
        """Let the bare name mean `version`, an older or a newer one.

        Raises:
            VersionNotFound: there is no such version.
        """
        with self._existing_adapter(tenant, name):
            ref = self._stored_ref(tenant, name, check_version(version))
            self.pointers.move(ref)
        return ref

    def make_ready(self, ref: Ref, fingerprint: str) -> None:
        """Let the bare name mean `ref` where the base model of that fingerprint serves, and nowhere else."""
        with self._existing_adapter(ref.tenant, ref.name):
            self.pointers.make_ready(ref, fingerprint)

    def tenants(self) -> list[str]:
        """The tenants that have anything here, in alphabetical order."""
        return sorted(tenant_of(child) for child in self._files.children("") if TENANT_DIRECTORY.fullmatch(child))

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
                    raise no_adapter(name)
            elif check_version(version) in versions:
                doomed = [version]
            else:
                raise no_version(name, version)
            # The pointer moves first: a request that comes meanwhile finds a version that is whole.
            self.pointers.settle(tenant, name, set(versions) - set(doomed))
            paths = [version_path(tenant, name, number) for number in doomed]
            for path in paths:
                self._files.remove(path + MANIFEST)
                self._files.remove(path + DATA)
            self._files.remove_many([path + LIST for path in paths])
            self._files.write_many({path + CLAIM: CLOSED for path in paths})
            drop_unused(self._files, tenant, name)
            # Where there are no locks, another deletion may have taken the version that was pointed to.
            self.pointers.settle(tenant, name, self.versions(tenant, name))

    def sweep(self) -> int:
        """Remove what crashes left, of all tenants, once it is old enough; returns how many files went."""
        return sweep(self._files)

    def erase(self, tenant: str) -> Counter[str]:
        """Remove all that a tenant has; returns how many files of each adapter went."""
        return erase_tenant(self._files, tenant)

    def usage(self, tenant: str) -> Usage:
        """What the tenant has stored, counted file by file."""
        return count_usage(self._files, tenant)

    def check(self) -> None:
        """Raise `StoreUnavailable` or `StoreFull` unless the store is reachable and writable."""
        self._files.check()

    def _claim_number(self, tenant: str, name: str) -> int:
        number = max(self._numbers(tenant, name, CLAIM), default=0) + 1
        while not self._files.claim(version_path(tenant, name, number) + CLAIM):
            number += 1
        return number

    def _numbers(self, tenant: str, name: str, suffix: str) -> list[int]:
        return numbers_in(self._files.children(f"{adapter_directory(tenant, name)}/versions"), suffix)

    def _existing_adapter(self, tenant: str, name: str) -> AbstractContextManager[None]:
        """The adapter's lock, without making a directory for an adapter that never was."""
        if not self._files.children(f"{adapter_directory(tenant, name)}/versions"):
            raise no_adapter(name)
        return self._files.lock(adapter_directory(tenant, name))

    def _stored_ref(self, tenant: str, name: str, version: int) -> Ref:
        return checked_ref(tenant, name, {**self._manifest(tenant, name, version), "version": version})

    def _manifest(self, tenant: str, name: str, version: int) -> dict[str, Any]:
        data = self._files.read(version_path(tenant, name, version) + MANIFEST)
        if data is None:
            raise no_version(name, version)
        return parsed_manifest(data, name, version)

    def _discard(self, path: str) -> None:
        """Remove a version that failed, the manifest first, as far as the place lets it."""
        with suppress(StoreError):
            for suffix in (MANIFEST, DATA, LIST):
                self._files.remove(path + suffix)
            self._files.write(path + CLAIM, CLOSED)
