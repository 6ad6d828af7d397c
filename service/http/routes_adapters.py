"""`/adapters`: what the store holds of a tenant; list, promote, delete, export, import."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Annotated, Any, BinaryIO

from fastapi import APIRouter, Header, Query, Request
from starlette.datastructures import UploadFile
from starlette.responses import JSONResponse, Response

from adapters_store import (
    AdapterCorrupt,
    AdapterEntry,
    AdapterNotFound,
    AdapterStore,
    Ref,
    check_name,
    parse_reference,
)
from aspl import Adapter
from aspl.labels import fold_label
from jobs.manifest import adapter_manifest
from service.http.clip_export import export_with_clips
from service.http.dependencies import ServiceContext, Tenant
from service.http.multipart import read_form
from service.http.problems import ServiceError, describe, responses
from service.http.routes_recalibrate import channel_of
from service.http.schemas import AdapterList, AdapterSummary, AdapterVersion, CurrentVersion, VersionList
from service.http.schemas_report import shown_report
from service.http.spool import Spool

FILE_MEDIA_TYPE = "application/octet-stream"
BINARY = {"type": "string", "format": "binary"}
SHOWN = ("size_bytes", "created_at", "description", "labels", "method", "audio_prompt", "template", "num_parameters")
SHOWN += ("shots", "seed", "preset", "threshold", "temperature", "level_db", "promoted", "changes")
STORE_ERRORS = ("invalid_request", "adapter_name_invalid", "adapter_corrupt", "store_unavailable")
READ = responses("adapter_not_found", *STORE_ERRORS)
WRITE = responses("bad_request", "adapter_not_found", "store_full", *STORE_ERRORS)
DELETE = responses("adapter_not_found", "store_full", "redis_unavailable", *STORE_ERRORS)
FILE = {
    200: {
        "content": {FILE_MEDIA_TYPE: {"schema": BINARY}},
        "description": "The file.",
        "headers": {"ETag": {"description": "The SHA-256 of the file, in quotes.", "schema": {"type": "string"}}},
    },
    304: {"description": "The file is the one that `If-None-Match` names."},
}
# A form is taken too and not in the document: of two kinds of body, generators make clients that do not start.
IMPORTED = {FILE_MEDIA_TYPE: {"schema": BINARY}}
FILE_FIELDS = frozenset({"file", "adapter"})  # where a form's part is the file without a file name of its own, too

router = APIRouter(tags=["adapters"])
Limit = Annotated[int, Query(ge=1, le=200)]


@router.get("/adapters", response_model=AdapterList, responses=responses(*STORE_ERRORS))
def list_adapters(
    tenant: Tenant, context: ServiceContext, limit: Limit = 50, after: Annotated[str | None, Query()] = None
) -> JSONResponse:
    """The tenant's adapters in alphabetical order, used or not."""
    entries, following = context.store.page(tenant, limit=limit, after=after and check_name(after))
    return JSONResponse({"adapters": [_row(entry) for entry in entries], "next": following})


@router.get("/adapters/{name}", response_model=AdapterSummary, responses=READ)
def get_adapter(name: str, tenant: Tenant, context: ServiceContext) -> JSONResponse:
    """One adapter; `name@3` shows that version instead of the current one."""
    ref = context.store.resolve(tenant, name)
    shown = summary(context.store, ref)
    return JSONResponse({**shown, "channel": channel_of(context, ref, len(shown["adapter"]["labels"] or ()))})


@router.get("/adapters/{name}/versions", response_model=VersionList, responses=READ)
def list_versions(
    name: str,
    tenant: Tenant,
    context: ServiceContext,
    limit: Limit = 50,
    after: Annotated[int, Query(ge=0, le=999_999_999)] = 0,
) -> JSONResponse:
    """The adapter's versions in ascending order."""
    store = context.store
    check_name(name)
    numbers = store.versions(tenant, name)
    current = _current(store, tenant, name, numbers)
    numbers = [number for number in numbers if number > after]
    rows = [row for number in numbers[:limit] if (row := _version_row(store, tenant, name, number, current))]
    following = numbers[limit - 1] if len(numbers) > limit else None
    return JSONResponse({"name": name, "current": current, "versions": rows, "next": following})


