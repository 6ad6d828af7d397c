"""What runs there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from earshot_client.record import Record


@dataclass(frozen=True)
class Model(Record):
    """The base model and where it runs."""

    name: str = ""
    fingerprint: str = ""
    licence: str | None = None
    device: str = ""
    dtype: str = ""


@dataclass(frozen=True)
class Info(Record):
    """The service: its release, its model and its limits."""

    version: str = ""
    needs_key: bool = True
    model: Model | None = None
    limits: Mapping[str, float] | None = None
    keep: str = "audio"
