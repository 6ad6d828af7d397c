"""What the runner can do: a file and a line for each kind of job. Nothing here imports torch; what does is lent."""

from worker.kinds.adapt import ADAPT
from worker.kinds.kind import Kind

KINDS: dict[str, Kind] = {kind.name: kind for kind in (ADAPT,)}
