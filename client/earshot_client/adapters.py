"""Adapters, their versions, and the clips that these were taught with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from earshot_client.fault import Fault
from earshot_client.jobs import Promoted
from earshot_client.record import Record
from earshot_client.report import Report


@dataclass(frozen=True)
class Version(Record):
    """One immutable version; one whose files are damaged has `error`. Lists leave `report` out."""

    version: int = 0
    digest: str = ""
    size_bytes: int = 0
    created_at: str | None = None
    is_current: bool = False
    promoted: Promoted | None = None
    description: str | None = None
    labels: tuple[str, ...] = ()
    method: str | None = None
    audio_prompt: str | None = None
    shots: Mapping[str, int] | None = None
    threshold: float | None = None
    thresholds: Mapping[str, float] | None = None
    report: Report | None = None
    changes: Mapping[str, Any] | None = None
    error: Fault | None = None


@dataclass(frozen=True)
class StandingBy(Record):
    """A newer version that did not take over."""

    version: int = 0
    reason: str = ""


@dataclass(frozen=True)
class Channel(Record):
    """How far what is heard live is from what was taught."""

    difference_db: float = 0.0
    clips: int = 0
    since: str | None = None
    advised: bool = False
    wanting: tuple[str, ...] = ()


@dataclass(frozen=True)
class Adapter(Record):
    """An adapter; `adapter` is its current version, or the one that was asked for. A damaged one has `error`."""

    name: str = ""
    current: int | None = None
    versions: tuple[int, ...] = ()
    standing_by: tuple[StandingBy, ...] = ()
    adapter: Version | None = None
    channel: Channel | None = None
    error: Fault | None = None


@dataclass(frozen=True)
class KeptClip(Record):
    """A clip that a version was taught with; `id` is the SHA-256 of its bytes. `label` is None of the background."""

    id: str = ""
    label: str | None = None
    is_background: bool = False
    file: str = ""
    duration_s: float | None = None
    size_bytes: int = 0
    held_out: Mapping[str, Any] | None = None
    channel: str | None = None
    has_audio: bool = False
    has_features: bool = False
