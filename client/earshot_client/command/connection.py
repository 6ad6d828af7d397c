"""The client that a command speaks through, as the options before it say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import typer

from earshot_client.client import Client
from earshot_client.command.terminal import note
from earshot_client.errors import EarshotError

COMPLETION_TIMEOUT_S = 2.0


@dataclass(frozen=True)
class Connection:
    """How the service is reached."""

    url: str | None
    key: str | None
    retries: int

    def client(self) -> Client:
        """A client that says why it waits."""
        return Client(self.url, self.key, retries=self.retries, on_retry=_say)


def _say(error: EarshotError, wait_s: float) -> None:
    note(f"{error.detail} Trying again in {wait_s:.1f} s.")


def complete_adapter(ctx: Any, incomplete: str) -> list[str]:
    """Names of adapters for a shell, or none where the service does not answer at once."""
    try:
        url = (ctx.find_root().params or {}).get("url")
        with Client(url, retries=0, timeout_s=COMPLETION_TIMEOUT_S) as client:
            return [adapter.name for adapter in client.adapters() if adapter.name.startswith(incomplete)]
    except Exception:  # a shell that asks for words cannot be told what is wrong
        return []


Name = Annotated[str, typer.Argument(help="The adapter's name.", autocompletion=complete_adapter, metavar="NAME")]
Ref = Annotated[
    str, typer.Argument(help="The adapter: NAME, or NAME@3.", autocompletion=complete_adapter, metavar="NAME")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")]
