"""One adapter into the store for one job, however often the job is taken up again."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, TypeVar

from adapters_store import AdapterStore, Ref, Taught, open_store
from adapters_store.errors import AdapterCorrupt, AdapterNotFound, StoreError, StoreUnavailable
from jobs.quota import Quota
from worker.promotion import decide

FIRST_WAIT_S = 0.2
LONGEST_WAIT_S = 5.0
# Clocks of two machines may differ by as much.
CLOCK_MARGIN = timedelta(hours=1)

Answer = TypeVar("Answer")


def open_writable(url: str, timeout_s: float) -> AdapterStore:
    """The store at `url`, once it has shown that it can be written; asked again for `timeout_s` seconds."""

    def opened() -> AdapterStore:
        store = open_store(url)
        store.check()
        return store

    return _asked_again(opened, timeout_s)


@dataclass(frozen=True)
class Version:
    """A version that a job is to publish.

    Attributes:
        manifest: as `adapter_manifest` makes it; by its `job` a version is known that a failed try left after all.
        wish: whether it is to take over, as `worker.promotion.decide` takes it. The decision is kept in the manifest,
            as `promoted`.
        taught: what the store is to keep of its clips.
    """

    tenant: str
    name: str
    data: bytes
    manifest: Mapping[str, Any]
    wish: str = "auto"
    taught: Taught | None = None

    @property
    def new_bytes(self) -> int:
        """What it adds to what the tenant has stored, its clips' audio aside."""
        features = self.taught.features.values() if self.taught and self.taught.keep != "nothing" else ()
        return len(self.data) + sum(map(len, features))

    @property
    def audio(self) -> dict[str, int]:
        """The bytes of the clips that it keeps, by id."""
        if self.taught is None or self.taught.keep != "audio":
            return {}
        return {clip.id: clip.size_bytes for clip in self.taught.clips if clip.id in self.taught.audio}


def publish(store: AdapterStore, version: Version, *, timeout_s: float, quota: Quota | None = None) -> Ref:
    """Publish the job's version once; a store that does not answer is asked again for `timeout_s` seconds.

    Raises QuotaExceeded where the tenant has stored as much as it may.
    """
    since, tries = datetime.now(UTC).isoformat(), count()
    tenant, name, manifest = version.tenant, version.name, version.manifest

    def published() -> Ref:
        earlier = next(tries) and find_published(store, tenant, name, job_id=manifest["job"], since=since)
        if earlier:
            return earlier
        if quota:
            quota.check(store, tenant, name, new_bytes=version.new_bytes, audio=version.audio)
        clips = version.taught.clips if version.taught else ()
        promotion = decide(store, tenant, name, manifest.get("labels") or (), version.wish, clips=clips)
        kept = {**manifest, "promoted": promotion.to_json()}
        taught, takes_over = version.taught, promotion.takes_over
        ref = store.publish(tenant, name, version.data, kept, takes_over=takes_over, taught=taught)
        if quota:
            quota.note(tenant, name, new_bytes=version.new_bytes + sum(version.audio.values()))
        return ref

    return _asked_again(published, timeout_s)


def find_published(store: AdapterStore, tenant: str, name: str, *, job_id: str, since: str) -> Ref | None:
    """The version that an earlier attempt of the job published.

    It is made current where that attempt did not get so far, unless its manifest says that it stands by.

    Args:
        since: when the job was created, in ISO 8601: older versions are not looked at.
    """
    oldest = datetime.fromisoformat(since) - CLOCK_MARGIN
    for version in reversed(store.versions(tenant, name)):
        try:
            ref = store.resolve(tenant, f"{name}@{version}")
            manifest = store.manifest(ref)
        except (AdapterNotFound, AdapterCorrupt):
            continue
        if manifest.get("job") == job_id:
            store = store.for_model(manifest.get("fingerprint") or "")
            current = _current(store, tenant, name)
            stands_by = not (manifest.get("promoted") or {}).get("current", True)
            if current < version and not (stands_by and current):
                store.set_current(tenant, name, version)
            return ref
        if datetime.fromisoformat(manifest["created_at"]) < oldest:
            return None
    return None


def promoted(store: AdapterStore, ref: Ref) -> dict[str, Any] | None:
    """Whether a version took over when it was published and why; None where nothing tells."""
    try:
        return store.manifest(ref).get("promoted")
    except StoreError:  # the version is published all the same
        return None


def _current(store: AdapterStore, tenant: str, name: str) -> int:
    """The current version; 0 where none is, or where the pointer is damaged."""
    try:
        return store.current(tenant, name) or 0
    except AdapterCorrupt:
        return 0


def _asked_again(ask: Callable[[], Answer], timeout_s: float) -> Answer:
    deadline, wait_s = time.monotonic() + timeout_s, FIRST_WAIT_S
    while True:
        try:
            return ask()
        except StoreUnavailable:
            if time.monotonic() + wait_s > deadline:
                raise
        time.sleep(wait_s)
        wait_s = min(2 * wait_s, LONGEST_WAIT_S)
