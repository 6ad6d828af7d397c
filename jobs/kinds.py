"""What a job can be for. Each name is one file in `worker/kinds`, which says what is done."""

from aspl.progress import PHASES as FIT_PHASES

ADAPT, EVALUATE, RECALIBRATE, CLASSIFY = "adapt", "evaluate", "recalibrate", "classify"
KINDS = (ADAPT, EVALUATE, RECALIBRATE, CLASSIFY)
PHASES = ("queued", *FIT_PHASES, EVALUATE, CLASSIFY, RECALIBRATE, "publishing")
"""Of a job's progress: an adaptation has those of the fit, another kind one of its own name."""
