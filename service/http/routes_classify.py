"""`POST /classify`."""

import structlog
from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from aspl.templates import check_template
from service.http.answers import answer
from service.http.batch import Batch
from service.http.dependencies import RequestCharge, ServiceContext
from service.http.disconnect import unless_client_leaves
from service.http.forms import (
    ClassifyBody,
    bounded_labels,
    check_num_bytes,
    check_num_files,
    parsed_thresholds,
    split_labels,
)
from service.http.multipart import FormRoute
from service.http.problems import CLIENT_LEFT_STATUS, ServiceError, responses
from service.http.schemas import Classification, Job
from service.http.submission import ACCEPTED, IdempotencyKey
from service.inference.classification import ClassifyRequest

ERRORS = responses(
    "bad_request", "adapter_not_found", "adapter_model_mismatch", "body_too_large", "too_many_files",
    "body_unsupported", "audio_unsupported", "invalid_request", "audio_undecodable", "audio_invalid", "audio_too_long",
    "too_many_windows", "labels_invalid", "thresholds_invalid", "adapter_name_invalid", "adapter_invalid",
    "tenant_overloaded", "engine_fault", "adapter_corrupt", "overloaded", "queue_timeout", "not_ready",
    "store_unavailable", "staging_unavailable",
    # Of an archive.
    "archive_invalid", "upload_too_large", "idempotency_in_flight", "idempotency_mismatch", "tenant_queue_full",
    "queue_full", "redis_unavailable",
)  # fmt: skip

QUEUED = {
    202: {"model": Job, "description": "The job, of an archive.", **ACCEPTED[202]},
}

router = APIRouter(tags=["classify"], route_class=FormRoute)


@router.post("/classify", response_model=Classification, responses=QUEUED | ERRORS)
async def classify(
    request: Request,
    form: ClassifyBody,
    charge: RequestCharge,
    context: ServiceContext,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Score audio files with an adapter, or against labels given here (zero-shot).

    An `archive` in place of `audio` makes a job, whose results `GET /jobs/{id}/results` returns when it has succeeded.
    """
    if bool(form.audio) == (form.archive is not None):
        raise ServiceError("invalid_request", "Give audio, one file or more, or else an archive.")
    check_num_files(len(form.audio), context.settings)
    check_num_bytes(sum(file.size or 0 for file in form.audio), context.settings)
    labels = split_labels(form.labels)
    if bool(form.adapter) == bool(labels):
        raise ServiceError("invalid_request", "Give either adapter or labels.")
    if form.archive is not None:
        return await Batch(context, charge.tenant, form, idempotency_key).answer(request)
    for file in form.audio:
        _check_size(file.filename, file.size or 0, context.settings.max_clip_bytes)
    wanted = ClassifyRequest(
        charge=charge,
        clips=[file.file for file in form.audio],
        adapter=form.adapter,
        labels=bounded_labels(labels, context.settings),
        template=check_template(form.template, max_chars=context.settings.max_template_chars),
        wants_windows=form.windows,
        threshold=form.threshold,
        thresholds=parsed_thresholds(form.thresholds, context.settings),
    )
    result = await unless_client_leaves(request, context.pipeline.classifier.classify(wanted))
    if result is None:
        return JSONResponse(None, status_code=CLIENT_LEFT_STATUS)
    if result.ref is not None:  # labels of a zero-shot request are the tenant's own words, and stay out of the log
        structlog.contextvars.bind_contextvars(adapter=f"{result.ref.name}@{result.ref.version}")
    filenames = [file.filename or f"audio-{number}" for number, file in enumerate(form.audio, 1)]
    return await answer(result, context.pipeline.clap, filenames=filenames, top_k=form.top_k, has_windows=form.windows)


def _check_size(filename: str | None, size_bytes: int, max_bytes: int) -> None:
    if size_bytes > max_bytes:
        limit = ("max_clip_bytes", max_bytes)
        raise ServiceError("body_too_large", f"{filename}: larger than max_clip_bytes = {max_bytes}.", limit=limit)
