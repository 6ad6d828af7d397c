"""What a kind of job is, and what it is given to work with."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from adapters_store import AdapterStore
from jobs.uploaded_clip import EvaluationClips
from jobs.uploads import Uploads
from worker.lesson import Lesson, Trained
from worker.settings import WorkerSettings


class Trainer(Protocol):
    """What holds the model, and fits with it; see worker.clap_trainer.ClapTrainer."""

    @property
    def fingerprint(self) -> str:
        """Of the base model, by which what it hears of clips is kept."""
        ...

    def train(
        self,
        lesson: Lesson,
        training: dict[str, Any],
        *,
        on_progress: Callable[[Any], None],
        should_cancel: Callable[[], bool],
        checkpoint: Path,
        findings: dict[str, Any],
    ) -> Trained: ...

    def evaluate(
        self,
        adapters: Sequence[bytes],
        clips: EvaluationClips,
        taught: Sequence[Collection[str]],
        *,
        on_progress: Callable[[Any], None],
        should_cancel: Callable[[], bool],
    ) -> dict[str, Any]: ...

    def recalibrate(
        self,
        data: bytes,
        clips: Sequence[Path],
        *,
        heard: Sequence[float] | None,
        should_cancel: Callable[[], bool],
    ) -> tuple[bytes, dict[str, Any], dict[str, Any]]: ...

    def classify(
        self,
        adapter: bytes | None,
        paths: Sequence[Path],
        request: Mapping[str, Any],
        *,
        should_cancel: Callable[[], bool],
    ) -> Iterator[dict[str, Any]]: ...


@dataclass(frozen=True)
class Task:
    """One job, as the runner hands it to its kind.

    Attributes:
        job: of the job's record `id`, `kind`, `tenant`, `name`, `upload_id`, `training`, `request`, `created_at`,
            `holder` (of this attempt alone) and `findings`, in JSON's terms.
        trainer: what holds the model.
        on_progress: takes an aspl.Progress, or any dataclass with its fields.
        should_cancel: whether to step down, by raising jobs.errors.TrainingStopped.
        publish: takes an adapter's file and its manifest, the wish whether it takes over, and `taught`, what the store
            is to keep of its clips; asks the worker for leave, publishes once, however often the job is tried, and
            returns `{"version", "promoted"}`.
    """

    job: Mapping[str, Any]
    trainer: Trainer
    store: AdapterStore
    uploads: Uploads
    settings: WorkerSettings
    on_progress: Callable[[Any], None]
    should_cancel: Callable[[], bool]
    publish: Callable[..., dict[str, Any]]


@dataclass(frozen=True)
class Kind:
    """A kind of job.

    Attributes:
        name: as in the job's record; one of jobs.kinds.KINDS.
        run: does the job and returns what its record is to say: `version` and `promoted` of what it published (as
            `Task.publish` returns them), `report` in JSON's terms; whichever it has. `again` instead lets others have
            their turn: the job goes to the queue's end, and the attempt does not count. Raises what has a stable code.
        publishes: whether a version comes of it.
        advice: what a tenant can do where it takes too long.
    """

    name: str
    run: Callable[[Task], dict[str, Any]]
    publishes: bool = False
    advice: str = "send fewer or shorter clips"
