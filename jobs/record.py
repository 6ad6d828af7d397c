"""One job's record: what a tenant is told about it and what the worker needs of it, typed."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from types import NoneType
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
NEW_FIELDS = ("kind", "request", "report", "holder")
DAMAGED = {"code": "record_damaged", "detail": "what was kept of this job is damaged; ask for it again"}
LONG_AGO = "1970-01-01T00:00:00.000000Z"


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
        holder: the attempt that has the job; see jobs.leases.
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
    holder: str = ""

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
        return _as_json(values | {name: value for name, value in new.items() if value not in (ADAPT, {}, None, "")})

    def to_event(self) -> dict[str, str]:
        """What an event tells of the record: a job has many, so only what changes and is shown."""
        return _as_json({name: getattr(self, name) for name in (*CHANGING_FIELDS, "attempts")})

    def at(self, event: JobEvent) -> JobRecord:
        """The record as it was right after the event, in all that is shown but the report."""
        return replace(event.record, kind=self.kind, **self.findings())

    @classmethod
    def from_fields(cls, stored: dict[bytes, bytes] | dict[str, str]) -> JobRecord:
        """The record that `to_fields` or `to_event` wrote; fields of another release are passed over.

        Of one that is damaged what can be read, as a job that failed.
        """
        sound, is_damaged = {}, False
        for name, value in ((_text(name), value) for name, value in stored.items()):
            if name in FIELD_TYPES:
                try:
                    sound[name] = _checked(name, json.loads(value))
                except (ValueError, RecursionError):
                    is_damaged = True
        if "id" not in sound or is_damaged:
            started = {name: value for name, value in sound.items() if name in ("id", "tenant", "created_at")}
            sound = {"id": "", "created_at": LONG_AGO, **started, "state": "failed", "error": dict(DAMAGED)}
        return cls(**sound)


@dataclass(frozen=True)
class JobEvent:
    """One change of a job: what `to_event` tells of it right after, under an id that `events(after=...)` takes."""

    id: str
    record: JobRecord


FIELD_TYPES: dict[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("id", "tenant", "name", "upload_id", "state", "created_at", "request_digest"), str),
    **dict.fromkeys(("kind", "holder"), str),
    **dict.fromkeys(("training", "request"), dict),
    **dict.fromkeys(("progress", "adapter", "promoted", "error", "report"), (dict, NoneType)),
    **dict.fromkeys(("started_at", "ended_at"), (str, NoneType)),
    **dict.fromkeys(("left_out", "warnings"), list),
    **dict.fromkeys(("num_left_out", "num_warnings", "attempts"), int),
}


def _checked(name: str, value: Any) -> Any:
    """The value of a field; raises ValueError where it cannot be one."""
    if not isinstance(value, FIELD_TYPES[name]) or (name == "state" and value not in STATES):
        raise ValueError(f"{name} of a job's record is damaged")
    if name == "created_at" and value:
        datetime.fromisoformat(value)
    return value


def _as_json(values: dict[str, Any]) -> dict[str, str]:
    return {name: json.dumps(value, ensure_ascii=False) for name, value in values.items()}


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
