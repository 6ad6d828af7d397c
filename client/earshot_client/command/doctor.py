"""`doctor`: what a user should look at first where something does not work."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from earshot_client.client import Client
from earshot_client.command.connection import Connection
from earshot_client.command.exit_status import REFUSED
from earshot_client.command.terminal import tell
from earshot_client.errors import EarshotError
from earshot_client.version import VERSION

ANY_LABELS = ("a sound", "another sound")  # decoding is what is tried, whatever is heard


def doctor(
    ctx: typer.Context,
    files: Annotated[list[Path] | None, typer.Argument(help="Clips to try.", exists=True, dir_okay=False)] = None,
) -> None:
    """Look whether the service is there, which model it has, whether the key is good, and whether files decode."""
    connection: Connection = ctx.obj
    with Client(connection.url, connection.key, retries=0) as client:
        is_good = _service(client)
        is_good &= _key(client, connection.key)
        for file in files or []:
            is_good &= _file(client, file)
    if not is_good:
        raise typer.Exit(REFUSED)


def _service(client: Client) -> bool:
    info = client.info()
    if info.model is None:
        return _say(False, f"{client.url} answers, but it is no earshot")
    _say(True, f"{client.url} is earshot {info.version}; this is earshot-client {VERSION}")
    licence = info.model.licence or "not known"
    return _say(True, f"model {info.model.name} on {info.model.device}, licence {licence}")


def _key(client: Client, key: str | None) -> bool:
    if not client.info().needs_key:
        return _say(True, "no key is needed")
    if key is None:
        return _say(False, "a key is needed: give --key or EARSHOT_API_KEY")
    try:
        num_adapters = len(client.adapters())
    except EarshotError as error:
        return _say(False, f"key: {error.detail}")
    return _say(True, f"the key is good; it has {num_adapters} adapters")


def _file(client: Client, file: Path) -> bool:
    try:
        heard = client.classify(None, file, labels=ANY_LABELS)
    except EarshotError as error:
        return _say(False, f"{file}: {error.detail}")
    odd = [word for word in ("silent", "truncated", "damaged") if getattr(heard, word)]
    return _say(not odd, f"{file}: {heard.duration_s:.1f} s of sound{''.join(f', {word}' for word in odd)}")


def _say(is_good: bool, text: str) -> bool:
    tell(f"{'good' if is_good else 'BAD '}  {text}")
    return is_good


COMMANDS = {"doctor": doctor}
