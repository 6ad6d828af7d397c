"""Kind `adapt`: an adapter fitted on an upload, and on what the version it goes on from was taught with; published."""

from collections.abc import Collection
from typing import Any

from jobs import kinds
from jobs.manifest import adapter_manifest
from worker.kinds.kind import Kind, Task
from worker.kinds.recalibrate import with_channel
from worker.lesson import gather


def adapt(task: Task) -> dict[str, Any]:
    """Fit, from the checkpoint of an earlier attempt where there is one, and publish."""
    job, training = task.job, task.job["training"]
    lesson = gather(task.uploads, task.store, job, fingerprint=task.trainer.fingerprint)
    trained = task.trainer.train(
        lesson,
        training,
        on_progress=task.on_progress,
        should_cancel=task.should_cancel,
        checkpoint=task.uploads.checkpoint(job["upload_id"], job["holder"]),
        findings=job["findings"],
    )
    data, header, report = with_channel(task, trained.data, trained.header)
    manifest = adapter_manifest(header, job_id=job["id"], description=training.get("description") or "")
    if changes := lesson.changes(trained.told):
        manifest["changes"] = changes
    if report is not None:
        manifest["recalibration"] = report
    evaluation = _evaluation(task, data, {clip.row.id for clip in lesson.clips})
    if evaluation is not None:
        manifest["evaluation"] = evaluation
    published = task.publish(data, manifest, wish=training.get("promote") or "auto", taught=lesson.kept(trained))
    return published | {"report": evaluation}


def _evaluation(task: Task, data: bytes, taught: Collection[str]) -> dict[str, Any] | None:
    """How the adapter does on the upload's test part; None where it has none."""
    clips = task.uploads.evaluation_clips(task.job["upload_id"], is_test=True)
    if not clips.clips and not clips.background:
        return None
    told = task.trainer.evaluate(
        [data], clips, [taught], on_progress=task.on_progress, should_cancel=task.should_cancel
    )
    return {name: told[name] for name in ("report", "not_taught", "overlap")}


ADAPT = Kind(kinds.ADAPT, adapt, publishes=True, advice="send fewer or shorter clips, or ask for fewer epochs")
