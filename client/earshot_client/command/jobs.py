"""`jobs`."""

from __future__ import annotations

from typing import Annotated

import typer

from earshot_client.command.connection import AsJson
from earshot_client.command.terminal import print_json, print_table
from earshot_client.jobs import Job


def jobs(
    ctx: typer.Context,
    limit: Annotated[int, typer.Option(min=1, max=200, help="How many.")] = 20,
    json: AsJson = False,
) -> None:
    """List the newest jobs."""
    with ctx.obj.client() as client:
        found = client.jobs(limit=limit)
    if json:
        print_json(found)
        return
    rows = [(job.id, job.kind, _about(job), job.created_at, _state(job)) for job in found]
    print_table(("id", "kind", "adapter", "made", "state"), rows)


def _about(job: Job) -> str:
    if job.adapter is None:
        return ""
    return job.adapter.name if job.adapter.version is None else f"{job.adapter.name}@{job.adapter.version}"


def _state(job: Job) -> str:
    if job.error:
        return f"{job.state}: {job.error.detail}"
    if job.state == "running" and job.progress:
        return f"running: {job.progress.phase.replace('_', ' ')}"
    return job.state


COMMANDS = {"jobs": jobs}
