"""Kind `evaluate`: what a version is worth on clips that come with the job, perhaps against another version."""

from typing import Any

from adapters_store import AdapterStore, Ref
from jobs import kinds
from jobs.uploaded_clip import EvaluationClips
from worker.kinds.kind import Kind, Task


def evaluate(task: Task) -> dict[str, Any]:
    """Score the clips of the upload under both versions in one pass; nothing is published."""
    job, request = task.job, task.job["request"]
    references = [request["adapter"], *([request["against"]] if request.get("against") else [])]
    refs = [task.store.resolve(job["tenant"], reference) for reference in references]
    told = task.trainer.evaluate(
        [task.store.read(ref) for ref in refs],
        _clips(task),
        [_taught(task.store, ref) for ref in refs],
        on_progress=task.on_progress,
        should_cancel=task.should_cancel,
    )
    shown = [{"name": ref.name, "version": ref.version, "digest": ref.digest} for ref in refs]
    if told["against"] is not None:
        told["against"] = {"adapter": shown[1], **told["against"]}
    return {"report": {"adapter": shown[0], **told}}


def _taught(store: AdapterStore, ref: Ref) -> frozenset[str]:
    """Ids of what a version was taught with; none where that was not kept."""
    listed = store.clips(ref)
    return listed.ids if listed else frozenset()


def _clips(task: Task) -> EvaluationClips:
    """Those of the upload's test part, where it has one."""
    upload_id = task.job["upload_id"]
    test = task.uploads.evaluation_clips(upload_id, is_test=True)
    return test if test.clips or test.background else task.uploads.evaluation_clips(upload_id)


EVALUATE = Kind(kinds.EVALUATE, evaluate)
