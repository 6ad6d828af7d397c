"""How an adapter does, on clips that it had not heard."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from earshot_client.record import Record


@dataclass(frozen=True)
class LabelReport(Record):
    """How one label did."""

    num_clips: int = 0
    precision: float | None = None
    recall: float | None = None
    f1: float | None = None
    threshold: float | None = None
    shots: int | None = None
    misses_per_hundred: float | None = None
    false_alarms_per_hour: float | None = None


@dataclass(frozen=True)
class BackgroundReport(Record):
    """How what was taught stands apart from what was not."""

    num_clips: int | None = None
    auroc: float | None = None
    false_acceptance: float | None = None
    rejected: float | None = None
    threshold: float | None = None
    false_alarms_per_hour: float | None = None


@dataclass(frozen=True)
class Suspect(Record):
    """A clip to listen to: it may be labelled wrong, or is of no use."""

    clip: int = 0
    label: str = ""
    id: str | None = None
    file: str | None = None
    sounds_like: str | None = None
    reasons: tuple[str, ...] = ()
    margin: float | None = None


@dataclass(frozen=True)
class Report(Record):
    """The figures; `raw` has the others (curves, candidates, pairs that are confused)."""

    num_clips: int = 0
    accuracy: float | None = None
    accuracy_interval: tuple[float, ...] | None = None
    macro_f1: float | None = None
    macro_f1_interval: tuple[float, ...] | None = None
    per_label: Mapping[str, LabelReport] | None = None
    confusion: tuple[tuple[int, ...], ...] | None = None
    background: BackgroundReport | None = None
    suspects: tuple[Suspect, ...] = ()
    reason: str = ""


@dataclass(frozen=True)
class Evaluation(Record):
    """How a version did on clips that were given; `against` and `comparison` where another heard them too."""

    adapter: str | Mapping[str, Any] | None = None
    report: Report | None = None
    overlap: Mapping[str, Any] | None = None  # clips that it was taught with, and how it did on the others
    against: Mapping[str, Any] | None = None
    comparison: Mapping[str, Any] | None = None
