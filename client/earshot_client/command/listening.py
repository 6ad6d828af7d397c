"""`listen`."""

from __future__ import annotations

import json as json_text
from datetime import datetime
from typing import Annotated

import typer

from earshot_client.command.connection import AsJson, Ref
from earshot_client.command.microphone import record
from earshot_client.command.terminal import note, tell
from earshot_client.heard import Heard


def listen(
    ctx: typer.Context,
    name: Ref,
    window_s: Annotated[float, typer.Option("--window", min=1, max=10, help="Seconds that are heard at a time.")] = 3.0,
    device: Annotated[str | None, typer.Option(help="Of the microphone: number or part of its name.")] = None,
    all_windows: Annotated[bool, typer.Option("--all", help="Tell of unknown sounds too.")] = False,
    json: AsJson = False,
) -> None:
    """Tell what the microphone hears, until Ctrl-C."""
    with ctx.obj.client() as client:
        for recording, num_passed_over in record(window_s, device):
            if num_passed_over:
                note(f"{num_passed_over * window_s:.0f} s passed over: the service is slower than the sound.")
            heard = client.classify(name, recording)
            if all_windows or not heard.unknown:
                _tell(heard, json)


def _tell(heard: Heard, json: bool) -> None:
    now = datetime.now().astimezone().isoformat(timespec="seconds")
    if json:
        print(json_text.dumps({"at": now, **heard.raw}, ensure_ascii=False), flush=True)
    else:
        tell(f"{now}  {'unknown' if heard.unknown else heard.label}  {heard.score:.2f}")


COMMANDS = {"listen": listen}
