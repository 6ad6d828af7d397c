"""`teach`, `add`, `correct`, `evaluate`, `recalibrate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from earshot_client.command.connection import AsJson, Name, Ref
from earshot_client.command.job_progress import accuracy_text, shown_progress, tell_findings, tell_version
from earshot_client.command.terminal import print_json, print_table, tell

Sounds = Annotated[
    Path, typer.Argument(help="A folder with a folder of clips for each label, or its zip or tar.", exists=True)
]
Background = Annotated[
    list[Path] | None,
    typer.Option(help="Clips, or a folder of them, that are none of the sounds; may be repeated.", exists=True),
]
Promote = Annotated[str, typer.Option(help="Whether the version takes over: auto, always or never.")]


def teach(
    ctx: typer.Context,
    name: Name,
    folder: Sounds,
    background: Background = None,
    method: Annotated[str | None, typer.Option(help="auto, ridge, palm, coop, cocoop or zero_shot.")] = None,
    promote: Promote = "auto",
) -> None:
    """Teach an adapter from a folder with a folder of clips for each sound."""
    with ctx.obj.client() as client:
        with shown_progress(f"teaching {name}") as show:
            job = client.teach(
                name, folder, background=background or [], on_progress=show, method=method, promote=promote
            )
        tell_version(client, job)


def add(
    ctx: typer.Context,
    name: Ref,
    folder: Sounds,
    background: Background = None,
    promote: Promote = "auto",
    channel: Annotated[
        str | None, typer.Option(help="none, where clips beside a recalibrated version are not of its channel.")
    ] = None,
) -> None:
    """Teach further clips, or further sounds, on top of what it was taught with."""
    with ctx.obj.client() as client:
        with shown_progress(f"adding to {name}") as show:
            options = {"promote": promote, "channel": channel}
            job = client.add(name, folder, background=background or [], on_progress=show, **options)
        tell_version(client, job)


def correct(
    ctx: typer.Context,
    name: Ref,
    relabel: Annotated[
        list[str] | None, typer.Option(metavar="ID=LABEL", help="Another label for a clip; may be repeated.")
    ] = None,
    remove: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="A clip to leave out; may be repeated.")
    ] = None,
) -> None:
    """Teach again with other labels for some clips, or without them; suspects names their ids."""
    labels = dict(_pair(text) for text in relabel or [])
    if not labels and not remove:
        raise ValueError("Nothing to correct: give --relabel ID=LABEL or --remove ID.")
    with ctx.obj.client() as client:
        with shown_progress(f"correcting {name}") as show:
            job = client.correct(name, labels, remove=remove or [], on_progress=show)
        tell_version(client, job)


def evaluate(
    ctx: typer.Context,
    name: Ref,
    folder: Sounds,
    background: Background = None,
    against: Annotated[str | None, typer.Option(help="Another adapter or version that hears the same.")] = None,
    json: AsJson = False,
) -> None:
    """Try an adapter on labelled clips that it was not taught with."""
    with ctx.obj.client() as client, shown_progress(f"evaluating {name}") as show:
        job = client.evaluate(name, folder, background=background or [], against=against, on_progress=show)
    if json:
        print_json([job])
        return
    tell_findings(job)
    found = job.evaluation
    if found is None or found.report is None:
        return
    tell(accuracy_text(found.report.accuracy, found.report.accuracy_interval, found.report.num_clips))
    if found.overlap:
        others = found.overlap["others"]
        tell(f"{found.overlap['num_clips']} of the clips it was taught with; on the others:")
        tell(accuracy_text(others["accuracy"], others["accuracy_interval"], others["num_clips"]))
    rows = [
        (label, row.num_clips, row.precision, row.recall, row.misses_per_hundred, row.false_alarms_per_hour)
        for label, row in (found.report.per_label or {}).items()
    ]
    print_table(("label", "clips", "precision", "recall", "misses/100", "false alarms/h"), rows)
    clips = (found.comparison or {}).get("clips")
    if clips:
        tell(f"right where {against} is not: {clips['only_adapter']}; the other way round: {clips['only_against']}")


def recalibrate(
    ctx: typer.Context,
    name: Ref,
    clips: Annotated[
        list[Path] | None,
        typer.Argument(help="5 clips or more of the place where it listens; what it has heard lately by default."),
    ] = None,
    promote: Promote = "auto",
) -> None:
    """Fit an adapter to the channel of the place where it listens."""
    with ctx.obj.client() as client:
        with shown_progress(f"recalibrating {name}") as show:
            job = client.recalibrate(name, clips or None, on_progress=show, promote=promote)
        tell_version(client, job)


def _pair(text: str) -> tuple[str, str]:
    clip, is_pair, label = text.partition("=")
    if not is_pair:
        raise ValueError(f"--relabel {text}: write ID=LABEL.")
    return clip, label


COMMANDS = {"teach": teach, "add": add, "correct": correct, "evaluate": evaluate, "recalibrate": recalibrate}
