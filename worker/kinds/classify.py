"""Kind `classify`: the files of an archive, each with its answer, into the job's results."""

import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from jobs import kinds
from jobs.errors import TrainingStopped
from jobs.results import Results
from worker.eta import Eta
from worker.kinds.kind import Kind, Task

# A folder of a thousand takes minutes, and whoever waits for a fit of a second should not: after its turn the job goes
# to the end of the queue, and is taken up again where it was.
TURN_S = 20.0


class Turn:
    """One turn of a job, which ends between two batches, and not before one is done."""

    def __init__(self, should_cancel: Callable[[], bool]):
        self.num_done = 0
        self.is_over = False
        self._should_cancel = should_cancel
        self._ends_at = time.monotonic() + TURN_S

    def is_to_stop(self) -> bool:
        """Whether to stop here, for good or because the turn is over."""
        if self._should_cancel():
            return True
        self.is_over = self.num_done > 0 and time.monotonic() > self._ends_at
        return self.is_over


def classify(task: Task) -> dict[str, Any]:
    """Classify what no earlier attempt did, for one turn; `again` where there is more."""
    job, request = task.job, task.job["request"]
    files = task.uploads.files(job["upload_id"])
    results = Results(task.settings.data_dir)
    turn = Turn(task.should_cancel)
    with results.begun(job["id"], job["holder"]) as file:
        rest = files[file.num_rows :]
        eta = Eta("classify", len(files), task.on_progress, done=file.num_rows)
        adapter = _adapter(task) if request["adapter"] else None
        rows = task.trainer.classify(adapter, [path for _, path in rest], request, should_cancel=turn.is_to_stop)
        try:
            for (clip, _), row in zip(rest, rows, strict=True):
                file.add({"file": clip.shown_name, **row})
                eta.step()
                turn.num_done += 1
        except TrainingStopped:
            if turn.is_over:
                return {"again": True}
            raise
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
