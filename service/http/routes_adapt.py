"""`POST /adapt`: labelled clips to an upload, then a job."""

import hashlib
import json
from collections import Counter
from typing import Any

import structlog
from fastapi import APIRouter, Request
from starlette.responses import JSONResponse

from adapters_store import KEEPS, check_name, parse_reference
from aspl import TrainingConfig
from aspl.errors import TrainingDataInvalid
from aspl.fitting.feasibility import check_feasible
from aspl.labels import fold
from aspl.methods import METHODS
from aspl.templates import check_template
from jobs.background import BACKGROUND, check_named, named_background
from jobs.base import Base, Correction, plan_base
from jobs.errors import JobUnconfirmed
from jobs.findings import Findings
from jobs.live_clips import add_live_clips, beside
from jobs.queue import Idempotency
from jobs.records import JobRecord
from jobs.uploaded_clip import UploadedClip
from service.context import Context
from service.http.dependencies import ServiceContext, Tenant
from service.http.disconnect import unless_client_leaves
from service.http.forms import SEVERAL_LABELS, AdaptBody, AdaptForm, parsed_relabel, split_ids, split_labels
from service.http.multipart import FormRoute
from service.http.problems import CLIENT_LEFT_STATUS, ServiceError, responses
from service.http.schemas import Job
from service.http.submission import ACCEPTED, IdempotencyKey
from service.inference.tenant_threads import Check

ERRORS = responses(
    "bad_request", "idempotency_in_flight", "body_too_large", "too_many_files", "upload_too_large", "body_unsupported",
    "invalid_request", "labels_invalid", "adapter_name_invalid", "audio_prompt_invalid", "training_config_invalid",
    "upload_invalid", "archive_invalid", "idempotency_mismatch", "tenant_queue_full", "queue_full",
    "redis_unavailable", "staging_unavailable", "adapter_not_found", "adapter_corrupt", "store_unavailable",
    "quota_exceeded",
)  # fmt: skip

