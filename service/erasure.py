"""`python -m service tenants erase NAME`: everything that this service keeps of a tenant, found and removed."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

from adapters_store import AdapterStore
from jobs.queue import JobQueue
from jobs.record import JobRecord
from jobs.records import translated
from jobs.results import Results
from service.keys import KeyFile

STOP_TIMEOUT_S = 60.0
POLL_S = 0.2
PAGE = 200


class StillRunning(Exception):
    """A job of the tenant does not end; nothing but its keys is removed yet."""


@dataclass(frozen=True)
class Holdings:
    """What there is of a tenant."""

    keys: list[str]
    adapters: dict[str, int]
    num_store_bytes: int
    jobs: list[str]
    uploads: list[str]
    counters: list[str]

    def lines(self) -> Iterator[str]:
        """One line for each sort of thing, and for each key and adapter."""
        yield f"keys: {len(self.keys)}"
        yield from (f"  {key}" for key in self.keys)
        yield f"adapters, with their clips: {len(self.adapters)}, {self.num_store_bytes} bytes"
        yield from (f"  {name}: {num_versions} versions" for name, num_versions in self.adapters.items())
        yield f"jobs, with their results: {len(self.jobs)}"
        yield f"uploads: {len(self.uploads)}"
        yield f"counters and remembered requests in Redis: {len(self.counters)}"

    @property
    def is_empty(self) -> bool:
        return not (self.keys or self.adapters or self.num_store_bytes or self.jobs or self.uploads or self.counters)


class Erasure:
    """Finds and removes what belongs to one tenant; safe to run again where it was cut off."""

    def __init__(self, tenant: str, keys: KeyFile, store: AdapterStore, queue: JobQueue):
        self._tenant = tenant
        self._keys = keys
        self._store = store
        self._queue = queue
        self._redis = queue.redis

    def found(self) -> Holdings:
        """What there is at present."""
        records = self._records()
        usage = self._store.usage(self._tenant)
        return Holdings(
            keys=[key.id for key in self._keys.records(self._tenant)],
            adapters=dict(usage.versions),
            num_store_bytes=usage.stored_bytes,
            jobs=[record.id for record in records],
            uploads=[record.upload_id for record in records if self._is_staged(record.upload_id)],
            counters=self._counters(),
        )

    def erase(self) -> Holdings:
        """Remove it: the keys first, so that nothing comes after; returns what was there.

        Raises StillRunning where a job does not end.
        """
        found = self.found()
        self._keys.revoke(self._tenant)
        self._stop_jobs()
        self._store.erase(self._tenant)
        results = Results(self._queue.settings.data_dir)
        for record in self._records():
            results.remove(record.id)
            self._queue.uploads.remove(record.upload_id)
            with translated():
                self._redis.delete(*self._keys_of(record.id))
        with translated():
            for key in self._counters():
                self._redis.delete(key)
            self._redis.delete(self._queue.records.index_key(self._tenant), self._queue.records.live_key(self._tenant))
        return found

    def _records(self) -> list[JobRecord]:
        found, after = [], None
        while True:
            page, after = self._queue.records.list(self._tenant, limit=PAGE, after=after)
            found += page
            if after is None:
                return found

    def _stop_jobs(self) -> None:
        """End the tenant's jobs; one that runs is told that its adapter was deleted, so that nothing of it stays."""
        deadline = time.monotonic() + STOP_TIMEOUT_S
        while live := self._queue.records.live_of(self._tenant):
            for name in {record.name for record in live}:
                self._queue.adapter_deleted(self._tenant, name)
            if time.monotonic() > deadline:
                raise StillRunning(f"job {live[0].id} does not end; start a worker, and run this again")
            time.sleep(POLL_S)

    def _counters(self) -> list[str]:
        records = self._queue.records
        jobs = {records.index_key(self._tenant), records.live_key(self._tenant)}
        with translated():
            pattern = f"{records.tenant_prefix(self._tenant)}*"
            return sorted({key.decode() for key in self._redis.scan_iter(match=pattern, count=1000)} - jobs)

    def _keys_of(self, job_id: str) -> list[str]:
        records = self._queue.records
        return [records.record_key(job_id), records.events_key(job_id), self._queue.cancel_key(job_id)]

    def _is_staged(self, upload_id: str) -> bool:
        return bool(upload_id) and (self._queue.uploads.root / upload_id).is_dir()