@router.put("/adapters/{name}/current", response_model=AdapterSummary, responses=WRITE)
def set_current_version(name: str, wanted: CurrentVersion, tenant: Tenant, context: ServiceContext) -> JSONResponse:
    """Promote a version, or roll back to it: from now on the bare name means it."""
    return JSONResponse(summary(context.store, context.store.set_current(tenant, name, wanted.version)))


@router.delete("/adapters/{name}", status_code=204, responses=DELETE)
def delete_adapter(name: str, tenant: Tenant, context: ServiceContext) -> Response:
    """Delete an adapter, or with `name@3` that version; requests that use it already end well."""
    bare_name, version = parse_reference(name)
    stopped_jobs = context.jobs.queue.adapter_deleted(tenant, bare_name) if version is None else []
    try:
        context.store.delete(tenant, bare_name, version)
    except AdapterNotFound:
        if not stopped_jobs:  # otherwise its first version was on its way, and will not come
            raise
    return Response(status_code=204)


@router.get("/adapters/{name}/file", response_class=Response, responses=FILE | READ)
def export_adapter(
    name: str,
    tenant: Tenant,
    context: ServiceContext,
    if_none_match: Annotated[str | None, Header(description="The `ETag` of a file that is there already.")] = None,
    clips: Annotated[bool, Query(description="Whether to send the clips too, in a zip.")] = False,
) -> Response:
    """The adapter's safetensors file, of the current version or of `name@3`.

    With `clips=true` a zip of the file, `clips.json` and the audio in a folder for each label, which `POST /adapt`
    takes as its `archive`.
    """
    ref = context.store.resolve(tenant, name)
    if clips:
        return export_with_clips(context.store, ref)
    etag = f'"{ref.digest}"'
    if if_none_match is not None and _names(if_none_match, etag):
        return Response(status_code=304, headers={"ETag": etag})
    headers = {
        "ETag": etag,
        "Content-Disposition": f'attachment; filename="{ref.name}-{ref.version}.safetensors"',
    }
    return Response(context.store.read(ref), media_type=FILE_MEDIA_TYPE, headers=headers)


@router.post(
    "/adapters/{name}/file",
    status_code=201,
    response_model=AdapterVersion,
    responses=responses(
        "bad_request",
        "body_too_large",
        "too_many_files",
        "adapter_invalid",
        "adapter_model_mismatch",
        "labels_invalid",
        "store_full",
        "quota_exceeded",
        "staging_unavailable",
        *STORE_ERRORS,
    ),
    openapi_extra={"requestBody": {"required": True, "content": IMPORTED}},
)
async def import_adapter(name: str, request: Request, tenant: Tenant, context: ServiceContext) -> JSONResponse:
    """Take an exported file as the adapter's next version, which becomes the current one.

    The file is the body (`curl --data-binary @NAME`), or the one file of a form (`curl -F file=@NAME`).
    """
    check_name(name)
    async with _sent_file(request) as file:
        row = await asyncio.to_thread(lambda: _import(context, tenant, name, file.read()))
    return JSONResponse(row, status_code=201, headers={"Location": f"/adapters/{name}@{row['version']}"})


@asynccontextmanager
async def _sent_file(request: Request) -> AsyncIterator[BinaryIO]:
    """The file that the body is, or that came in a form under whatever name (`curl -F file=@NAME`)."""
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        with Spool(request.scope["earshot.charge"]).part() as part:
            file = UploadFile(part)
            async for data in request.stream():
                await file.write(data)
            await file.seek(0)
            yield part
        return
    form = await read_form(request, files=FILE_FIELDS, max_files=2, max_fields=2)
    try:
        match list(form.values()):
            case [UploadFile() as file]:
                yield file.file
            case _:
                detail = "Send one file and nothing else: -F file=@NAME, or --data-binary @NAME."
                raise ServiceError("invalid_request", detail)
    finally:
        await form.close()