router = APIRouter(tags=["adapt"], route_class=FormRoute)


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
    _check_base_fields(form)
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
        self._context = context
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
            request = self._stage_unlabelled(upload_id)
            digest = self._digest(upload_id, request)
            if is_replay:
                first = self._jobs.claim(self._tenant, self._key, digest)
                return self._first_answer(first)
            findings = self._checked(upload_id, TrainingConfig.from_options(self._training), check)
            check()
            idempotency = Idempotency(self._key, digest) if self._key else None
            record = self._jobs.submit(
                self._tenant,
                self._form.name,
                upload_id,
                self._training,
                findings=findings,
                request=request,
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

    def _checked(self, upload_id: str, config: TrainingConfig, check: Check) -> Findings:
        """Check the clips together with those of the base, which is planned and kept beside them."""
        base = self._plan_base(config)
        before = base.labels if base else frozenset()
        self._check_feasible(upload_id, config, base)
        findings = self._uploads.check_audio(
            upload_id,
            min_labels=METHODS[config.chosen_method].min_labels,
            before=before,
            on_audio=lambda seconds: check(),
        )
        clips = self._uploads.usable(upload_id)
        new_bytes = sum(clip.size_bytes for clip, _ in clips) if self._training.get("keep", "audio") == "audio" else 0
        self._context.jobs.quota.check(self._context.store, self._tenant, self._form.name, new_bytes=new_bytes)
        if base is None:
            return findings
        self._check_sizes(base, [clip for clip, _ in clips])
        base.write(self._uploads.directory(upload_id))
        return findings.beside(base.left_out)

    def _plan_base(self, config: TrainingConfig) -> Base | None:
        form, store = self._form, self._context.store
        if form.base is None:
            return None
        max_chars = self._uploads.limits.max_label_chars
        correction = Correction(split_ids(form.remove), parsed_relabel(form.relabel)).checked(max_label_chars=max_chars)
        ref = store.resolve(self._tenant, form.base)
        fingerprint = self._context.pipeline.clap.fingerprint
        return plan_base(store, ref, correction, fingerprint=fingerprint, needs_audio=config.needs_audio)

    def _check_sizes(self, base: Base, new: list[UploadedClip]) -> None:
        limits = self._uploads.limits
        labels = base.labels | {clip.label for clip in new if not clip.is_background}
        for what, num in (("clips", len(base.clips) + len(new)), ("labels", len(labels))):
            if num > getattr(limits, f"max_{what}"):
                detail = f"{num} {what} together with those of {base.name}@{base.version}, more than max_{what}"
                raise ServiceError("upload_too_large", detail, limit=(f"max_{what}", getattr(limits, f"max_{what}")))

    def _check_feasible(self, upload_id: str, config: TrainingConfig, base: Base | None) -> None:
        """Refuse at once what a job could only fail on."""
        before = [clip.label for clip in base.clips] if base else []
        new = [clip.label for clip in self._uploads.clips(upload_id) if not clip.is_background]
        shots = Counter(label for label in [*before, *new] if label is not None)
        if len(shots) < METHODS[config.chosen_method].min_labels:
            return  # which the upload itself is told of, with what was left out
        try:
            check_feasible(self._context.pipeline.clap, config, shots)
        except TrainingDataInvalid as error:
            raise ServiceError("upload_invalid", str(error)) from error

    def _stage(self, upload_id: str) -> None:
        form = self._form
        labels, background_labels = split_labels(form.labels), split_labels(form.background_labels)
        has_nothing_else = form.archive is None and not form.clips
        if (form.archive is not None and form.clips) or (has_nothing_else and form.base is None):
            raise ServiceError("upload_invalid", "Give either clips with labels, or an archive.")
        if form.archive is not None:
            self._uploads.add_archive(upload_id, form.archive.file, background_labels=background_labels)
        else:
            self._stage_clips(upload_id, labels, background_labels)
        for clip in form.background:
            self._uploads.add_clip(upload_id, BACKGROUND, clip.file, filename=clip.filename or "", is_background=True)

    def _stage_unlabelled(self, upload_id: str) -> dict[str, str]:
        """What the job is told of live clips, which lie beside the others."""
        if not self._form.unlabelled:
            return {}
        files = [(clip.filename or "", clip.file) for clip in self._form.unlabelled]
        return {"unlabelled": add_live_clips(beside(self._uploads, upload_id), files)[0]}

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

    def _digest(self, upload_id: str, request: dict[str, str]) -> str:
        form = self._form
        meant = [form.name, self._training, self._uploads.digest(upload_id)]
        if form.base is not None:
            meant += [form.base, sorted(split_ids(form.remove)), parsed_relabel(form.relabel)]
        if request:
            meant.append(beside(self._uploads, upload_id).digest(request["unlabelled"]))
        return hashlib.sha256(json.dumps(meant, sort_keys=True).encode()).hexdigest()

    def _first_answer(self, record: JobRecord) -> JobRecord:
        events = self._jobs.records.events(record.id, limit=1)
        return record.at(events[0]) if events else record


def _training(form: AdaptForm, context: Context) -> dict[str, Any]:
    """The training as the job is told of it, checked by the method itself."""
    if form.template is not None:
        check_template(form.template, max_chars=context.settings.max_template_chars)
    training = {**TrainingConfig.from_options(dict(form)).options(), "description": form.description}
    others = {"promote": (form.promote, "auto"), "keep": (_keep(form.keep, context), "audio")}
    return training | {name: value for name, (value, default) in others.items() if value != default}


def _keep(wanted: str | None, context: Context) -> str:
    """How much is kept of the clips; never more than the operator's setting allows."""
    most = context.settings.keep
    if wanted is None:
        return most
    if KEEPS.index(wanted) > KEEPS.index(most):
        raise ServiceError("invalid_request", f"keep: this service keeps {most} at most (EARSHOT_KEEP).")
    return wanted


def _check_base_fields(form: AdaptForm) -> None:
    """Refuse what cannot be meant, before anything is staged."""
    if form.base is not None:
        parse_reference(form.base)
    elif form.remove or form.relabel is not None:
        raise ServiceError("invalid_request", "remove and relabel are of the clips of base: name it too.")
    split_ids(form.remove)
    parsed_relabel(form.relabel)
