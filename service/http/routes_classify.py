"""`POST /classify`."""

import asyncio
from typing import Any

import structlog
from fastapi import APIRouter, Request
from starlette.responses import JSONResponse

from service.context import ServiceContext, Tenant
from service.http.forms import ClassifyBody, bounded_labels, check_num_files, check_template, split_labels
from service.http.multipart import FormRoute
from service.http.problems import CLIENT_LEFT_STATUS, ServiceError, responses
from service.http.schemas import Classification
from service.inference.classification import NamedFile, Question
from service.inference.decoding import settle

ERRORS = responses(
    "bad_request", "adapter_not_found", "adapter_model_mismatch", "body_too_large", "too_many_files",
    "body_unsupported", "audio_unsupported", "invalid_request", "audio_undecodable", "audio_invalid", "audio_too_long",
    "too_many_windows", "labels_invalid", "adapter_name_invalid", "adapter_invalid", "tenant_overloaded",
    "engine_fault", "adapter_corrupt", "overloaded", "queue_timeout", "not_ready", "store_unavailable",
    "staging_unavailable",
)  # fmt: skip

router = APIRouter(tags=["classify"], route_class=FormRoute)


@router.post("/classify", response_model=Classification, responses=ERRORS)
async def classify(request: Request, form: ClassifyBody, tenant: Tenant, context: ServiceContext) -> JSONResponse:
    """Score audio files with an adapter, or against labels given here (zero-shot)."""
    check_num_files(len(form.audio), context.settings)
    labels = split_labels(form.labels)
    if bool(form.adapter) == bool(labels):
        raise ServiceError("invalid_request", "Give either adapter or labels.")
    for file in form.audio:
        _check_size(file.filename, file.size or 0, context.settings.max_clip_bytes)
    question = Question(
        tenant=tenant,
        files=[NamedFile(file.filename or f"audio-{number}", file.file) for number, file in enumerate(form.audio, 1)],
        adapter=form.adapter,
        labels=bounded_labels(labels, context.settings),
        template=check_template(form.template, context.settings),
        top_k=form.top_k,
        wants_windows=form.windows,
    )
    answering = asyncio.ensure_future(context.classifier.answer(question))
    leaving = asyncio.ensure_future(_client_leaves(request))
    try:
        await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if answering.done():
            answer = answering.result()
            _name_in_log(answer["adapter"])
            return JSONResponse(answer)
        return JSONResponse(None, status_code=CLIENT_LEFT_STATUS)
    finally:
        leaving.cancel()
        answering.cancel()
        await settle([answering, leaving])  # the form's files are closed after this


def _name_in_log(adapter: dict[str, Any] | None) -> None:
    if adapter is not None:  # labels of a zero-shot request are the tenant's own words, and stay out
        structlog.contextvars.bind_contextvars(adapter=f"{adapter['name']}@{adapter['version']}")


async def _client_leaves(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        continue


def _check_size(filename: str | None, size_bytes: int, max_bytes: int) -> None:
    if size_bytes > max_bytes:
        limit = ("max_clip_bytes", max_bytes)
        raise ServiceError("body_too_large", f"{filename}: larger than max_clip_bytes = {max_bytes}.", limit=limit)
