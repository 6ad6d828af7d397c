"""What goes wrong, as exceptions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from earshot_client.jobs import Job


class EarshotError(Exception):
    """A call that the service refused.

    Attributes:
        code: stable, for programs; `http_502` and the like where something in between answers.
        detail: a sentence for people.
        status: of the answer; None where there is none.
        retry_after_s: after how many seconds to try again, where the answer says so.
        limit: name and value of the limit that was exceeded.
        request_id: under which the service's log has the call.
    """

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        status: int | None = None,
        retry_after_s: float | None = None,
        limit: Mapping[str, Any] | None = None,
        request_id: str | None = None,
    ):
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.status = status
        self.retry_after_s = retry_after_s
        self.limit = limit
        self.request_id = request_id

    @classmethod
    def of(cls, status: int, headers: Mapping[str, str], body: bytes) -> EarshotError:
        """The error that an answer tells of (RFC 9457), or stands for where it is no problem of the service's."""
        try:
            problem = json.loads(body)
        except ValueError:  # of a proxy in between, which does not speak of problems
            problem = None
        if not isinstance(problem, dict) or not isinstance(problem.get("code"), str):
            problem = {"code": f"http_{status}", "detail": _plain(status, headers)}
        return cls(
            problem["code"],
            str(problem.get("detail") or problem.get("title") or problem["code"]),
            status=status,
            retry_after_s=_seconds(headers.get("retry-after")),
            limit=problem.get("limit"),
            request_id=problem.get("request_id"),
        )


class Unreachable(EarshotError):
    """Nothing answers; the exception that says why is its `__cause__`."""

    def __init__(self, url: str, why: str):
        super().__init__("unreachable", f"{url} does not answer: {why}")


class JobFailed(EarshotError):
    """A job that was waited for and did not succeed; `job` is that job."""

    def __init__(self, job: Job):
        fault = job.error
        code, detail = (fault.code, fault.detail) if fault else (f"job_{job.state}", f"The job was {job.state}.")
        super().__init__(code, detail)
        self.job = job


def _plain(status: int, headers: Mapping[str, str]) -> str:
    if 300 <= status < 400:
        return f"It has moved to {headers.get('location', 'elsewhere')}: give that as the URL of the service."
    return f"The answer is {status} and none of earshot's: is this the URL of the service?"


def _seconds(text: str | None) -> float | None:
    """`Retry-After` in seconds; its other form, a date, is none of the service's."""
    try:
        return None if text is None else max(0.0, float(text))
    except ValueError:
        return None
