"""`POST /adapt`: labelled clips to an upload, then a job."""

import hashlib
import json
from collections import Counter
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Header, Request
from starlette.responses import JSONResponse

from adapters_store import check_name
from aspl import TrainingConfig
from aspl.errors import TrainingDataInvalid
from aspl.fitting.feasibility import check_feasible
from aspl.labels import fold
from aspl.methods import METHODS, Method
from aspl.templates import check_template
from jobs.background import BACKGROUND, check_named, named_background
from jobs.errors import JobUnconfirmed
from jobs.queue import Idempotency
from jobs.records import JobRecord
from service.context import Context
from service.http.dependencies import ServiceContext, Tenant
from service.http.disconnect import unless_client_leaves
from service.http.forms import SEVERAL_LABELS, AdaptBody, AdaptForm, split_labels
from service.http.multipart import FormRoute
from service.http.problems import CLIENT_LEFT_STATUS, ServiceError, responses
from service.http.schemas import Job
from service.inference.tenant_threads import Check

ERRORS = responses(
    "bad_request", "idempotency_in_flight", "body_too_large", "too_many_files", "upload_too_large", "body_unsupported",
    "invalid_request", "labels_invalid", "adapter_name_invalid", "audio_prompt_invalid", "training_config_invalid",
    "upload_invalid", "archive_invalid", "idempotency_mismatch", "tenant_queue_full", "queue_full",
    "redis_unavailable", "staging_unavailable",
)  # fmt: skip
ACCEPTED = {202: {"headers": {"Location": {"description": "The job.", "schema": {"type": "string"}}}}}

router = APIRouter(tags=["adapt"], route_class=FormRoute)
IdempotencyKey = Annotated[str | None, Header(alias="Idempotency-Key", pattern=r"^[\x21-\x7e]{1,128}$")]


@router.post("/adapt", status_code=202, response_model=Job, responses=ACCEPTED | ERRORS)
async def adapt(
    request: Request,
    form: AdaptBody,
    tenant: Tenant,
    context: ServiceContext,
    idempotency_key: IdempotencyKey = None,
) -> JSONResponse:
    """Queue the training of an adapter on labelled clips; each success makes a new version."""
    structlog.contextvars.bind_contextvars(adapter=check_name(form.name))
    training = _training(form, context)
    submission = Submission(context, tenant, form, training, idempotency_key)
    # Unpacking and decoding a whole upload takes its time: a few threads of its own keep classification swift.
    record = await unless_client_leaves(request, context.jobs.uploaders.run(tenant, submission.run))
    if record is None:
        return JSONResponse(None, status_code=CLIENT_LEFT_STATUS)
    structlog.contextvars.bind_contextvars(job=record.id)
    return JSONResponse(record.public(), status_code=202, headers={"Location": f"/jobs/{record.id}"})


class Submission:
    """One `POST /adapt` behind its form: staged, checked, queued; or all of it undone."""

    def __init__(self, context: Context, tenant: str, form: AdaptForm, training: dict[str, Any], key: str | None):
        self._clap = context.pipeline.clap
        self._uploads = context.jobs.uploads
        self._jobs = context.jobs.queue
        self._tenant = tenant
        self._form = form
        self._training = training
        self._key = key

    def run(self, check: Check) -> JobRecord:
        """The job's record as it was when the job was made, also where this is a replay.

        `check` raises where nobody waits for it any more; then there is no job.
        """
        is_replay = self._key is not None and self._jobs.claim(self._tenant, self._key) is not None
        upload_id = record = None
        may_have_job = False
        try:
            upload_id = self._uploads.new_upload()
            self._stage(upload_id)
            digest = self._digest(upload_id)
            if is_replay:
                first = self._jobs.claim(self._tenant, self._key, digest)
                return self._first_answer(first)
            method = METHODS[TrainingConfig.from_options(self._training).chosen_method]
            self._check_background(upload_id, method)
            self._check_feasible(upload_id, method)
            findings = self._uploads.check_audio(upload_id, min_labels=method.min_labels, on_audio=lambda _: check())
            check()
            idempotency = Idempotency(self._key, digest) if self._key else None
            record = self._jobs.submit(
                self._tenant,
                self._form.name,
                upload_id,
                self._training,
                findings=findings,
                idempotency=idempotency,
            )
            return record
        except JobUnconfirmed:
            # Where there is no job after all, the upload is swept by its age.
            may_have_job = True
            raise
        finally:
            if record is None:
                if upload_id is not None and not may_have_job:
                    self._uploads.remove(upload_id)
                if self._key and not is_replay:
                    self._jobs.release(self._tenant, self._key)

    def _check_background(self, upload_id: str, method: Method) -> None:
        if not method.is_closed_form and any(clip.is_background for clip in self._uploads.clips(upload_id)):
            detail = f"method={method.name} hears no background clips: leave method out, or the clips."
            raise ServiceError("upload_invalid", detail)

    def _check_feasible(self, upload_id: str, method: Method) -> None:
        """Refuse at once what a job could only fail on."""
        self._uploads.check_labels(upload_id, min_labels=method.min_labels)
        taught = (clip.label for clip in self._uploads.clips(upload_id) if not clip.is_background)
        shots = Counter(label for label in taught if label is not None)
        try:
            check_feasible(self._clap, TrainingConfig.from_options(self._training), shots)
        except TrainingDataInvalid as error:
            raise ServiceError("upload_invalid", str(error)) from error

    def _stage(self, upload_id: str) -> None:
        form = self._form
        labels, background_labels = split_labels(form.labels), split_labels(form.background_labels)
        if (form.archive is None) == (not form.clips):
            raise ServiceError("upload_invalid", "Give either clips with labels, or an archive.")
        if form.archive is not None:
            self._uploads.add_archive(upload_id, form.archive.file, background_labels=background_labels)
        else:
            self._stage_clips(upload_id, labels, background_labels)
        for clip in form.background:
            self._uploads.add_clip(upload_id, BACKGROUND, clip.file, filename=clip.filename or "", is_background=True)

    def _stage_clips(self, upload_id: str, labels: list[str], background_labels: list[str]) -> None:
        form = self._form
        if len(labels) != len(form.clips):
            raise ServiceError(
                "upload_invalid",
                f"{len(form.clips)} clips came with {len(labels)} labels; each clip needs one. {SEVERAL_LABELS}",
            )
        named = named_background(background_labels, max_chars=self._uploads.limits.max_label_chars)
        files = [
            self._uploads.add_clip(
                upload_id,
                label,
                clip.file,
                filename=clip.filename or "",
                is_background=fold(label) in named,
            )
            for clip, label in zip(form.clips, labels, strict=True)
        ]
        check_named(named, files)

    def _digest(self, upload_id: str) -> str:
        meant = [self._form.name, self._training, self._uploads.digest(upload_id)]
        return hashlib.sha256(json.dumps(meant, sort_keys=True).encode()).hexdigest()

    def _first_answer(self, record: JobRecord) -> JobRecord:
        events = self._jobs.records.events(record.id, limit=1)
        return record.at(events[0]) if events else record


def _training(form: AdaptForm, context: Context) -> dict[str, Any]:
    """The training as the job is told of it, checked by the method itself."""
    if form.template is not None:
        check_template(form.template, max_chars=context.settings.max_template_chars)
    training = {**TrainingConfig.from_options(dict(form)).options(), "description": form.description}
    return training if form.promote == "auto" else {**training, "promote": form.promote}
