"""A job under way: a bar for the one who waits, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from earshot_client.client import Client
from earshot_client.command.terminal import note, progress_bar, tell
from earshot_client.jobs import Job

MAX_NAMED = 5


@contextmanager
def shown_progress(what: str) -> Iterator[Callable[[Job], None]]:
    """What to tell of each change of a job; one that is interrupted goes on without its watcher."""
    last: Job | None = None
    with progress_bar() as bar:
        task = bar.add_task(what, total=None, state="sending")

        def show(job: Job) -> None:
            nonlocal last
            last = job
            progress = job.progress
            if progress is None:
                return
            state = progress.phase.replace("_", " ")
            if progress.eta_s is not None:
                state += f", {progress.eta_s:.0f} s left"
            bar.update(task, state=state, total=progress.epochs or None, completed=progress.epoch)

        try:
            yield show
        except KeyboardInterrupt:
            if last is not None:
                note(f"Job {last.id} goes on; earshot jobs tells what becomes of it.")
            raise


def tell_findings(job: Job) -> None:
    """Name what was left out and what is odd."""
    for row in job.left_out[:MAX_NAMED]:
        note(f"left out: {row.file}: {row.error.detail if row.error else ''}")
    for warning in job.warnings[:MAX_NAMED]:
        note(f"odd: {warning.file}: {warning.detail}")
    num_unnamed = max(0, job.num_left_out - MAX_NAMED) + max(0, job.num_warnings - MAX_NAMED)
    if num_unnamed:
        note(f"and {num_unnamed} more; earshot jobs --json has them")


def tell_version(client: Client, job: Job) -> None:
    """Say which version a job has made, whether it is current, and how good it is."""
    tell_findings(job)
    if job.adapter is None or job.adapter.version is None:
        tell(str((job.report or {}).get("reason") or "No version was made."))
        return
    ref = f"{job.adapter.name}@{job.adapter.version}"
    is_current = job.promoted is None or job.promoted.current
    reason = f": {job.promoted.reason}" if job.promoted else ""
    tell(f"{ref} {'is current' if is_current else 'stands by'}{reason}")
    version = client.adapter(ref).adapter
    if version and version.report:
        tell(accuracy_text(version.report.accuracy, version.report.accuracy_interval, version.report.num_clips))
        if version.report.suspects:
            num = len(version.report.suspects)
            tell(f"{num} clip{'s' if num > 1 else ''} to listen to: earshot suspects {job.adapter.name}")


def accuracy_text(accuracy: float | None, interval: tuple[float, ...] | None, num_clips: int) -> str:
    """An accuracy in words."""
    if accuracy is None:
        return "Its accuracy is not known: nothing could be held out."
    between = f", 95 % interval {interval[0]:.0%} to {interval[1]:.0%}" if interval else ""
    return f"accuracy {accuracy:.0%}{between}, on {num_clips} clips that it had not heard"
