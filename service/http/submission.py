"""A form's files into an upload, and the upload into a job: all of it, or nothing that stays."""

import hashlib
import json
from abc import ABC, abstractmethod
from typing import Annotated, Any

import structlog
from fastapi import Header, Request
from starlette.responses import JSONResponse

from jobs.errors import JobUnconfirmed
from jobs.findings import Findings
from jobs.queue import Idempotency
from jobs.records import JobRecord
from service.context import Context
from service.http.disconnect import unless_client_leaves
from service.http.problems import CLIENT_LEFT_STATUS
from service.inference.tenant_threads import Check

IdempotencyKey = Annotated[str | None, Header(alias="Idempotency-Key", pattern=r"^[\x21-\x7e]{1,128}$")]
ACCEPTED = {202: {"headers": {"Location": {"description": "The job.", "schema": {"type": "string"}}}}}


class Submission(ABC):
    """One request behind its form.

    Args:
        name: of the adapter that the job is about, "" of none.
        key: the request's Idempotency-Key.
        training, request: what the job is told, as `jobs.queue.JobQueue.submit` takes them.
    """

    kind: str

    def __init__(
        self,
        context: Context,
        tenant: str,
        name: str,
        key: str | None,
        *,
        training: dict[str, Any] | None = None,
        request: dict[str, Any] | None = None,
    ):
        self.context = context
        self.uploads = context.jobs.uploads
        self.tenant = tenant
        self.name = name
        self.training = training or {}
        self.request = request or {}
        self._jobs = context.jobs.queue
        self._key = key

    @abstractmethod
    def stage(self, upload_id: str) -> None:
        """Put the form's files into the upload."""

    @abstractmethod
    def check(self, upload_id: str, still_wanted: Check) -> Findings:
        """Refuse what the job could only fail on; returns what is odd about the rest.

        `still_wanted`, to be called now and then, raises where nobody waits for the answer any more.
        """

    async def answer(self, request: Request) -> JSONResponse:
        """The job, in a thread of those that unpack and decode whole uploads: classification stays swift.

        A client that leaves before gets no job.
        """
        record = await unless_client_leaves(request, self.context.jobs.uploaders.run(self.tenant, self.run))
        if record is None:
            return JSONResponse(None, status_code=CLIENT_LEFT_STATUS)
        structlog.contextvars.bind_contextvars(job=record.id)
        return JSONResponse(record.public(), status_code=202, headers={"Location": f"/jobs/{record.id}"})

    def run(self, still_wanted: Check) -> JobRecord:
        """The job's record as it was when the job was made, also where this is a replay.

        `still_wanted` raises where nobody waits for it any more; then there is no job.
        """
        is_replay = self._key is not None and self._jobs.claim(self.tenant, self._key) is not None
        upload_id = record = None
        may_have_job = False
        try:
            upload_id = self.uploads.new_upload()
            self.stage(upload_id)
            digest = self._digest(upload_id)
            if is_replay:
                return self._first_answer(self._jobs.claim(self.tenant, self._key, digest))
            findings = self.check(upload_id, still_wanted)
            still_wanted()
            record = self._jobs.submit(
                self.tenant,
                self.name,
                upload_id,
                self.training,
                kind=self.kind,
                request=self.request,
                findings=findings,
                idempotency=Idempotency(self._key, digest) if self._key else None,
            )
            return record
        except JobUnconfirmed:
            # Where there is no job after all, the upload is swept by its age.
            may_have_job = True
            raise
        finally:
            if record is None:
                if upload_id is not None and not may_have_job:
                    self.uploads.remove(upload_id)
                if self._key and not is_replay:
                    self._jobs.release(self.tenant, self._key)

    def meant(self, upload_id: str) -> list[Any]:
        """What two requests with one Idempotency-Key must agree in, in JSON's terms."""
        return [self.kind, self.name, self.request, self.uploads.digest(upload_id)]

    def _digest(self, upload_id: str) -> str:
        return hashlib.sha256(json.dumps(self.meant(upload_id), sort_keys=True).encode()).hexdigest()

    def _first_answer(self, record: JobRecord) -> JobRecord:
        events = self._jobs.records.events(record.id, limit=1)
        return record.at(events[0]) if events else record
