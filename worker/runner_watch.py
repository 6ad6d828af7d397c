"""What a worker does while its runner is at a job: pass on progress, send heartbeats, stop it where need be."""

import time
from typing import Any

import structlog

from jobs.errors import RedisUnavailable
from worker.attempt import Attempt
from worker.context import WorkerContext

POLL_S = 0.1
STOP_INTERVAL_S = 0.3
PROGRESS_INTERVAL_S = 0.2

log = structlog.get_logger()


class RunnerWatch:
    """Watches over one job.

    Attributes:
        progress: the last that the runner told of and the record does not have yet.
        stop_reason: why the runner was told to stop: "cancelled", "adapter_deleted", "timeout", "shutdown", or
            "superseded" where another worker has the job now; None where it was not.
        has_leave: whether the runner was let to publish, so that the adapter may be in the store.
    """

    def __init__(self, context: WorkerContext, attempt: Attempt):
        self.progress: dict[str, Any] | None = None
        self.stop_reason: str | None = None
        self.has_leave = False
        self._context = context
        self._attempt = attempt
        self._deadline = time.monotonic() + context.settings.job_timeout_s
        self._kill_at = float("inf")
        self._next_at: dict[str, float] = {}

    def until_end(self) -> dict[str, Any]:
        """Watch until the runner says how the job ended, and return that message; raises RunnerDied."""
        asks_leave = False
        while True:
            message = self._context.runner.receive(timeout_s=POLL_S)
            event = message["event"] if message else None
            if event in ("done", "stopped", "failed"):
                return message
            if event == "unusable":
                log.error("the runner cannot load its model", code=message["code"], detail=message["detail"])
                detail = "the model of this service cannot be loaded; try again later"
                return {"event": "failed", "code": "model_unavailable", "detail": detail}
            if event == "progress":
                self.progress = message["progress"]
            elif event == "asks_leave":
                asks_leave = True
            self._check_time()
            self._exchange_with_redis()
            if asks_leave and self._may_publish():
                asks_leave, self.has_leave = False, True
                self._context.runner.send({"command": "publish"})
            if time.monotonic() > self._kill_at:
                log.warning("the runner does not step down and is killed", reason=self.stop_reason)
                self._context.runner.kill()
                return {"event": "stopped"}

    def _check_time(self) -> None:
        if self._context.is_stopping():
            self._stop("shutdown", self._context.settings.shutdown_grace_s)
        elif time.monotonic() > self._deadline:
            self._stop("timeout")

    def _exchange_with_redis(self) -> None:
        try:
            if self._is_due("stop", STOP_INTERVAL_S) and (reason := self._asked_to_stop()):
                self._stop(reason)
            if self._is_due("heartbeat", self._context.settings.heartbeat_s):
                self._show_life()
            if self.progress is not None and self._is_due("progress", PROGRESS_INTERVAL_S):
                self._write_progress()
        except RedisUnavailable:
            log.warning("redis does not answer; the job goes on")

    def _show_life(self) -> None:
        # The runner steps down by itself where the worker is stopped for so long that another takes the job.
        self._context.runner.send({"command": "go on"})
        if self._attempt.renew():
            self._context.heartbeat()
        else:
            self._stop("superseded")

    def _may_publish(self) -> bool:
        """Whether this attempt still has the job and nothing speaks against its end; not while Redis is away."""
        last = self.progress or {}
        try:
            if reason := self._asked_to_stop():
                self._stop(reason)
            elif self._attempt.update(progress=lambda stored: stored.progress | last | {"phase": "publishing"}) is None:
                self._stop("superseded")
        except RedisUnavailable:
            return False
        self.progress = None
        return self.stop_reason is None

    def _write_progress(self) -> None:
        progress, self.progress = self.progress, None
        try:
            if self._attempt.update(progress=progress) is None:
                # Another worker took the job up while this one seemed dead, or the record is gone.
                self._stop("superseded")
        except RedisUnavailable:
            self.progress = progress
            raise

    def _asked_to_stop(self) -> str | None:
        return self._context.queue.stop_reason(self._attempt.job_id)

    def _stop(self, reason: str, grace_s: float | None = None) -> None:
        if self.stop_reason is not None:
            return
        self.stop_reason = reason
        settings = self._context.settings
        if grace_s is None:
            # A publication is not cut off: nobody could tell whether the version is there.
            grace_s = max(settings.cancel_grace_s, settings.publish_timeout_s if self.has_leave else 0.0)
        self._kill_at = time.monotonic() + grace_s
        log.info("the job is told to stop", reason=reason)
        self._context.runner.send({"command": "stop"})

    def _is_due(self, what: str, interval_s: float) -> bool:
        now = time.monotonic()
        if now < self._next_at.get(what, 0.0):
            return False
        self._next_at[what] = now + interval_s
        return True
