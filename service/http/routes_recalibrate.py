"""`POST /adapters/{name}/recalibrate`: the channel put right, from live clips or what was heard; and that shown."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, BinaryIO

import structlog
from fastapi import APIRouter, Request
from redis.exceptions import RedisError
from starlette.datastructures import FormData, UploadFile
from starlette.responses import JSONResponse

from adapters_store import Ref
from aspl import Adapter
from aspl.channel import check_curves
from aspl.channel_drift import assess
from aspl.errors import RecalibrationInvalid
from jobs.findings import Findings
from jobs.kinds import RECALIBRATE
from jobs.live_clips import check_live_clips, stage_live_clips
from jobs.queue import NOTHING_FOUND
from service.context import Context
from service.http.dependencies import ServiceContext, Tenant
from service.http.fields import check_known
from service.http.multipart import read_form
from service.http.problems import ServiceError, responses
from service.http.schemas import Job
from service.http.submission import ACCEPTED, IdempotencyKey, Submission
from service.inference.drift import HeardChannel, drift_key, shown
from service.inference.tenant_threads import Check

ERRORS = responses(
    "bad_request", "adapter_not_found", "recalibration_invalid", "idempotency_in_flight", "idempotency_mismatch",
    "body_too_large", "too_many_files",
    "upload_too_large", "body_unsupported", "invalid_request", "adapter_name_invalid", "adapter_invalid",
    "adapter_model_mismatch", "upload_invalid", "tenant_queue_full", "queue_full", "redis_unavailable",
    "staging_unavailable", "adapter_corrupt", "store_unavailable",
)  # fmt: skip
AUDIO = {"type": "array", "items": {"type": "string", "format": "binary"}, "description": "5 files or more, or none."}
PROMOTE = {"type": "string", "enum": ["auto", "always", "never"], "default": "auto"}
FORM = {"type": "object", "properties": {"audio": AUDIO, "promote": PROMOTE}}
BODY = {"requestBody": {"required": False, "content": {"multipart/form-data": {"schema": FORM}}}}
FILES = frozenset({"audio"})

router = APIRouter(tags=["adapters"])


@router.post(
    "/adapters/{name}/recalibrate", status_code=202, response_model=Job, responses=ACCEPTED | ERRORS, openapi_extra=BODY
)
async def recalibrate(
    name: str, request: Request, tenant: Tenant, context: ServiceContext, idempotency_key: IdempotencyKey = None
) -> JSONResponse:
    """Queue a version that differs in its channel alone, told from unlabelled `audio` of the place where it listens.

    Without audio it is told from what the version has heard lately, where that suffices. Where the clips would sound no
    more like what was taught, no version is made, and the job's report says so.
    """
    structlog.contextvars.bind_contextvars(adapter=name)
    form = await _form(request, context)
    try:
        promote = str(form.get("promote") or "auto")
        if promote not in PROMOTE["enum"]:
            raise ServiceError("invalid_request", f"promote: {promote[:40]!r} is none of {', '.join(PROMOTE['enum'])}")
        files = [(file.filename or "", file.file) for file in form.getlist("audio") if isinstance(file, UploadFile)]
        return await Recalibration(context, tenant, name, files, promote, idempotency_key).answer(request)
    finally:
        await form.close()


class Recalibration(Submission):
    """One such request behind its form."""

    kind = RECALIBRATE

    def __init__(
        self,
        context: Context,
        tenant: str,
        reference: str,
        files: Sequence[tuple[str, BinaryIO]],
        promote: str,
        key: str | None,
    ):
        super().__init__(context, tenant, "", key)
        self._reference = reference
        self._files = files
        self._promote = promote

    def stage(self, upload_id: str) -> None:
        """Resolve the version, from here on for good, and put the live clips into the upload."""
        self._ref = self.context.store.resolve(self.tenant, self._reference)
        self._adapter = Adapter.from_bytes(self.context.store.read(self._ref), self.context.pipeline.clap)
        check_curves(self._adapter)
        self.name = self._ref.name
        self.request = {"reference": f"{self._ref.name}@{self._ref.version}", "promote": self._promote}
        stage_live_clips(self.uploads, upload_id, self._files)

    def check(self, upload_id: str, still_wanted: Check) -> Findings:
        """Decode the live clips; without any, take down what the version has heard, if that suffices."""
        if self._files:
            return check_live_clips(self.uploads, upload_id, on_audio=lambda seconds: still_wanted())
        self.request["heard"] = _sufficient(self.context, self._ref, self._adapter).differences.vector().tolist()
        return NOTHING_FOUND


async def _form(request: Request, context: Context) -> FormData:
    content_type = request.headers.get("content-type", "")
    if not content_type.lower().startswith("multipart/form-data"):
        if await request.body():
            came = content_type[:100] or "without a Content-Type"
            detail = f"Send audio as multipart/form-data (-F audio=@clip.wav), or no body at all; it came as {came}."
            raise ServiceError("body_unsupported", detail)
        return FormData()
    form = await read_form(request, files=FILES, max_files=context.settings.max_clips, max_fields=10)
    try:
        check_known(form, FILES | {"promote"})
    except BaseException:
        await form.close()
        raise
    return form


def _sufficient(context: Context, ref: Ref, adapter: Adapter) -> HeardChannel:
    """Return what the version has heard; raises RecalibrationInvalid where something is wanting."""
    heard = _heard(context, ref, len(adapter.labels))
    wanting = ("it has heard nothing yet",)
    if heard is not None:
        wanting = assess(heard.differences, adapter, context.pipeline.clap.mel_centres_hz).wanting
    if heard is None or wanting:
        raise RecalibrationInvalid(
            f"what {ref.name}@{ref.version} has heard does not suffice: {'; '.join(wanting)}. Send audio with the call"
        )
    return heard


def _heard(context: Context, ref: Ref, num_labels: int) -> HeardChannel | None:
    try:
        stored = context.jobs.records.redis.hmget(drift_key(ref), "sums", "since")
    except RedisError:  # then what this process heard has to do
        stored = [None, None]
    return context.pipeline.drift.heard(ref, stored, num_labels)


def channel_of(context: Context, ref: Ref, num_labels: int) -> dict[str, Any] | None:
    """Return what a version hears of its channel; None where it has heard nothing, or cannot tell."""
    if (heard := _heard(context, ref, num_labels)) is None:
        return None  # as of most versions, whose files need not be read for that
    adapter = Adapter.from_bytes(context.store.read(ref), context.pipeline.clap)
    if adapter.taught_curves is None:
        return None
    drift = assess(heard.differences, adapter, context.pipeline.clap.mel_centres_hz)
    since = datetime.fromtimestamp(heard.since, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return {**shown(drift, heard, adapter.labels), "since": since}
