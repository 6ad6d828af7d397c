"""One service as a client knows it: sending until it is answered, pages, jobs and their events."""

from __future__ import annotations

import json
import random
import secrets
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from earshot_client.errors import EarshotError, JobFailed, Unreachable
from earshot_client.event_stream import EventParser, ServerEvent
from earshot_client.form import Form
from earshot_client.info import Info
from earshot_client.jobs import Job, JobEvent
from earshot_client.record import Record
from earshot_client.request import Answer, Broken, Request, get, post
from earshot_client.steps import Emit, Flow, Open, Pause, Read, Send
from earshot_client.version import VERSION

R = TypeVar("R", bound=Record)
JobTeller = Callable[[Job], None]

REFUSED_FOR_NOW = frozenset({425, 429, 503})  # nothing was done
MAY_HAVE_BEEN_DONE = frozenset({408, 502, 504})
FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 30.0
LONGEST_RETRY_AFTER_S = 300.0  # of one who is to wait longer the caller should know


class Session:
    """What the flows of a client share; it does no I/O.

    Args:
        key: the API key, or None.
        retries: how often a request is sent again that is refused for now, 0 or more.
        on_retry: told of what refuses and of the seconds until the request is sent again.
    """

    def __init__(
        self, url: str, key: str | None, retries: int, on_retry: Callable[[EarshotError, float], None] | None = None
    ):
        self.url = url
        self.key = key
        self._retries = retries
        self._on_retry = on_retry or (lambda error, wait_s: None)
        self._info: Info | None = None

    # Requests

    def send(self, request: Request) -> Flow[Answer]:
        """Send until it is answered; raises EarshotError."""
        return (yield from self._until_answered(request, Send))

    def json(self, request: Request, kind: type[R]) -> Flow[R]:
        """Send, and read the answer as what it is."""
        answer = yield from self.send(request)
        return kind.from_json(answer.json())

    def data(self, request: Request) -> Flow[bytes]:
        """Send, and return the body."""
        return (yield from self.send(request)).body

    def done(self, request: Request) -> Flow[None]:
        """Send what is answered by nothing."""
        yield from self.send(request)

    def pages(self, *parts: str, field: str, kind: type[R]) -> Flow[list[R]]:
        """Every row of a list that comes in pages."""
        rows: list[R] = []
        after = None
        while True:
            page = (yield from self.send(get(*parts, after=after))).json()
            rows += map(kind.from_json, page[field])
            after = page.get("next")
            if after is None:
                return rows

    def info(self, refresh: bool = False) -> Flow[Info]:
        """What runs there; asked for once."""
        if self._info is None or refresh:
            self._info = yield from self.json(get("info"), Info)
        return self._info

    # Jobs

    def submit(
        self,
        *parts: str,
        form: Form,
        wait: bool = True,
        on_progress: JobTeller | None = None,
        idempotency_key: str | None = None,
    ) -> Flow[Job]:
        """Send a form that makes a job; all sendings of one call are one job."""
        headers = {"Idempotency-Key": idempotency_key or secrets.token_hex(16)}
        request = post(*parts, body=b"" if form.is_empty else form, may_repeat=True, headers=headers)
        job = yield from self.json(request, Job)
        if on_progress:
            on_progress(job)
        return (yield from self.wait(job.id, on_progress)) if wait else job

    def job(self, job_id: str) -> Flow[Job]:
        """A job as it stands."""
        return self.json(get("jobs", job_id), Job)

    def jobs(self, limit: int) -> Flow[list[Job]]:
        """The newest jobs."""
        page = (yield from self.send(get("jobs", limit=limit))).json()
        return [Job.from_json(row) for row in page["jobs"]]

    def wait(self, job_id: str, on_progress: JobTeller | None = None) -> Flow[Job]:
        """Wait for a job's end; raises JobFailed where it has not succeeded."""

        def tell(event: JobEvent) -> None:
            if on_progress:
                on_progress(event.job)

        yield from self.events(job_id, tell=tell)
        job = yield from self.job(job_id)  # events leave reports out
        if job.state != "succeeded":
            raise JobFailed(job)
        return job

    def events(
        self, job_id: str, after: str | None = None, tell: Callable[[JobEvent], None] | None = None
    ) -> Flow[None]:
        """A job at each of its changes, until it ends; a stream that breaks off is taken up after the last event."""
        num_failures = 0
        while True:
            num_events = 0
            resumed = {"Last-Event-ID": after} if after is not None else {}
            request = replace(get("jobs", job_id, "events"), headers={"Accept": "text/event-stream", **resumed})
            yield from self._until_answered(request, Open)
            parser = EventParser()
            while isinstance(chunk := (yield Read()), bytes) and chunk:
                for found in parser.feed(chunk):
                    event = _job_event(found)
                    num_events, after = num_events + 1, event.id or after
                    if tell:
                        tell(event)
                    else:
                        yield Emit(event)
                    if event.job.has_ended:
                        return
            if isinstance(chunk, Broken):
                if num_failures >= self._retries:
                    raise Unreachable(self.url, str(chunk.error)) from chunk.error
            elif num_events == 0 and (yield from self.job(job_id)).has_ended:
                return  # `after` was the last one of all, or the events have been forgotten
            num_failures = 0 if num_events else num_failures + 1
            if num_failures:
                yield Pause(_backoff_s(num_failures))

    def _until_answered(self, request: Request, step: type[Send] | type[Open]) -> Flow[Answer]:
        num_retries = 0
        while True:
            answer = yield step(self._signed(request))
            if isinstance(answer, Answer) and answer.is_good:
                return answer
            if isinstance(answer, Broken):
                error: EarshotError = Unreachable(self.url, str(answer.error) or type(answer.error).__name__)
                error.__cause__ = answer.error
                is_for_now = request.may_repeat or not answer.was_sent
            else:
                error = EarshotError.of(answer.status, answer.headers, answer.body)
                is_for_now = _is_for_now(error, request.may_repeat)
            wait_s = _backoff_s(num_retries) if error.retry_after_s is None else error.retry_after_s
            if not is_for_now or num_retries >= self._retries or wait_s > LONGEST_RETRY_AFTER_S:
                raise error
            self._on_retry(error, wait_s)
            yield Pause(wait_s)
            num_retries += 1

    def _signed(self, request: Request) -> Request:
        headers: Mapping[str, str] = {"User-Agent": f"earshot-client/{VERSION}", **request.headers}
        key = {} if self.key is None else {"Authorization": f"Bearer {self.key}"}
        return replace(request, headers={**headers, **key})


def _is_for_now(error: EarshotError, may_repeat: bool) -> bool:
    """Whether the same request may be answered later, and may be sent again."""
    if error.status in REFUSED_FOR_NOW or error.code == "idempotency_in_flight":
        return True
    return may_repeat and error.status in MAY_HAVE_BEEN_DONE


def _backoff_s(num_failures: int) -> float:
    """Twice as long each time, and not all clients at once."""
    return min(LONGEST_WAIT_S, FIRST_WAIT_S * 2**num_failures) * random.uniform(0.5, 1)


def _job_event(event: ServerEvent) -> JobEvent:
    data: Any = json.loads(event.data)
    return JobEvent(event.id, Job.from_json(data))
