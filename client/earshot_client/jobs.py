"""Jobs, and the events that tell of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from earshot_client.fault import Fault
from earshot_client.record import Record
from earshot_client.report import Evaluation

ENDED = frozenset({"succeeded", "failed", "cancelled"})


@dataclass(frozen=True)
class Progress(Record):
    """How far a job is."""

    phase: str = ""
    epoch: int = 0
    epochs: int = 0
    loss: float | None = None
    accuracy: float | None = None
    eta_s: float | None = None


@dataclass(frozen=True)
class JobAdapter(Record):
    """What a job is about; it has a version when it has made one."""

    name: str = ""
    version: int | None = None


@dataclass(frozen=True)
class Comparison(Record):
    """How a version and the one before did on the clips that both held out."""

    shared_clips: int = 0
    correct_before: int = 0
    correct_after: int = 0


@dataclass(frozen=True)
class Promoted(Record):
    """Whether a version took over from the one before when it was made, and why."""

    current: bool = False
    reason: str = ""
    comparison: Comparison | None = None


@dataclass(frozen=True)
class LeftOut(Record):
    """A file that was not used."""

    file: str = ""
    label: str | None = None
    error: Fault | None = None


@dataclass(frozen=True)
class ClipWarning(Record):
    """A clip that was used although something about it is odd."""

    code: str = ""
    file: str = ""
    label: str | None = None
    detail: str = ""


@dataclass(frozen=True)
class Job(Record):
    """A job; `state` is queued, running, succeeded, failed or cancelled. Times are ISO 8601 in UTC."""

    id: str = ""
    kind: str = "adapt"
    state: str = "queued"
    progress: Progress | None = None
    adapter: JobAdapter | None = None
    promoted: Promoted | None = None
    error: Fault | None = None
    created_at: str | None = None
    started_at: str | None = None
    ended_at: str | None = None
    left_out: tuple[LeftOut, ...] = ()
    num_left_out: int = 0
    warnings: tuple[ClipWarning, ...] = ()
    num_warnings: int = 0
    report: Mapping[str, Any] | None = None

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will come of it."""
        return self.state in ENDED

    @property
    def evaluation(self) -> Evaluation | None:
        """What an evaluation that succeeded found."""
        return Evaluation.from_json(self.report) if self.kind == "evaluate" and self.report else None


@dataclass(frozen=True)
class JobEvent:
    """A job at one of its changes; `id` is where to go on from."""

    id: str | None
    job: Job
