"""A form's files into an upload, and the upload into a job: all of it, or nothing that stays."""

import hashlib
import json
from abc import ABC, abstractmethod
from typing import Annotated, Any

import structlog
from fastapi import Header
from starlette.responses import JSONResponse

from jobs.errors import JobUnconfirmed
from jobs.findings import Findings
from jobs.queue import Idempotency
from jobs.records import JobRecord
from service.context import Context

IdempotencyKey = Annotated[str | None, Header(alias="Idempotency-Key", pattern=r"^[\x21-\x7e]{1,128}$")]
ACCEPTED = {202: {"headers": {"Location": {"description": "The job.", "schema": {"type": "string"}}}}}


class Submission(ABC):
    """One request behind its form.

    Args:
        name: of the adapter that the job is about, "" of none.
        key: the request's Idempotency-Key.
    """

    kind: str

    def __init__(self, context: Context, tenant: str, name: str, request: dict[str, Any], key: str | None):
        self.context = context
        self.uploads = context.jobs.uploads
        self.tenant = tenant
        self.name = name
        self.request = request
        self._jobs = context.jobs.queue
        self._key = key

    @abstractmethod
    def stage(self, upload_id: str) -> None:
        """Put the form's files into the upload."""

    @abstractmethod
    def check(self, upload_id: str) -> Findings:
        """Refuse what the job could only fail on; returns what is odd about the rest."""

    async def answer(self) -> JSONResponse:
        """The job, in a thread of those that unpack and decode whole uploads: classification stays swift."""
        record = await self.context.jobs.uploaders.run(self.tenant, lambda _: self.run())
        structlog.contextvars.bind_contextvars(job=record.id)
        return JSONResponse(record.public(), status_code=202, headers={"Location": f"/jobs/{record.id}"})

    def run(self) -> JobRecord:
        """The job's record as it was when the job was made, also where this is a replay."""
        is_replay = self._key is not None and self._jobs.claim(self.tenant, self._key) is not None
        upload_id = record = None
        may_have_job = False
        try:
            upload_id = self.uploads.new_upload()
            self.stage(upload_id)
            digest = self._digest(upload_id)
            if is_replay:
                return self._first_answer(self._jobs.claim(self.tenant, self._key, digest))
            record = self._jobs.submit(
                self.tenant,
                self.name,
                upload_id,
                {},
                kind=self.kind,
                request=self.request,
                findings=self.check(upload_id),
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

    def _digest(self, upload_id: str) -> str:
        meant = [self.kind, self.name, self.request, self.uploads.digest(upload_id)]
        return hashlib.sha256(json.dumps(meant, sort_keys=True).encode()).hexdigest()

    def _first_answer(self, record: JobRecord) -> JobRecord:
        events = self._jobs.records.events(record.id, limit=1)
        return record.at(events[0]) if events else record
