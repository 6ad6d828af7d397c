"""What was heard in a clip."""

from __future__ import annotations

from dataclasses import dataclass

from earshot_client.fault import Fault
from earshot_client.record import Record


@dataclass(frozen=True)
class Score(Record):
    """The calibrated probability of a label, 0 to 1."""

    label: str = ""
    score: float = 0.0


@dataclass(frozen=True)
class AdapterRef(Record):
    """The version that answered."""

    name: str = ""
    version: int = 0
    digest: str = ""


@dataclass(frozen=True)
class Window(Record):
    """What was heard in one window of a clip."""

    start_s: float = 0.0
    end_s: float = 0.0
    label: str | None = None
    score: float | None = None
    unknown: bool = False
    known_score: float | None = None
    scores: tuple[Score, ...] = ()


@dataclass(frozen=True)
class Heard(Record):
    """What was heard in one clip, or with `error` why it could not be used.

    `label` is the best label, which counts where `unknown` is false. `known_score` is how much more the clip sounds
    like what was taught than like the background, 0 to 1.
    """

    file: str = ""
    label: str | None = None
    score: float | None = None
    unknown: bool = False
    known_score: float | None = None
    scores: tuple[Score, ...] = ()
    windows: tuple[Window, ...] | None = None
    duration_s: float | None = None
    silent: bool = False
    truncated: bool = False
    damaged: bool = False
    adapter: AdapterRef | None = None
    error: Fault | None = None
