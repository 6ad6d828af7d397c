"""`/adapters`: what the store holds of a tenant; list, promote, delete, export, import."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Annotated, Any, BinaryIO

from fastapi import APIRouter, Header, Query, Request
from starlette.datastructures import UploadFile
from starlette.responses import JSONResponse, Response

from adapters_store import AdapterCorrupt, AdapterNotFound, AdapterStore, Ref, check_name, parse_reference
from aspl import Adapter
from jobs.manifest import adapter_manifest
from service.http.dependencies import ServiceContext, Tenant
from service.http.multipart import read_form
from service.http.problems import ServiceError, describe, responses
from service.http.schemas import AdapterList, AdapterSummary, AdapterVersion, CurrentVersion, VersionList
from service.http.spool import Spool

FILE_MEDIA_TYPE = "application/octet-stream"
BINARY = {"type": "string", "format": "binary"}
SHOWN = ("size_bytes", "created_at", "description", "labels", "method", "audio_prompt", "template", "num_parameters")
SHOWN += ("shots", "seed", "preset", "threshold", "temperature", "report", "promoted")
NUM_STANDING_BY = 10
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
    names, following = context.store.names(tenant, limit=limit, after=after and check_name(after))
    rows = [row for name in names if (row := _row(context.store, tenant, name))]
    return JSONResponse({"adapters": rows, "next": following})


@router.get("/adapters/{name}", response_model=AdapterSummary, responses=READ)
def get_adapter(name: str, tenant: Tenant, context: ServiceContext) -> JSONResponse:
    """One adapter; `name@3` shows that version instead of the current one."""
    return JSONResponse(summary(context.store, context.store.resolve(tenant, name)))


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
) -> Response:
    """The adapter's safetensors file, of the current version or of `name@3`."""
    ref = context.store.resolve(tenant, name)
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
    Adapter.from_bytes(data, context.pipeline.clap)
    manifest = adapter_manifest(Adapter.read_header(data), description="imported")
    ref = context.store.publish(tenant, name, data, manifest)
    return _version(context.store, ref, ref.version)


def _row(store: AdapterStore, tenant: str, name: str) -> dict[str, Any] | None:
    try:
        return summary(store, store.resolve(tenant, name))
    except AdapterNotFound:  # deleted since it was listed
        return None
    except AdapterCorrupt as error:  # the others are as good as ever
        return {"name": name, "error": describe(error)}


def _version_row(
    store: AdapterStore, tenant: str, name: str, number: int, current: int | None
) -> dict[str, Any] | None:
    try:
        return _version(store, store.resolve(tenant, f"{name}@{number}"), current)
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
    current = store.resolve(ref.tenant, ref.name).version
    numbers = store.versions(ref.tenant, ref.name)
    return {
        "name": ref.name,
        "current": current,
        "versions": numbers,
        "standing_by": _standing_by(store, ref, [number for number in numbers if number > current]),
        "adapter": _version(store, ref, current),
    }


def _standing_by(store: AdapterStore, ref: Ref, newer: list[int]) -> list[dict[str, Any]]:
    rows = []
    for number in newer[-NUM_STANDING_BY:]:
        try:
            promoted = store.manifest(store.resolve(ref.tenant, f"{ref.name}@{number}")).get("promoted")
        except (AdapterNotFound, AdapterCorrupt):
            continue
        if promoted and not promoted["current"]:
            rows.append({"version": number, "reason": promoted["reason"]})
    return rows


def _version(store: AdapterStore, ref: Ref, current: int | None) -> dict[str, Any]:
    manifest: Mapping[str, Any] = store.manifest(ref)
    model = {"name": manifest.get("base_model"), "fingerprint": manifest.get("fingerprint")}
    shown = {name: manifest.get(name) for name in SHOWN}
    return {
        "version": ref.version,
        "digest": ref.digest,
        "is_current": ref.version == current,
        **shown,
        "thresholds": _thresholds(manifest),
        "model": model,
    }


def _thresholds(manifest: Mapping[str, Any]) -> dict[str, float] | None:
    known = manifest.get("known")
    return known and dict(zip(manifest["labels"], known["thresholds"], strict=True))
