"""`classify`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from earshot_client.classification import Classified
from earshot_client.clips import clips_of
from earshot_client.command.connection import AsJson, Ref
from earshot_client.command.exit_status import REFUSED
from earshot_client.command.result_formats import print_csv, write_label_tracks
from earshot_client.command.terminal import print_json, print_table, progress_bar, tell
from earshot_client.heard import Heard


def classify(
    ctx: typer.Context,
    name: Ref,
    files: Annotated[list[Path], typer.Argument(help="Clips, or folders of them.", exists=True)],
    json: AsJson = False,
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    audacity: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", file_okay=False, help="Write a label track for each file into this folder."),
    ] = None,
    top_k: Annotated[int | None, typer.Option(min=1, help="How many scores to have, in JSON.")] = None,
    threshold: Annotated[
        float | None, typer.Option(min=0, max=1, help="Below it an answer is unknown; in place of its own.")
    ] = None,
    windows: Annotated[bool, typer.Option("--windows", help="Have the scores of each window too, in JSON.")] = False,
) -> None:
    """Tell what is heard in clips. A file that cannot be used is named, and makes the exit status 1."""
    if json and csv:
        raise ValueError("Give --json or --csv, not both.")
    paths = [path for given in files for path in _files(given)]
    with ctx.obj.client() as client, progress_bar() as bar:
        task = bar.add_task("listening", total=len(paths), state="")

        def show(classified: Classified) -> None:
            bar.update(task, completed=classified.num_done, state=f"{classified.num_done} of {len(paths)}")

        results = client.classify(
            name,
            paths,
            on_progress=show,
            top_k=top_k,
            threshold=threshold,
            windows=windows or audacity is not None,
        )
    _print(results, json=json, csv=csv, audacity=audacity)
    if any(heard.error for heard in results):
        raise typer.Exit(REFUSED)


def _files(given: Path) -> list[Path]:
    return [given / clip.name for clip in clips_of(given)] if given.is_dir() else [given]


def _print(results: list[Heard], *, json: bool, csv: bool, audacity: Path | None) -> None:
    if audacity is not None:
        written = write_label_tracks(results, audacity)
        if not json and not csv:
            tell(f"{len(written)} label tracks in {audacity}")
    if json:
        print_json(results)
    elif csv:
        print_csv(results)
    elif audacity is None:
        print_table(("file", "heard", "score", "known", ""), [_row(heard) for heard in results])


def _row(heard: Heard) -> tuple[object, ...]:
    if heard.error:
        return heard.file, "", None, None, heard.error.detail
    odd = [word for word in ("silent", "truncated", "damaged") if getattr(heard, word)]
    return heard.file, "unknown" if heard.unknown else heard.label, heard.score, heard.known_score, ", ".join(odd)


COMMANDS = {"classify": classify}
