"""What the worker process lends to the job that it runs."""

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass

from jobs.leases import Leases
from jobs.queue import JobQueue
from jobs.uploads import Uploads
from worker.runner_process import RunnerProcess
from worker.settings import WorkerSettings


@dataclass(frozen=True)
class WorkerContext:
    """The parts of the worker that a job needs.

    Attributes:
        heartbeat: tells RQ that the job is alive.
        is_stopping: whether the worker is to end.
    """

    queue: JobQueue
    leases: Leases
    uploads: Uploads
    runner: RunnerProcess
    settings: WorkerSettings
    heartbeat: Callable[[], None]
    is_stopping: Callable[[], bool]


CONTEXT: ContextVar[WorkerContext] = ContextVar("context")
