"""What Prometheus reads. One registry an application; no tenant, adapter or path parameter becomes a label."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

BATCH_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128)
QUEUE_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """The counters and histograms of one API process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        labels = ["method", "route", "status"]
        self.requests = Counter("earshot_requests", "Answered requests.", labels, registry=self.registry)
        self.request_s = Histogram(
            "earshot_request_seconds", "Time to answer.", ["method", "route"], registry=self.registry
        )
        self.errors = Counter("earshot_errors", "Error answers, by code.", ["code"], registry=self.registry)
        self.made_way = Counter(
            "earshot_connections_made_way",
            "Connections that waited for a request, or for an answer to be taken, and were ended as one too many.",
            registry=self.registry,
        )
        self.clips = Counter("earshot_clips", "Clips classified.", ["outcome"], registry=self.registry)
        self.decode_s = Histogram("earshot_decode_seconds", "Time to decode a clip.", registry=self.registry)
        self.queue_s = Histogram(
            "earshot_queue_seconds",
            "Time a clip waited for the model.",
            buckets=QUEUE_BUCKETS_S,
            registry=self.registry,
        )
        self.batch_s = Histogram("earshot_batch_seconds", "Time to encode and score a batch.", registry=self.registry)
        self.batch_windows = Histogram(
            "earshot_batch_windows", "Windows in a batch.", buckets=BATCH_BUCKETS, registry=self.registry
        )
        self.engine_faults = Counter("earshot_engine_faults", "Faults of the inference thread.", registry=self.registry)
        self.queue_windows = Gauge("earshot_queue_windows", "Windows that wait for the model.", registry=self.registry)
        self.cached_adapters = Gauge("earshot_cached_adapters", "Adapters in memory.", registry=self.registry)
        self.cached_bytes = Gauge("earshot_cached_adapter_bytes", "Their size.", registry=self.registry)
        self.adapter_loads = Counter("earshot_adapter_loads", "Adapters loaded.", ["outcome"], registry=self.registry)
        self.drifting_adapters = Gauge(
            "earshot_drifting_adapters",
            "Adapter versions heard here whose channel has drifted so far that recalibration is advised.",
            registry=self.registry,
        )
        self.jobs = Gauge("earshot_jobs", "Jobs that are to end, by state.", ["state"], registry=self.registry)
        # Without a label, as autoscalers like it.
        self.unfinished_jobs = Gauge("earshot_unfinished_jobs", "Jobs that are to end.", registry=self.registry)

    def render(self) -> bytes:
        """The text that Prometheus scrapes."""
        return generate_latest(self.registry)
