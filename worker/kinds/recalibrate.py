"""Kind `recalibrate`: the channel of a version put right, from live clips or from what it has heard."""

from typing import Any

from adapters_store import Taught
from jobs import kinds
from jobs.live_clips import beside
from jobs.manifest import adapter_manifest
from worker.kinds.kind import Kind, Task


def recalibrate(task: Task) -> dict[str, Any]:
    """Publish a version that differs in the channel alone; nothing where the clips would sound no more like it."""
    job, request = task.job, task.job["request"]
    ref = task.store.resolve(job["tenant"], request["reference"])
    clips = [path for _, path in task.uploads.usable(job["upload_id"])] if job["upload_id"] else []
    data, header, report = task.trainer.recalibrate(
        task.store.read(ref), clips, heard=request.get("heard"), should_cancel=task.should_cancel
    )
    if not report["applied"]:
        return {"report": report, "promoted": {"current": False, "reason": f"no version was made: {report['reason']}"}}
    description = task.store.manifest(ref).get("description") or ""
    manifest = adapter_manifest(header, job_id=job["id"], description=description) | {"recalibration": report}
    taught = Taught.as_before(task.store.clips(ref))
    return {**task.publish(data, manifest, wish=request.get("promote") or "auto", taught=taught), "report": report}


def with_channel(
    task: Task, data: bytes, header: dict[str, Any]
) -> tuple[bytes, dict[str, Any], dict[str, Any] | None]:
    """Return a fitted adapter with the channel of the live clips that came beside its own, where any came.

    Beside its file and header what came of it; None where no live clips came.
    """
    if not (live_id := task.job["request"].get("unlabelled")):
        return data, header, None
    clips = [path for _, path in beside(task.uploads, task.job["upload_id"]).usable(live_id)]
    return task.trainer.recalibrate(data, clips, heard=None, should_cancel=task.should_cancel)


RECALIBRATE = Kind(kinds.RECALIBRATE, recalibrate, publishes=True)
