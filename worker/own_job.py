"""RQ's job as this worker takes it: whatever Redis names, nothing but our own function is called."""

from collections.abc import Callable
from typing import Any

from rq.job import Job

from jobs.queue import JOB_FUNCTIONS


class ForeignJob(Exception):
    """Redis names a function that is not ours."""


class OwnJob(Job):
    """A job that calls one of ours or nothing: no other function, no callback, no webhook."""

    @property
    def func(self) -> Callable[..., Any]:
        """The function to call; raises ForeignJob."""
        if self.func_name not in JOB_FUNCTIONS or self.instance:
            raise ForeignJob("a job in the queue names a function that is none of this service's")
        return super().func

    success_callback = failure_callback = stopped_callback = property(lambda self: None)

    def send_webhooks(self, status: Any, *, exc_string: str | None = None) -> None:
        """Call nobody."""
