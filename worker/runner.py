"""The runner: holds CLAP, does one job after the other, and does what the worker at the other end says.

It knows nothing of Redis. Commands: `run`, `go on` (the worker lives), `publish` (the
answer to `asks_leave`), `stop`. Events: `ready`, `progress`,
`asks_leave`, and one that ends a job: `done`, `stopped`, `failed`. When the worker is gone, so is the runner.
"""

import gc
import math
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import structlog

from adapters_store import AdapterStore, Ref, Taught, open_store
from adapters_store.errors import StoreError
from aspl import Progress
from jobs import logging
from jobs.allocator import keep_freed_memory
from jobs.errors import JobsError, TrainingFailed, TrainingStopped
from jobs.quota import Quota
from jobs.uploads import Uploads
from worker.channel import Channel, ChannelClosed
from worker.kinds import KINDS
from worker.kinds.kind import Task, Trainer
from worker.publication import Version, find_published, open_writable, promoted, publish
from worker.settings import WorkerSettings

log = structlog.get_logger()


class Runner:
    """Serves the commands that come over one channel."""

    def __init__(self, channel: Channel, settings: WorkerSettings):
        self.channel = channel
        self.settings = settings
        self.uploads = Uploads(settings.data_dir)
        self.quota = Quota(settings.storage_limits)
        self.trainer: Trainer | None = None
        self._commands: queue.Queue[dict[str, Any]] = queue.Queue()
        self._stop = threading.Event()
        self._told_at = time.monotonic()

    def serve(self, load_trainer: Callable[[WorkerSettings], Trainer]) -> None:
        """Load what holds the model, then do the jobs that come until the worker goes.

        Raises TrainingFailed where it cannot be loaded, and ChannelClosed.
        """
        threading.Thread(target=self._listen, daemon=True).start()
        self.trainer = load_trainer(self.settings)
        gc.freeze()  # what is loaded stays: to look through it for garbage takes as long as a small job
        self.channel.send({"event": "ready"})
        while True:
            command = self._commands.get()
            if command["command"] == "run":
                self.channel.send(self._outcome(command["job"]))

    def _outcome(self, job: dict[str, Any]) -> dict[str, Any]:
        try:
            return {"event": "done", **self._run(job)}
        except TrainingStopped:
            return {"event": "stopped"}
        except (StoreError, JobsError) as error:
            return {"event": "failed", "code": error.code, "detail": str(error)}
        except ChannelClosed:
            raise
        except Exception:
            log.exception("the job failed", job=job["id"], kind=job["kind"])
            return {"event": "failed", "code": "internal_error", "detail": "the job failed for a reason of ours"}

    def _run(self, job: dict[str, Any]) -> dict[str, Any]:
        kind = KINDS.get(job["kind"])
        if kind is None:
            raise TrainingFailed("job_unknown", f"this worker knows no jobs of kind {job['kind']!r}; upgrade it")
        if not kind.publishes:
            store = open_store(self.settings.store_url_or_local).for_model(self.trainer.fingerprint)
        else:
            # Before the work, which would be for nothing where the store cannot be written.
            store = open_writable(self.settings.store_url_or_local, self.settings.publish_timeout_s)
            store = store.for_model(self.trainer.fingerprint)
            if earlier := self._earlier(store, job):
                return _published(store, earlier)

        def leave_and_publish(
            data: bytes, manifest: dict[str, Any], *, wish: str = "auto", taught: Taught | None = None
        ) -> dict[str, Any]:
            self.channel.send({"event": "asks_leave"})
            self._wait_for_leave()
            version = Version(job["tenant"], job["name"], data, manifest, wish, taught)
            ref = publish(store, version, timeout_s=self.settings.publish_timeout_s, quota=self.quota)
            return _published(store, ref)

        return kind.run(
            Task(
                job=job,
                trainer=self.trainer,
                store=store,
                uploads=self.uploads,
                settings=self.settings,
                on_progress=self._report,
                should_cancel=self._is_to_stop,
                publish=leave_and_publish,
            )
        )

    def _earlier(self, store: AdapterStore, job: dict[str, Any]) -> Ref | None:
        return find_published(store, job["tenant"], job["name"], job_id=job["id"], since=job["created_at"])

    def _is_to_stop(self) -> bool:
        """Whether it was told to, or the worker was silent for so long that another has the job by now."""
        return self._stop.is_set() or time.monotonic() - self._told_at > self.settings.heartbeat_ttl_s

    def _report(self, progress: Progress) -> None:
        values = {field.name: _jsonable(getattr(progress, field.name)) for field in fields(Progress)}
        self.channel.send({"event": "progress", "progress": values})

    def _wait_for_leave(self) -> None:
        """Wait until the worker, which knows of cancels and of deletions, lets the adapter be published."""
        while self._commands.get()["command"] != "publish":
            if self._stop.is_set():
                raise TrainingStopped("stopped before the adapter was published")

    def _listen(self) -> None:
        # A thread of its own, so that a worker's death ends the runner in the middle of a load or a step too.
        while True:
            try:
                command = self.channel.receive()
            except ChannelClosed:
                os._exit(0)
            self._told_at = time.monotonic()
            if command["command"] == "go on":
                continue
            if command["command"] == "run":
                self._stop.clear()
            elif command["command"] == "stop":
                self._stop.set()
            self._commands.put(command)


def _published(store: AdapterStore, ref: Ref) -> dict[str, Any]:
    return {"version": ref.version, "promoted": promoted(store, ref)}


def _jsonable(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def main(load_trainer: Callable[[WorkerSettings], Trainer], descriptor: int) -> None:
    """Load what holds the model and serve the worker at the other end of the socket `descriptor`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    keep_freed_memory()
    settings = WorkerSettings()  # which the worker, whose environment this is, has found to be usable
    os.nice(settings.trainer_nice)
    logging.set_up(level=settings.log_level, format=settings.log_format)
    channel = Channel.from_descriptor(descriptor)
    try:
        Runner(channel, settings).serve(load_trainer)
    except TrainingFailed as error:
        channel.send({"event": "unusable", "code": error.code, "detail": str(error)})
        sys.exit(1)
    except ChannelClosed:
        sys.exit(0)


if __name__ == "__main__":
    from worker.clap_trainer import ClapTrainer

    main(ClapTrainer.load, int(sys.argv[1]))
