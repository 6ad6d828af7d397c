"""`earshot`: its commands and the options before them."""

from __future__ import annotations

from typing import Annotated

import typer

from earshot_client.command import adapters, doctor, hearing, jobs, listening, teaching
from earshot_client.command.connection import Connection
from earshot_client.command.exit_status import Commands
from earshot_client.version import VERSION

app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit status: 0 good, 1 the service refuses or a file cannot be used, 2 usage, 3 the service does not "
    "answer, 130 interrupted.",
)
for module in (teaching, hearing, listening, adapters, jobs, doctor):
    for name, command in module.COMMANDS.items():
        app.command(name)(command)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(VERSION)
        raise typer.Exit


@app.callback()
def earshot(
    ctx: typer.Context,
    url: Annotated[
        str | None, typer.Option(envvar="EARSHOT_URL", help="Of the service; http://127.0.0.1:8000 by default.")
    ] = None,
    key: Annotated[
        str | None, typer.Option(envvar="EARSHOT_API_KEY", show_envvar=True, help="API key, where one is needed.")
    ] = None,
    retries: Annotated[int, typer.Option(min=0, help="How often to try again what is refused for now.")] = 5,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the release.")
    ] = False,
) -> None:
    """Teach sounds to an earshot service, and have it tell what it hears."""
    ctx.obj = Connection(url, key, retries)
