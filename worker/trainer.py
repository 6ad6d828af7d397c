"""The trainer: holds CLAP, trains one job after the other, and does what the worker at the other end says.

It knows nothing of Redis. Commands: `train`, `publish` (the answer to `trained`), `stop`. Events: `ready`, `progress`,
`trained`, and one that ends a job: `published`, `stopped`, `failed`. When the worker is gone, so is the trainer.
"""

import math
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, Protocol

import structlog

from adapters_store import AdapterStore, Ref
from adapters_store.errors import StoreError
from aspl import Progress
from jobs import logging
from jobs.errors import JobsError, TrainingFailed, TrainingStopped
from jobs.manifest import adapter_manifest
from jobs.uploaded_clip import TrainingClips
from jobs.uploads import Uploads
from worker.channel import Channel, ChannelClosed
from worker.publication import find_published, open_writable, promoted, publish
from worker.settings import WorkerSettings

log = structlog.get_logger()


class AdapterTrainer(Protocol):
    """What trains; see worker.clap_trainer.ClapTrainer."""

    def train(
        self,
        clips: TrainingClips,
        training: dict[str, Any],
        *,
        on_progress: Callable[[Progress], None],
        should_cancel: Callable[[], bool],
        checkpoint: Path,
        findings: dict[str, Any],
    ) -> tuple[bytes, dict[str, Any]]: ...


class TrainerServer:
    """Serves the commands that come over one channel."""

    def __init__(self, channel: Channel, settings: WorkerSettings):
        self.channel = channel
        self.settings = settings
        self.uploads = Uploads(settings.data_dir)
        self.trainer: AdapterTrainer | None = None
        self._commands: queue.Queue[dict[str, Any]] = queue.Queue()
        self._stop = threading.Event()

    def serve(self, load_trainer: Callable[[WorkerSettings], AdapterTrainer]) -> None:
        """Load what trains, then train what is asked for until the worker goes.

        Raises TrainingFailed where it cannot be loaded, and ChannelClosed.
        """
        threading.Thread(target=self._listen, daemon=True).start()
        self.trainer = load_trainer(self.settings)
        self.channel.send({"event": "ready"})
        while True:
            command = self._commands.get()
            if command["command"] == "train":
                self.channel.send(self._outcome(command["job"]))

    def _outcome(self, job: dict[str, Any]) -> dict[str, Any]:
        try:
            return self._train(job)
        except TrainingStopped:
            return {"event": "stopped"}
        except (StoreError, JobsError) as error:
            return {"event": "failed", "code": error.code, "detail": str(error)}
        except ChannelClosed:
            raise
        except Exception:
            log.exception("the training failed", job=job["id"])
            return {"event": "failed", "code": "internal_error", "detail": "the training failed for a reason of ours"}

    def _train(self, job: dict[str, Any]) -> dict[str, Any]:
        tenant, name, training = job["tenant"], job["name"], job["training"]
        # Before the training, which would be for nothing where the store cannot be written.
        store = open_writable(self.settings.store_url_or_local, self.settings.publish_timeout_s)
        earlier = find_published(store, tenant, name, job_id=job["id"], since=job["created_at"])
        if earlier is not None:
            return _published(store, earlier)
        data, header = self.trainer.train(
            self.uploads.training_clips(job["upload_id"]),
            training,
            on_progress=self._report,
            should_cancel=self._stop.is_set,
            checkpoint=self.uploads.checkpoint(job["upload_id"]),
            findings=job["findings"],
        )
        self.channel.send({"event": "trained"})
        self._wait_for_leave()
        manifest = adapter_manifest(header, job_id=job["id"], description=training.get("description") or "")
        wish = training.get("promote") or "auto"
        return _published(
            store, publish(store, tenant, name, data, manifest, self.settings.publish_timeout_s, wish=wish)
        )

    def _report(self, progress: Progress) -> None:
        values = {field.name: _jsonable(getattr(progress, field.name)) for field in fields(Progress)}
        self.channel.send({"event": "progress", "progress": values})

    def _wait_for_leave(self) -> None:
        """Wait until the worker, which knows of cancels and of deletions, lets the adapter be published."""
        while self._commands.get()["command"] != "publish":
            if self._stop.is_set():
                raise TrainingStopped("stopped before the adapter was published")

    def _listen(self) -> None:
        # A thread of its own, so that a worker's death ends the trainer in the middle of a load or a step too.
        while True:
            try:
                command = self.channel.receive()
            except ChannelClosed:
                os._exit(0)
            if command["command"] == "train":
                self._stop.clear()
            elif command["command"] == "stop":
                self._stop.set()
            self._commands.put(command)


def _published(store: AdapterStore, ref: Ref) -> dict[str, Any]:
    return {"event": "published", "version": ref.version, "promoted": promoted(store, ref)}


def _jsonable(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def main(load_trainer: Callable[[WorkerSettings], AdapterTrainer], descriptor: int) -> None:
    """Load what trains and serve the worker at the other end of the socket `descriptor`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    settings = WorkerSettings()  # which the worker, whose environment this is, has found to be usable
    os.nice(settings.trainer_nice)
    logging.set_up(level=settings.log_level, format=settings.log_format)
    channel = Channel.from_descriptor(descriptor)
    try:
        TrainerServer(channel, settings).serve(load_trainer)
    except TrainingFailed as error:
        channel.send({"event": "unusable", "code": error.code, "detail": str(error)})
        sys.exit(1)
    except ChannelClosed:
        sys.exit(0)


if __name__ == "__main__":
    from worker.clap_trainer import ClapTrainer

    main(ClapTrainer.load, int(sys.argv[1]))
