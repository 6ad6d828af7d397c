"""`adapters`, `versions`, `suspects`, `rollback`, `export`, `import`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from earshot_client.command.connection import AsJson, Name, Ref
from earshot_client.command.terminal import print_json, print_table, tell


def adapters(ctx: typer.Context, json: AsJson = False) -> None:
    """List the adapters."""
    with ctx.obj.client() as client:
        found = client.adapters()
    if json:
        print_json(found)
        return
    rows = [
        (row.name, row.current, len(row.versions), ", ".join(row.adapter.labels))
        if row.adapter
        else (row.name, None, None, row.error.detail if row.error else "")
        for row in found
    ]
    print_table(("name", "current", "versions", "labels"), rows)


def versions(ctx: typer.Context, name: Name, json: AsJson = False) -> None:
    """List the versions of an adapter."""
    with ctx.obj.client() as client:
        found = client.versions(name)
    if json:
        print_json(found)
        return
    rows = [
        (
            row.version,
            "current" if row.is_current else "",
            row.created_at,
            row.method,
            len(row.labels),
            row.error.detail if row.error else row.promoted.reason if row.promoted else row.description,
        )
        for row in found
    ]
    print_table(("version", "", "made", "method", "labels", "why"), rows)


def suspects(ctx: typer.Context, name: Ref, json: AsJson = False) -> None:
    """Name the clips that should be listened to, the worst first."""
    with ctx.obj.client() as client:
        found = client.suspects(name)
    if json:
        print_json(found)
        return
    rows = [(row.file, row.label, row.sounds_like, ", ".join(row.reasons), row.id) for row in found]
    print_table(("file", "label", "sounds like", "why", "id"), rows)


def rollback(
    ctx: typer.Context,
    name: Name,
    version: Annotated[int | None, typer.Argument(min=1, help="The one before the current one by default.")] = None,
) -> None:
    """Go back to an earlier version, or forward to a later one."""
    with ctx.obj.client() as client:
        tell(f"{name} is now version {client.rollback(name, version).current}")


def export(
    ctx: typer.Context,
    name: Ref,
    file: Annotated[Path | None, typer.Argument(help="NAME.safetensors, or NAME.zip, by default.")] = None,
    clips: Annotated[bool, typer.Option("--clips", help="A zip of the adapter and its clips.")] = False,
) -> None:
    """Write an adapter to a file."""
    with ctx.obj.client() as client:
        data = client.export(name, clips=clips)
    path = file or Path(f"{name}.{'zip' if clips else 'safetensors'}")
    path.write_bytes(data)
    tell(f"{path}, {len(data)} bytes")


def import_(
    ctx: typer.Context,
    name: Name,
    file: Annotated[Path, typer.Argument(help="What export wrote; of a zip the adapter alone.", exists=True)],
) -> None:
    """Take an exported file as an adapter's next version."""
    with ctx.obj.client() as client:
        tell(f"{name}@{client.import_(name, file).version} is current")


COMMANDS = {
    "adapters": adapters,
    "versions": versions,
    "suspects": suspects,
    "rollback": rollback,
    "export": export,
    "import": import_,
}
