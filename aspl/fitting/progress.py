"""How far a fit is and how long it will still take, reckoned in forward passes of a clip."""

import time
from collections.abc import Callable

from aspl.errors import TrainingCancelled
from aspl.progress import Progress


class FitProgress:
    """Counts what is done against what is planned, and tells it; ends the fit where it is cancelled."""

    def __init__(self, on_progress: Callable[[Progress], None], should_cancel: Callable[[], bool]) -> None:
        self._on_progress, self._should_cancel = on_progress, should_cancel
        self._started, self._done, self._total = time.monotonic(), 0.0, 0.0

    def tick(self) -> None:
        """Raise TrainingCancelled where the caller wishes it; called before every micro-batch."""
        if self._should_cancel():
            raise TrainingCancelled("the training was cancelled")

    def spend(self, cost: float) -> None:
        """Count passes as done."""
        self._done += cost

    def expect(self, cost: float) -> None:
        """Take `cost` for what is still to be done."""
        self._total = self._done + cost

    def report(
        self, phase: str, epoch: int, epochs: int, loss: float | None = None, accuracy: float | None = None
    ) -> None:
        """Tell how far the fit is."""
        eta_s = None
        if self._done:
            left = max(0.0, self._total - self._done)
            eta_s = round((time.monotonic() - self._started) * left / self._done, 1)
        self._on_progress(Progress(phase, epoch, epochs, loss, accuracy, eta_s))
