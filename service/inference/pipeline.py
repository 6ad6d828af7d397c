"""Everything that a clip passes through, made once and started together."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Self

from adapters_store import AdapterStore
from aspl import FrozenClap
from aspl.background import shipped_library
from service.inference.adapter_cache import AdapterCache
from service.inference.adapter_loader import AdapterLoader
from service.inference.classification import Classifier
from service.inference.decoding import Decoder
from service.inference.drift import DriftMonitor
from service.inference.engine import Engine, measure_batch_windows
from service.inference.tenant_queue import TenantQueue
from service.inference.window_budget import WindowBudget
from service.metrics import Metrics
from service.settings import ServiceSettings

RESOLVE_THREADS = 8  # they wait for the store, and compute nothing
CPU_BATCHES = (1, 2, 4, 8)
CUDA_BATCHES = (8, 16, 32, 64)


@dataclass(frozen=True)
class Pipeline:
    """The model and what serves it."""

    clap: FrozenClap
    decoder: Decoder
    engine: Engine
    classifier: Classifier
    drift: DriftMonitor
    loaders: ThreadPoolExecutor
    resolvers: ThreadPoolExecutor

    @classmethod
    def open(cls, clap: FrozenClap, store: AdapterStore, settings: ServiceSettings, metrics: Metrics) -> Self:
        """Make all parts, within the limits of the settings; `start` then begins to serve."""
        loaders = ThreadPoolExecutor(settings.load_threads, thread_name_prefix="load")
        resolvers = ThreadPoolExecutor(RESOLVE_THREADS, thread_name_prefix="resolve")
        cache = AdapterCache(max_bytes=settings.cache_bytes, executor=loaders, metrics=metrics)
        decoder = Decoder(
            num_threads=settings.decode_threads,
            max_waiting=settings.max_decoding,
            max_clip_s=settings.max_clip_s,
            metrics=metrics,
        )
        queue = TenantQueue(
            max_windows=settings.max_queue_windows, max_tenant_windows=settings.max_tenant_queue_windows
        )
        sizes = CUDA_BATCHES if clap.device.type == "cuda" else CPU_BATCHES
        batch_windows = settings.batch_windows or measure_batch_windows(clap, sizes)
        engine = Engine(clap, queue, batch_windows=batch_windows, metrics=metrics)
        drift = DriftMonitor(clap.mel_centres_hz, metrics)
        classifier = Classifier(
            AdapterLoader(
                clap,
                store,
                cache,
                resolvers=resolvers,
                library=shipped_library(settings.data_dir / "background"),
            ),
            decoder,
            engine,
            budget=WindowBudget(
                max_windows=settings.max_held_windows,
                max_tenant_windows=settings.max_tenant_held_windows,
                max_request_windows=settings.max_request_windows,
            ),
            queue_timeout_s=settings.queue_timeout_s,
            drift=drift,
        )
        return cls(clap, decoder, engine, classifier, drift, loaders, resolvers)

    def start(self) -> None:
        """Start the inference thread."""
        self.engine.start()

    def stop(self) -> None:
        """Finish what runs, and end all threads."""
        self.engine.stop()
        self.decoder.close()
        self.loaders.shutdown(cancel_futures=True)
        self.resolvers.shutdown(cancel_futures=True)
