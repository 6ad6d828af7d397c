"""What a running service consists of, made once."""

import asyncio
import os
from dataclasses import dataclass, field
from typing import Self

import structlog
import torch
from redis.asyncio import Redis as AsyncRedis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from transformers.utils.logging import disable_progress_bar

from adapters_store import AdapterStore, Ref, open_store
from aspl import FrozenClap
from aspl.errors import AdapterMismatch
from jobs.connection import connect
from jobs.queue import JobQueue
from jobs.quota import Quota
from jobs.records import JobRecords
from jobs.results import Results
from jobs.uploads import Uploads
from service.bounds import bounds
from service.inference.account import Accounts
from service.inference.futures import cancel_all
from service.inference.pipeline import Pipeline
from service.inference.tenant_threads import TenantThreads
from service.job_events import JobEvents
from service.keys import KeyFile
from service.metrics import Metrics
from service.readiness import Readiness
from service.settings import ServiceSettings

EVENTS_TIMEOUT_S = 10.0  # longer than any blocking read
RATE_TIMEOUT_S = 0.1  # in the path of every request, which can do without
JOBS_TIMEOUT_S = 2.0  # and that four times over, in one of the threads that uploads need too
HEALTH_TIMEOUT_S = 1.0  # less than a prober waits
DRIFT_TIMEOUT_S = 1.0  # in the background, where nobody waits
DRIFT_FLUSH_S = 5.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Jobs:
    """Where uploads become jobs."""

    uploads: Uploads
    records: JobRecords
    queue: JobQueue
    results: Results
    uploaders: TenantThreads
    quota: Quota

    @classmethod
    def open(cls, settings: ServiceSettings) -> Self:
        """Connect to Redis and to the disk that uploads wait on."""
        redis = connect(settings.redis_url_or_private, socket_timeout_s=JOBS_TIMEOUT_S)
        return cls(
            uploads=Uploads(settings.data_dir, settings.upload_limits),
            records=JobRecords(redis, ttl_s=settings.job_ttl_s),
            queue=JobQueue(redis, settings),
            results=Results(settings.data_dir),
            uploaders=TenantThreads(settings.upload_threads, name="upload"),
            quota=Quota(settings.storage_limits),
        )

    def close(self) -> None:
        """End the threads and the connection."""
        self.uploaders.close()
        self.records.redis.close()


@dataclass(frozen=True)
class RedisClients:
    """Redis for the event loop: one client for each time that its callers can wait."""

    events: AsyncRedis
    rates: AsyncRedis
    health: AsyncRedis
    drift: AsyncRedis

    @classmethod
    def open(cls, settings: ServiceSettings) -> Self:
        """Clients that connect when they are first used."""
        return cls(
            events=AsyncRedis.from_url(settings.redis_url_or_private, socket_timeout=EVENTS_TIMEOUT_S),
            rates=_impatient_redis(settings, RATE_TIMEOUT_S),
            health=_impatient_redis(settings, HEALTH_TIMEOUT_S),
            drift=_impatient_redis(settings, DRIFT_TIMEOUT_S),
        )

    async def close(self) -> None:
        """End all connections."""
        for client in (self.events, self.rates, self.health, self.drift):
            await client.aclose()


@dataclass
class Context:
    """The parts of the service. Nothing else holds state."""

    settings: ServiceSettings
    keys: KeyFile
    metrics: Metrics
    store: AdapterStore
    pipeline: Pipeline
    jobs: Jobs
    redis: RedisClients
    accounts: Accounts
    is_draining: bool = field(default=False, init=False)
    """The service ends: no answer may go on for longer than it must."""
    job_events: JobEvents = field(init=False)
    readiness: Readiness = field(init=False)
    _flushing: asyncio.Task[None] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.job_events = JobEvents(self.redis.events, is_draining=lambda: self.is_draining)
        self.readiness = Readiness(
            self.pipeline.engine, self.redis.health, self.jobs.records, max_age_s=self.settings.ready_age_s
        )

    @classmethod
    def open(cls, settings: ServiceSettings, *, clap: FrozenClap | None = None) -> Self:
        """Load the model and connect everything; `start` then begins to serve."""
        clap = clap or load_clap(settings)
        metrics = Metrics()
        store = open_store(settings.store_url_or_local).for_model(clap.fingerprint)
        return cls(
            settings=settings,
            keys=KeyFile(settings.keys_path_or_default),
            metrics=metrics,
            store=store,
            pipeline=Pipeline.open(clap, store, settings, metrics),
            jobs=Jobs.open(settings),
            redis=RedisClients.open(settings),
            accounts=Accounts(bounds(settings)),
        )

    def resolved(self, tenant: str, reference: str) -> Ref:
        """The version that `name` or `name@3` means now, of this model; raises the store's errors, AdapterMismatch."""
        ref = self.store.resolve(tenant, reference)
        fingerprint = self.store.manifest(ref).get("fingerprint")
        if fingerprint != self.pipeline.clap.fingerprint:
            raise AdapterMismatch(f"{ref} was trained on another base model than {self.pipeline.clap.name}")
        return ref

    def start(self) -> None:
        """Begin to serve, on the running event loop."""
        self.pipeline.start()
        self._flushing = asyncio.get_running_loop().create_task(self._flush_drift())

    async def stop(self) -> None:
        """Finish what runs, end all threads and connections."""
        self.pipeline.stop()
        await self.job_events.close()
        if self._flushing is not None:
            await cancel_all([self._flushing])
            await self.pipeline.drift.flush(self.redis.drift)
        self.jobs.close()
        await self.redis.close()

    async def _flush_drift(self) -> None:
        while True:
            await asyncio.sleep(DRIFT_FLUSH_S)
            try:
                await self.pipeline.drift.flush(self.redis.drift)
            except Exception:  # of ours: what adapters hear of their channels is no reason to stop
                log.exception("what adapters hear of their channels was not kept")


def _impatient_redis(settings: ServiceSettings, timeout_s: float) -> AsyncRedis:
    """A client that asks once: while Redis hangs it holds up neither a thread nor, for long, its caller."""
    return AsyncRedis.from_url(
        settings.redis_url_or_private,
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        retry=Retry(NoBackoff(), 0),
    )


def load_clap(settings: ServiceSettings) -> FrozenClap:
    """The base model on the device and in the dtype of the settings; "auto" takes CUDA and bfloat16 where they pay."""
    disable_progress_bar()  # a bar among the logs is no log
    device = settings.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    dtype = torch.bfloat16 if settings.dtype == "bfloat16" else torch.float32
    if settings.dtype == "auto" and device.startswith("cuda") and torch.cuda.is_bf16_supported():
        dtype = torch.bfloat16
    if device == "cpu":
        # Decoding and the event loop need a core too, but a model that idles a core costs more.
        torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", 0)) or os.cpu_count() or 1)
    return FrozenClap.load(
        settings.model, device, dtype, revision=settings.model_revision, tokenizer=settings.tokenizer
    )
