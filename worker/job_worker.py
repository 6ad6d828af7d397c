"""The RQ worker: takes one job at a time and leaves the work to its runner process.

It runs the job's function in its own process, with no fork in between: from the queue to the warm runner is one
message. RQ's workers that do so send no heartbeat during a job; this one does, from the job's own loop.
"""

import os
import signal
import threading
from typing import Any

import structlog
from redis import Redis
from rq import Queue, SimpleWorker, worker_registration
from rq.executions import Execution
from rq.job import Job
from rq.registry import clean_registries
from rq.utils import now
from rq.version import VERSION as RQ_VERSION

from jobs.leases import Leases
from jobs.queue import QUEUE_NAME, SERIALIZER, JobQueue
from jobs.records import PREFIX, translated
from jobs.uploads import Uploads
from worker.context import CONTEXT, WorkerContext
from worker.job import AT_THE_END, LEFT_ALONE
from worker.maintenance import reconcile, sweep_store
from worker.own_job import OwnJob
from worker.runner_process import RunnerProcess
from worker.settings import WorkerSettings

MAINTENANCE_KEY = f"{PREFIX}:maintenance"
WORKER_TTL_S = 60
# Above the runner's own grace, below the five seconds in which a stopped worker is gone.
EXIT_AFTER_S = 4.5
# How long an idle worker waits for a job before it looks whether it is to stop.
WAIT_S = 1

# What RQ does not promise to keep, and this worker calls or replaces; a release without one would ignore it silently.
RQ_PARTS = (
    "_finalize_success",
    "_install_signal_handlers",
    "clean_registries",
    "dequeue_job_and_maintain_ttl",
    "dequeue_timeout",
    "execute_job",
    "get_heartbeat_ttl",
    "maintain_heartbeats",
    "max_connection_wait_time",
    "perform_job",
    "prepare_execution",
    "set_state",
    "subscribe",
)
RQ_ATTRIBUTES = ("executions", "last_cleaned_at", "maintenance_interval")

log = structlog.get_logger()


class RqUnknown(Exception):
    """This release of RQ lacks parts that the worker is built on; the message says which."""


class Shutdown:
    """The request to end, from SIGTERM or SIGINT: steps down what runs, and exits in any case soon after."""

    def __init__(self) -> None:
        self.is_requested = False

    def install(self) -> None:
        """Listen to the signals; call it from the main thread."""
        for signum in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signum, self._request)

    def _request(self, *_: object) -> None:
        if not self.is_requested:
            self.is_requested = True
            # A Redis that does not answer, or a store, must not hold the process: RQ's heartbeat gives the job back.
            watchdog = threading.Timer(EXIT_AFTER_S, os._exit, args=(1,))
            watchdog.daemon = True
            watchdog.start()


class JobWorker(SimpleWorker):
    """An RQ worker of the one queue, with one runner."""

    # RQ's pauses grow to a minute, which is long after Redis is back.
    max_connection_wait_time = 2.0

    def __init__(self, redis: Redis, settings: WorkerSettings, runner: RunnerProcess, shutdown: Shutdown):
        super().__init__(
            [Queue(QUEUE_NAME, connection=redis, serializer=SERIALIZER, job_class=OwnJob)],
            connection=redis,
            job_class=OwnJob,
            serializer=SERIALIZER,
            maintenance_interval=settings.maintenance_interval_s,
            worker_ttl=WORKER_TTL_S,
        )
        lacking = [name for name in RQ_PARTS if not hasattr(SimpleWorker, name)]
        lacking += [name for name in RQ_ATTRIBUTES if not hasattr(self, name)]
        if lacking:
            parts = ", ".join(lacking)
            raise RqUnknown(f"RQ {RQ_VERSION} lacks {parts}; pyproject.toml says which releases fit")
        self.settings = settings
        self.runner = runner
        self.shutdown = shutdown
        self.uploads = Uploads(settings.data_dir)
        self.job_queue = JobQueue(redis, settings)
        self.leases = Leases(redis, ttl_s=settings.heartbeat_ttl_s)

    @property
    def dequeue_timeout(self) -> int:
        """How long to wait for a job, in seconds: RQ does its maintenance only between two waits."""
        return WAIT_S

    def dequeue_job_and_maintain_ttl(
        self, timeout: int | None, max_idle_time: int | None = None
    ) -> tuple[Job, Queue] | None:
        """The next job, or None where the worker is to stop.

        RQ breaks its wait off by an exception in the signal's handler, which is lost where the handler interrupts
        what swallows exceptions, and loses a job that was just taken. A short wait needs none.
        """
        while not self.shutdown.is_requested:
            if result := super().dequeue_job_and_maintain_ttl(timeout, max_idle_time=timeout):
                return result
        return None

    def get_heartbeat_ttl(self, job: Job, working_time: float = 0.0) -> int:
        """The silence after which another worker may take the job, in seconds."""
        return self.settings.heartbeat_ttl_s

    def execute_job(self, job: Job, queue: Queue) -> None:
        """Run the job here, with the runner and a heartbeat at hand."""
        execution = self.prepare_execution(job)

        def heartbeat() -> None:
            with translated():
                self.maintain_heartbeats(job, execution)

        CONTEXT.set(
            WorkerContext(
                queue=self.job_queue,
                leases=self.leases,
                uploads=self.uploads,
                runner=self.runner,
                settings=self.settings,
                heartbeat=heartbeat,
                is_stopping=lambda: self.shutdown.is_requested,
            )
        )
        self.perform_job(job, queue, execution)
        self.set_state("idle")

    def _finalize_success(self, job: Job, queue: Queue, execution: Execution, return_value: Any) -> None:
        """As RQ does, unless the job goes on in another attempt: then RQ's word on it is that one's to say."""
        if return_value == LEFT_ALONE:
            self.executions.pop(execution.id, None)
        else:
            if return_value is AT_THE_END:
                job.enqueue_at_front_on_retry = False
            super()._finalize_success(job, queue, execution, return_value)

    def clean_registries(self) -> None:
        """Take back the jobs of dead workers, and put right what RQ and our records disagree on.

        One worker at a time, under a lock that ends by itself within two intervals; RQ's own would stand for a quarter
        of an hour if its holder were killed.
        """
        interval_s = self.settings.maintenance_interval_s
        if self.connection.set(MAINTENANCE_KEY, self.name, nx=True, ex=2 * interval_s):
            for queue in self.queues:
                clean_registries(queue)
                worker_registration.clean_worker_registry(queue)
                queue.intermediate_queue.cleanup(self, queue)
            reconcile(self.job_queue, self.leases, self.uploads, upload_ttl_s=self.settings.upload_ttl_s)
            sweep_store(self.connection, self.settings.store_url_or_local)
            self.connection.delete(MAINTENANCE_KEY)
        self.last_cleaned_at = now()

    def serve(self) -> None:
        """Take jobs until the shutdown is requested, or RQ gives up."""
        self.work(logging_level="WARNING")

    def subscribe(self) -> None:
        """Take no commands over pub/sub: a cancel has its own key, and the extra thread would delay the exit."""

    def _install_signal_handlers(self) -> None:
        """Leave the signals to Shutdown: RQ's handlers would wait for the end of the job."""
