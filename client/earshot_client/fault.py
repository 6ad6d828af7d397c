"""Why one clip, one job or one adapter failed, among others that did not."""

from __future__ import annotations

from dataclasses import dataclass

from earshot_client.record import Record


@dataclass(frozen=True)
class Fault(Record):
    """A stable code, and a sentence."""

    code: str = ""
    detail: str = ""
