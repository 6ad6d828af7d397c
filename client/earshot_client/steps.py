"""What a call may need done: a flow is a generator that yields these and is sent what came of them.

Flows hold all that the client knows and do no I/O; `Client` carries them out in threads, `AsyncClient` in tasks.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from earshot_client.request import Request

T = TypeVar("T")


@dataclass(frozen=True)
class Send:
    """Send a request; the flow is sent an `Answer` or `Broken`."""

    request: Request


@dataclass(frozen=True)
class Open:
    """Send a request whose good answer is read bit by bit; an `Answer` without its body, or with one that is bad."""

    request: Request


@dataclass(frozen=True)
class Read:
    """Read on; bytes, b"" at the end, or `Broken`."""


@dataclass(frozen=True)
class Pause:
    """Wait."""

    seconds: float


@dataclass(frozen=True)
class Together:
    """Carry out flows, so many at a time; a list of what they return, of which `on_done` is told one by one."""

    flows: Sequence[Flow[Any]]
    at_once: int
    on_done: Callable[[Any], None]


@dataclass(frozen=True)
class Emit:
    """Hand something to the caller, who iterates."""

    value: Any


Step = Send | Open | Read | Pause | Together | Emit
Flow = Generator[Step, Any, T]
