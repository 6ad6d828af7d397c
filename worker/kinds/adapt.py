"""Kind `adapt`: an adapter fitted on an upload, and published."""

from typing import Any

from jobs import kinds
from jobs.manifest import adapter_manifest
from worker.kinds.kind import Kind, Task


def adapt(task: Task) -> dict[str, Any]:
    """Fit, from the checkpoint of an earlier attempt where there is one, and publish."""
    job, training = task.job, task.job["training"]
    data, header = task.trainer.train(
        task.uploads.training_clips(job["upload_id"]),
        training,
        on_progress=task.on_progress,
        should_cancel=task.should_cancel,
        checkpoint=task.uploads.checkpoint(job["upload_id"]),
        findings=job["findings"],
    )
    manifest = adapter_manifest(header, job_id=job["id"], description=training.get("description") or "")
    return task.publish(data, manifest, wish=training.get("promote") or "auto")


ADAPT = Kind(kinds.ADAPT, adapt, publishes=True, advice="send fewer or shorter clips, or ask for fewer epochs")
