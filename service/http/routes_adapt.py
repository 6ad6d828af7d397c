"""`POST /adapt`: labelled clips to an upload, then a job."""

from collections import Counter
from typing import Any

import structlog
from fastapi import APIRouter, Request
from starlette.responses import JSONResponse

from adapters_store import KEEPS, check_name, parse_reference
from aspl import TrainingConfig
from aspl.errors import TrainingDataInvalid
from aspl.fitting.feasibility import check_feasible
from aspl.methods import METHODS
from aspl.templates import check_template
from jobs import kinds
from jobs.base import Base, Correction, plan_base
from jobs.clip_check import taught_before
from jobs.findings import Findings
from jobs.live_clips import beside, check_live_clips, stage_live_clips
from jobs.uploaded_clip import UploadedClip
from service.context import Context
from service.http.dependencies import ServiceContext, Tenant
from service.http.forms import AdaptBody, AdaptForm, parsed_relabel, split_ids
from service.http.labelled_files import stage_labelled
from service.http.multipart import FormRoute
from service.http.problems import ServiceError, responses
from service.http.schemas import Job
from service.http.submission import ACCEPTED, IdempotencyKey, Submission
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
    return await Adaptation(context, tenant, form, training, idempotency_key).answer(request)


class Adaptation(Submission):
    """One `POST /adapt` behind its form."""

    kind = kinds.ADAPT

    def __init__(self, context: Context, tenant: str, form: AdaptForm, training: dict[str, Any], key: str | None):
        super().__init__(context, tenant, form.name, key, training=training)
        self._form = form

    def stage(self, upload_id: str) -> None:
        """Put the clips into the upload, and live ones beside them."""
        form = self._form
        has_nothing_else = form.archive is None and not form.clips
        if (form.archive is not None and form.clips) or (has_nothing_else and form.base is None):
            raise ServiceError("upload_invalid", "Give either clips with labels, or an archive.")
        stage_labelled(self.uploads, upload_id, form)
        if form.unlabelled:
            files = [(clip.filename or "", clip.file) for clip in form.unlabelled]
            live = beside(self.uploads, upload_id)
            self.request = {"unlabelled": live.new_upload()}
            stage_live_clips(live, self.request["unlabelled"], files)

    def check(self, upload_id: str, still_wanted: Check) -> Findings:
        """Check the clips together with those of the base, which is planned and kept beside them, and live ones."""

        def on_audio(seconds: float) -> None:
            still_wanted()

        config = TrainingConfig.from_options(self.training)
        base = self._plan_base(config, upload_id)
        if base is not None and self._form.keep is None:
            self.training["keep"] = min(base.keep, _keep(None, self.context), key=KEEPS.index)
        before = base.labels if base else frozenset()
        self._check_feasible(upload_id, config, base)
        findings = self.uploads.check_audio(
            upload_id,
            min_labels=METHODS[config.chosen_method].min_labels,
            before=before,
            on_audio=on_audio,
        )
        if self.request:
            live = check_live_clips(beside(self.uploads, upload_id), self.request["unlabelled"], on_audio=on_audio)
            findings = findings.beside(live.left_out)
        clips = self.uploads.usable(upload_id)
        keeps_audio = self.training.get("keep", "audio") == "audio"
        audio = {clip.sha256: clip.size_bytes for clip, _ in clips} if keeps_audio else {}
        self.context.jobs.quota.check(self.context.store, self.tenant, self._form.name, audio=audio)
        if base is None:
            return findings
        self._check_sizes(base, [clip for clip, _ in clips])
        base.write(self.uploads.directory(upload_id))
        return findings.beside(base.left_out).warned(taught_before((clip for clip, _ in clips), base))

    def _plan_base(self, config: TrainingConfig, upload_id: str) -> Base | None:
        form, store = self._form, self.context.store
        if form.base is None:
            return None
        max_chars = self.uploads.limits.max_label_chars
        wanted = Correction(split_ids(form.remove), parsed_relabel(form.relabel), form.channel)
        correction = wanted.checked(max_label_chars=max_chars)
        ref = store.resolve(self.tenant, form.base)
        fingerprint = self.context.pipeline.clap.fingerprint
        new = {clip.label for clip in self.uploads.clips(upload_id) if clip.is_taught}
        needs_audio = config.needs_audio
        return plan_base(store, ref, correction, fingerprint=fingerprint, needs_audio=needs_audio, beside=new)

    def _check_sizes(self, base: Base, new: list[UploadedClip]) -> None:
        limits = self.uploads.limits
        labels = base.labels | {clip.label for clip in new if not clip.is_background}
        for what, num in (("clips", len(base.clips) + len(new)), ("labels", len(labels))):
            if num > getattr(limits, f"max_{what}"):
                detail = f"{num} {what} together with those of {base.name}@{base.version}, more than max_{what}"
                raise ServiceError("upload_too_large", detail, limit=(f"max_{what}", getattr(limits, f"max_{what}")))

    def _check_feasible(self, upload_id: str, config: TrainingConfig, base: Base | None) -> None:
        """Refuse at once what a job could only fail on."""
        before = [clip.label for clip in base.clips] if base else []
        new = [clip.label for clip in self.uploads.clips(upload_id) if not clip.is_background]
        shots = Counter(label for label in [*before, *new] if label is not None)
        if len(shots) < METHODS[config.chosen_method].min_labels:
            return  # which the upload itself is told of, with what was left out
        try:
            check_feasible(self.context.pipeline.clap, config, shots)
        except TrainingDataInvalid as error:
            raise ServiceError("upload_invalid", str(error)) from error

    def meant(self, upload_id: str) -> list[Any]:
        """As the base has it, in the form that every release has remembered."""
        form = self._form
        meant = [form.name, self.training, self.uploads.digest(upload_id)]
        if form.base is not None:
            meant += [form.base, sorted(split_ids(form.remove)), parsed_relabel(form.relabel)]
            meant += [form.channel] if form.channel != "base" else []
        if self.request:
            meant.append(beside(self.uploads, upload_id).digest(self.request["unlabelled"]))
        return meant


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
    elif form.remove or form.relabel is not None or form.channel != "base":
        raise ServiceError("invalid_request", "remove, relabel and channel are of the clips of base: name it too.")
    split_ids(form.remove)
    parsed_relabel(form.relabel)
