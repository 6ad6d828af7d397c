"""How a call that makes a job goes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypedDict

from earshot_client.jobs import Job


class JobOptions(TypedDict, total=False):
    """What every call that makes a job may be told."""

    wait: bool  # for the job's end, and raise JobFailed where it does not succeed; True
    on_progress: Callable[[Job], None]  # told of the job at each of its changes
    idempotency_key: str  # two calls under one key are one job; each call has its own by default
