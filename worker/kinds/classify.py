"""Kind `classify`: the files of an archive, each with its answer, into the job's results."""

import time
from collections import Counter
from collections.abc import Iterable
from typing import Any

from jobs import kinds
from jobs.results import Results
from worker.eta import Eta
from worker.kinds.kind import Kind, Task

# A folder of a thousand takes minutes, and whoever waits for a fit of a second should not: after its turn the job goes
# to the end of the queue, and is taken up again where it was.
TURN_S = 20.0


def classify(task: Task) -> dict[str, Any]:
    """Classify what no earlier attempt did, for one turn; `again` where there is more."""
    job, request = task.job, task.job["request"]
    files = task.uploads.files(job["upload_id"])
    results = Results(task.settings.data_dir)
    turn_ends_at = time.monotonic() + TURN_S
    with results.begun(job["id"], job["holder"]) as file:
        rest = files[file.num_rows :]
        eta = Eta("classify", len(files), task.on_progress, done=file.num_rows)
        adapter = _adapter(task) if request["adapter"] else None
        paths = [path for _, path in rest]
        rows = task.trainer.classify(adapter, paths, request, should_cancel=task.should_cancel)
        for num_done, ((clip, _), row) in enumerate(zip(rest, rows, strict=True), 1):
            file.add({"file": clip.shown_name, **row})
            eta.step()
            if time.monotonic() > turn_ends_at and num_done < len(rest):
                return {"again": True}
    results.finish(job["id"], job["holder"])
    return {"report": {"adapter": request["adapter"], **_counts(results.rows(job["id"]))}}


def _adapter(task: Task) -> bytes:
    return task.store.read(task.store.resolve(task.job["tenant"], task.job["request"]["adapter"]))


def _counts(rows: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """How many files there are of each answer."""
    counts: Counter[str] = Counter()
    labels: Counter[str] = Counter()
    for row in rows:
        kind = "num_failed" if "error" in row else "num_unknown" if row["unknown"] else "num_known"
        counts[kind] += 1
        if kind == "num_known":
            labels[row["label"]] += 1
    names = ("num_known", "num_unknown", "num_failed")
    return {"num_files": counts.total(), **{name: counts[name] for name in names}, "labels": dict(labels.most_common())}


CLASSIFY = Kind(kinds.CLASSIFY, classify, advice="send fewer or shorter files")
