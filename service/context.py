"""What a running service consists of, made once, and how routes get at it."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Annotated, Self

import torch
from fastapi import Depends, Request
from redis.asyncio import Redis as AsyncRedis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from transformers.utils.logging import disable_progress_bar

from adapters_store import AdapterStore, open_store
from aspl import FrozenClap
from jobs.connection import connect
from jobs.queue import JobQueue
from jobs.records import JobRecords
from jobs.uploads import Staging, UploadLimits
from service.inference.adapter_cache import AdapterCache
from service.inference.classification import Classifier
from service.inference.decoding import Decoder
from service.inference.engine import Engine, measure_batch_windows
from service.inference.held_windows import HeldWindows
from service.inference.tenant_queue import TenantQueue
from service.keys import KeyFile
from service.metrics import Metrics
from service.settings import ServiceSettings

EVENTS_TIMEOUT_S = 10.0  # longer than any blocking read
RATE_TIMEOUT_S = 0.1  # in the path of every request, which can do without
JOBS_TIMEOUT_S = 2.0  # and that four times over, in one of the threads that uploads need too
HEALTH_TIMEOUT_S = 1.0  # less than a prober waits
RESOLVE_THREADS = 8  # they wait for the store, and compute nothing
CPU_BATCHES = (1, 2, 4, 8)
CUDA_BATCHES = (8, 16, 32, 64)


@dataclass
class Context:
    """The parts of the service. Nothing else holds state."""

    settings: ServiceSettings
    clap: FrozenClap
    store: AdapterStore
    keys: KeyFile
    metrics: Metrics
    cache: AdapterCache
    decoder: Decoder
    engine: Engine
    classifier: Classifier
    staging: Staging
    records: JobRecords
    jobs: JobQueue
    loaders: ThreadPoolExecutor
    resolvers: ThreadPoolExecutor
    uploaders: ThreadPoolExecutor
    async_redis: AsyncRedis
    rate_redis: AsyncRedis
    health_redis: AsyncRedis
    is_draining: bool = False
    """The service ends: no answer may go on for longer than it must."""

    @classmethod
    def open(cls, settings: ServiceSettings, *, clap: FrozenClap | None = None) -> Self:
        """Load the model and connect everything; `start` then begins to serve."""
        clap = clap or load_clap(settings)
        metrics = Metrics()
        store = open_store(settings.store_url_or_local)
        loaders = ThreadPoolExecutor(settings.load_threads, thread_name_prefix="load")
        resolvers = ThreadPoolExecutor(RESOLVE_THREADS, thread_name_prefix="resolve")
        cache = AdapterCache(max_bytes=settings.cache_bytes, executor=loaders, metrics=metrics)
        decoder = Decoder(
            num_threads=settings.decode_threads,
            max_waiting=settings.max_decoding,
            max_clip_s=settings.max_clip_s,
            metrics=metrics,
        )
        held = HeldWindows(
            max_windows=settings.max_held_windows,
            max_tenant_windows=settings.max_tenant_held_windows,
            max_request_windows=settings.max_request_windows,
        )
        queue = TenantQueue(
            max_windows=settings.max_queue_windows, max_tenant_windows=settings.max_tenant_queue_windows
        )
        candidates = CUDA_BATCHES if clap.device.type == "cuda" else CPU_BATCHES
        batch_windows = settings.batch_windows or measure_batch_windows(clap, candidates)
        engine = Engine(clap, queue, batch_windows=batch_windows, metrics=metrics)
        classifier = Classifier(
            clap=clap,
            store=store,
            resolvers=resolvers,
            cache=cache,
            decoder=decoder,
            held=held,
            engine=engine,
            metrics=metrics,
            queue_timeout_s=settings.queue_timeout_s,
        )
        redis = connect(settings.redis_url_or_private, socket_timeout_s=JOBS_TIMEOUT_S)
        return cls(
            settings=settings,
            clap=clap,
            store=store,
            keys=KeyFile(settings.keys_path_or_default),
            metrics=metrics,
            cache=cache,
            decoder=decoder,
            engine=engine,
            classifier=classifier,
            staging=Staging(settings.data_dir, UploadLimits.of(settings)),
            records=JobRecords(redis, ttl_s=settings.job_ttl_s),
            jobs=JobQueue(redis, settings),
            loaders=loaders,
            resolvers=resolvers,
            uploaders=ThreadPoolExecutor(settings.upload_threads, thread_name_prefix="upload"),
            async_redis=AsyncRedis.from_url(settings.redis_url_or_private, socket_timeout=EVENTS_TIMEOUT_S),
            rate_redis=_impatient_redis(settings, RATE_TIMEOUT_S),
            health_redis=_impatient_redis(settings, HEALTH_TIMEOUT_S),
        )

    def start(self) -> None:
        """Start the inference thread."""
        self.engine.start()

    async def stop(self) -> None:
        """Finish what runs, end all threads and connections."""
        self.engine.stop()
        self.decoder.close()
        self.loaders.shutdown(cancel_futures=True)
        self.resolvers.shutdown(cancel_futures=True)
        self.uploaders.shutdown(cancel_futures=True)
        await self.async_redis.aclose()
        await self.rate_redis.aclose()
        await self.health_redis.aclose()
        self.records.redis.close()


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


# Not a plain function: FastAPI would send it to a thread, at every request.
async def _context(request: Request) -> Context:
    return request.app.state.context


async def _tenant(request: Request) -> str:
    # The gate in service/http/access.py has checked the key before the body was read.
    return request.scope["earshot.tenant"]


ServiceContext = Annotated[Context, Depends(_context)]
Tenant = Annotated[str, Depends(_tenant)]
