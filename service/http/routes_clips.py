"""`/adapters/{name}/clips`: what a version was taught with; list it, fetch a clip, erase one or all of them."""

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from starlette.responses import JSONResponse, Response

from adapters_store import ClipList, ClipNotFound, Ref, parse_reference
from adapters_store.names import DIGEST
from service.context import Context
from service.http.clip_schemas import ClipPage
from service.http.dependencies import ServiceContext, Tenant
from service.http.problems import responses
from service.http.routes_adapters import FILE_MEDIA_TYPE, STORE_ERRORS

BINARY = {200: {"content": {FILE_MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}}}}
LIST = responses("adapter_not_found", "clip_not_found", *STORE_ERRORS)
ERASE = responses("adapter_not_found", "clip_not_found", "store_full", *STORE_ERRORS)

router = APIRouter(tags=["clips"])
ClipId = Annotated[str, Path(pattern=f"^{DIGEST.pattern}$", description="SHA-256 of the clip's bytes.")]


@router.get("/adapters/{name}/clips", response_model=ClipPage, responses=LIST)
def list_clips(
    name: str,
    tenant: Tenant,
    context: ServiceContext,
    limit: Annotated[int, Query(ge=1, le=2000)] = 200,
    after: Annotated[int, Query(ge=0, le=999_999_999)] = 0,
) -> JSONResponse:
    """What an adapter, or with `name@3` that version, was taught with."""
    ref, listed = _listed(context, tenant, name)
    kept = context.store.kept(ref)
    audio, heard = kept.presence().audio, kept.features(listed, context.pipeline.clap.fingerprint)
    rows = [
        {**asdict(clip), "has_audio": clip.id in audio, "has_features": clip.id in heard}
        for clip in listed.clips[after : after + limit]
    ]
    following = after + limit if after + limit < len(listed.clips) else None
    shown = {
        "adapter": _shown(ref),
        "keep": listed.keep,
        "clips": rows,
        "channels": dict(listed.channels),
        "next": following,
    }
    return JSONResponse(shown)


@router.get("/adapters/{name}/clips/{clip}", response_class=Response, responses=BINARY | LIST)
def get_clip(name: str, clip: ClipId, tenant: Tenant, context: ServiceContext) -> Response:
    """The audio of a clip, byte by byte as it was sent."""
    ref, listed = _listed(context, tenant, name)
    if clip not in listed.ids:
        raise _not_taught(ref)
    headers = {
        "Content-Disposition": f'attachment; filename="{clip}"',
        "X-Content-Type-Options": "nosniff",
        "ETag": f'"{clip}"',
    }
    return Response(context.store.kept(ref).audio(clip), media_type=FILE_MEDIA_TYPE, headers=headers)


@router.delete("/adapters/{name}/clips/{clip}", status_code=204, responses=ERASE)
def erase_clip(name: str, clip: ClipId, tenant: Tenant, context: ServiceContext) -> Response:
    """Erase a clip and what was heard of it; versions that were taught with it go on serving."""
    ref, listed = _listed(context, tenant, name)
    if clip not in listed.ids:
        raise _not_taught(ref)
    context.store.erase_clips(tenant, ref.name, [clip])
    return Response(status_code=204)


@router.delete("/adapters/{name}/clips", status_code=204, responses=ERASE)
def erase_clips(name: str, tenant: Tenant, context: ServiceContext) -> Response:
    """Erase all clips of an adapter, or with `name@3` those of that version, from other versions too."""
    bare_name, version = parse_reference(name)
    ref = context.store.resolve(tenant, name)
    versions = [ref.version] if version else context.store.versions(tenant, bare_name)
    lists = context.store.kept(ref).lists(versions)
    ids = frozenset().union(*(listed.ids for listed in lists.values()))
    if ids:
        context.store.erase_clips(tenant, bare_name, ids)
    return Response(status_code=204)


def _listed(context: Context, tenant: str, name: str) -> tuple[Ref, ClipList]:
    ref = context.store.resolve(tenant, name)
    listed = context.store.clips(ref)
    if listed is None:
        raise ClipNotFound(f"Nothing was kept of what {ref} was taught with.")
    return ref, listed


def _shown(ref: Ref) -> dict[str, Any]:
    return {"name": ref.name, "version": ref.version, "digest": ref.digest}


def _not_taught(ref: Ref) -> ClipNotFound:
    return ClipNotFound(f"{ref} was not taught with that clip.")
