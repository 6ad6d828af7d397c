"""What the runner can do: a file and a line for each kind of job. Nothing here imports torch; what does is lent."""

from worker.kinds.adapt import ADAPT
from worker.kinds.classify import CLASSIFY
from worker.kinds.evaluate import EVALUATE
from worker.kinds.kind import Kind
from worker.kinds.recalibrate import RECALIBRATE

KINDS: dict[str, Kind] = {kind.name: kind for kind in (ADAPT, EVALUATE, CLASSIFY, RECALIBRATE)}
