"""One job's record: what a tenant is told about it and what the worker needs of it, typed."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from jobs.kinds import ADAPT

LIVE_STATES = ("queued", "running")
STATES = (*LIVE_STATES, "succeeded", "failed", "cancelled")
# Set when the job is made and never changed, so that a job's many events need not hold it.
FINDINGS_FIELDS = ("left_out", "num_left_out", "warnings", "num_warnings")
CHANGING_FIELDS = ("id", "state", "progress", "adapter", "promoted", "error", "created_at", "started_at", "ended_at")
SUMMARY_FIELDS = ("id", "kind", *CHANGING_FIELDS[1:], *FINDINGS_FIELDS)
PUBLIC_FIELDS = (*SUMMARY_FIELDS, "report")
NO_PROGRESS = {"phase": "queued", "epoch": 0, "epochs": 0, "loss": None, "accuracy": None, "eta_s": None}
# Written only where they say something: a job of kind `adapt` looks to releases before 0.3 as theirs do.
NEW_FIELDS = ("kind", "request", "report")


@dataclass(frozen=True)
class JobRecord:
    """One job; `public()` is what the tenant sees, the rest is for us.

    As many and as flat as the fields of the Redis hash that holds them, which other releases read too.

    Attributes:
        kind: what is to be done, one of jobs.kinds.KINDS.
        name: of the adapter that it is about, "" of none.
        training: of kind `adapt`, as `JobQueue.submit` takes it.
        request: what a job of another kind is told, in JSON's terms.
        report: of a job that succeeded, where what came of it is neither an adapter nor a file.
    """

    id: str
    tenant: str = ""
    name: str = ""
    upload_id: str = ""
    training: dict[str, Any] = field(default_factory=dict)
    state: str = "queued"
    progress: dict[str, Any] = field(default_factory=lambda: dict(NO_PROGRESS))
    adapter: dict[str, Any] | None = None
    promoted: dict[str, Any] | None = None
    error: dict[str, str] | None = None
    created_at: str = ""
    started_at: str | None = None
    ended_at: str | None = None
    left_out: list[dict[str, Any]] = field(default_factory=list)
    num_left_out: int = 0
    warnings: list[dict[str, Any]] = field(default_factory=list)
    num_warnings: int = 0
    request_digest: str = ""
    attempts: int = 0
    kind: str = ADAPT
    request: dict[str, Any] = field(default_factory=dict)
    report: dict[str, Any] | None = None

    @property
    def is_live(self) -> bool:
        """Whether the job is still to end."""
        return self.state in LIVE_STATES

    def public(self) -> dict[str, Any]:
        """The job as `GET /jobs/{id}` shows it."""
        return {name: getattr(self, name) for name in PUBLIC_FIELDS}

    def summary(self) -> dict[str, Any]:
        """The job as lists and events show it: without its report."""
        return {name: getattr(self, name) for name in SUMMARY_FIELDS}

    def findings(self) -> dict[str, Any]:
        """What was found in the job's upload, as jobs.findings.Findings has it."""
        return {name: getattr(self, name) for name in FINDINGS_FIELDS}

    def to_fields(self) -> dict[str, str]:
        """The record as fields of a Redis hash: every value is JSON."""
        values = asdict(self)
        new = {name: values.pop(name) for name in NEW_FIELDS}
        return _as_json(values | {name: value for name, value in new.items() if value not in (ADAPT, {}, None)})

    def to_event(self) -> dict[str, str]:
        """What an event tells of the record: a job has many, so only what changes and is shown."""
        return _as_json({name: getattr(self, name) for name in (*CHANGING_FIELDS, "attempts")})

    def at(self, event: JobEvent) -> JobRecord:
        """The record as it was right after the event, in all that is shown but the report."""
        return replace(event.record, kind=self.kind, **self.findings())

    @classmethod
    def from_fields(cls, stored: dict[bytes, bytes] | dict[str, str]) -> JobRecord:
        """The record that `to_fields` or `to_event` wrote; fields of another release are passed over."""
        known = {f.name for f in fields(cls)}
        decoded = {_text(name): json.loads(value) for name, value in stored.items()}
        return cls(**{name: value for name, value in decoded.items() if name in known})


@dataclass(frozen=True)
class JobEvent:
    """One change of a job: what `to_event` tells of it right after, under an id that `events(after=...)` takes."""

    id: str
    record: JobRecord


def _as_json(values: dict[str, Any]) -> dict[str, str]:
    return {name: json.dumps(value, ensure_ascii=False) for name, value in values.items()}


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