def _names(if_none_match: str, etag: str) -> bool:
    """Whether an `If-None-Match` names the tag (RFC 9110, 13.1.2)."""
    named = {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}
    return not named.isdisjoint({etag, "*"})


def _import(context: ServiceContext, tenant: str, name: str, data: bytes) -> dict[str, Any]:
    adapter = Adapter.from_bytes(data, context.pipeline.clap)
    for label in adapter.labels:
        fold_label(label, max_chars=context.settings.max_label_chars)
    context.jobs.quota.check(context.store, tenant, name, new_bytes=len(data))
    manifest = adapter_manifest(Adapter.read_header(data), description="imported")
    ref = context.store.publish(tenant, name, data, manifest)
    context.jobs.quota.note(tenant, name, new_bytes=len(data))
    return _version(ref, context.store.manifest(ref), ref.version, with_report=True)


def _row(entry: AdapterEntry) -> dict[str, Any]:
    if entry.fault is not None or entry.current is None:  # the others are as good as ever
        return {"name": entry.name, "error": describe(entry.fault)}
    return _summary(entry, entry.current, entry.manifests[entry.current.version])


def _version_row(
    store: AdapterStore, tenant: str, name: str, number: int, current: int | None
) -> dict[str, Any] | None:
    try:
        ref = store.resolve(tenant, f"{name}@{number}")
        return _version(ref, store.manifest(ref), current)
    except AdapterNotFound:
        return None
    except AdapterCorrupt as error:
        return {"name": name, "version": number, "error": describe(error)}


def _current(store: AdapterStore, tenant: str, name: str, numbers: list[int]) -> int | None:
    """The version that the bare name means; None where what says so is damaged, and there are versions all the same."""
    try:
        return store.resolve(tenant, name).version
    except AdapterCorrupt:
        if not numbers:
            raise
        return None


def summary(store: AdapterStore, ref: Ref) -> dict[str, Any]:
    """An adapter as the version `ref` shows it."""
    entry = store.entry(ref.tenant, ref.name)
    if entry.fault is not None:
        raise entry.fault
    return _summary(entry, ref, entry.manifests.get(ref.version) or store.manifest(ref), with_report=True)


def _summary(
    entry: AdapterEntry, ref: Ref, manifest: Mapping[str, Any], *, with_report: bool = False
) -> dict[str, Any]:
    current = entry.current.version
    return {
        "name": ref.name,
        "current": current,
        "versions": list(entry.versions),
        "standing_by": [
            {"version": number, "reason": promoted["reason"]}
            for number in sorted(entry.manifests)
            if number > current and (promoted := entry.manifests[number].get("promoted")) and not promoted["current"]
        ],
        "adapter": _version(ref, manifest, current, with_report=with_report),
    }


def _version(
    ref: Ref, manifest: Mapping[str, Any], current: int | None, *, with_report: bool = False
) -> dict[str, Any]:
    model = {"name": manifest.get("base_model"), "fingerprint": manifest.get("fingerprint")}
    shown = {name: manifest.get(name) for name in SHOWN}
    return {
        "version": ref.version,
        "digest": ref.digest,
        "is_current": ref.version == current,
        **shown,
        "thresholds": _thresholds(manifest),
        "report": shown_report(manifest.get("report")) if with_report else None,
        "evaluation": manifest.get("evaluation") if with_report else None,
        "recalibration": manifest.get("recalibration") if with_report else None,
        "model": model,
    }


def _thresholds(manifest: Mapping[str, Any]) -> dict[str, float] | None:
    known = manifest.get("known")
    return known and dict(zip(manifest["labels"], known["thresholds"], strict=True))
