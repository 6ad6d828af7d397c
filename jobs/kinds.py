"""What a job can be for. Each name is one file in `worker/kinds`, which says what is done."""

from aspl.progress import PHASES as FIT_PHASES

ADAPT, EVALUATE, RECALIBRATE, CLASSIFY, REBASE = "adapt", "evaluate", "recalibrate", "classify", "rebase"
KINDS = (ADAPT, EVALUATE, RECALIBRATE, CLASSIFY, REBASE)
PHASES = ("queued", *FIT_PHASES, EVALUATE, CLASSIFY, RECALIBRATE, REBASE, "publishing")
"""Of a job's progress: an adaptation has those of the fit, another kind one of its own name."""
