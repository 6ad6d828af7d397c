"""Everything that a clip passes through, made once and started together."""

from dataclasses import dataclass
from typing import Self

import torch

from adapters_store import AdapterStore
from aspl import FrozenClap
from aspl.background import shipped_library
from service.inference.adapter_cache import AdapterCache
from service.inference.adapter_loader import AdapterLoader
from service.inference.classification import Classifier
from service.inference.decoding import Decoder
from service.inference.drift import DriftMonitor
from service.inference.engine import Engine, measure_batch_windows
from service.metrics import Metrics
from service.settings import ServiceSettings

CPU_BATCHES = (1, 2, 4, 8)
CUDA_BATCHES = (8, 16, 32, 64)
CPU_LANES = 2


@dataclass(frozen=True)
class Pipeline:
    """The model and what serves it."""

    clap: FrozenClap
    adapters: AdapterLoader
    decoder: Decoder
    engine: Engine
    classifier: Classifier
    drift: DriftMonitor

    @classmethod
    def open(cls, clap: FrozenClap, store: AdapterStore, settings: ServiceSettings, metrics: Metrics) -> Self:
        """Make all parts, within the limits of the settings; `start` then begins to serve."""
        sizes = CUDA_BATCHES if clap.device.type == "cuda" else CPU_BATCHES
        batch_windows = settings.batch_windows or measure_batch_windows(clap, sizes)
        num_lanes = min(CPU_LANES, torch.get_num_threads()) if clap.device.type == "cpu" else 1
        engine = Engine(clap, batch_windows=batch_windows, metrics=metrics, num_lanes=num_lanes)
        drift = DriftMonitor(clap.mel_centres_hz, metrics)
        adapters = AdapterLoader(
            engine,
            store,
            AdapterCache(max_bytes=settings.cache_bytes, metrics=metrics),
            num_threads=settings.load_threads,
            text_timeout_s=settings.queue_timeout_s,
            library=shipped_library(settings.data_dir / "background"),
        )
        decoder = Decoder(num_threads=settings.decode_threads, max_clip_s=settings.max_clip_s, metrics=metrics)
        classifier = Classifier(adapters, decoder, engine, queue_timeout_s=settings.queue_timeout_s, drift=drift)
        return cls(clap, adapters, decoder, engine, classifier, drift)

    def start(self) -> None:
        """Start the threads of the model."""
        self.engine.start()

    def stop(self) -> None:
        """Finish what runs, and end all threads."""
        self.engine.stop()
        self.decoder.close()
        self.adapters.close()
