"""The application: only wiring. Routes are in `routes_*.py`, what they stand on in `context.py`."""

import ipaddress
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from starlette.exceptions import HTTPException

from adapters_store import StoreError
from aspl.errors import AsplError
from service import docs, page, problems, routes_adapt, routes_adapters, routes_classify, routes_health, routes_jobs
from service.access import PUBLIC_PATHS, Access
from service.context import Context
from service.rates import TenantRates
from service.schemas import Problem
from worker.errors import WorkerError

# Before any route: what the gate in service/access.py and Starlette itself may answer.
PUBLIC_ERRORS = ("body_too_large", "internal_error")
GATE_ERRORS = (*PUBLIC_ERRORS, "body_timeout", "unauthenticated", "keys_unreadable", "rate_limited")
# What the gate looks for; FastAPI's own classes for it would look again, at every request.
SECURITY_SCHEMES = {
    "HTTPBearer": {"type": "http", "scheme": "bearer", "description": "An API key."},
    "APIKeyHeader": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "An API key."},
}


def create_app(context: Context) -> FastAPI:
    """The ASGI application around an opened context; its lifespan starts and stops the context."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        context.start()
        yield
        await context.stop()

    app = FastAPI(
        title="earshot",
        version=routes_health.version(),
        summary="Audio classification that its tenants teach with a handful of clips.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry={"tracing": False},
    )
    app.state.context = context
    for error in (HTTPException, RequestValidationError, AsplError, StoreError, WorkerError):
        app.add_exception_handler(error, problems.handle)
    settings = context.settings
    app.include_router(
        routes_classify.router, form_limits=_form_limits(max_files=settings.max_files, max_labels=settings.max_labels)
    )
    app.include_router(
        routes_adapt.router, form_limits=_form_limits(max_files=settings.max_clips, max_labels=settings.max_clips)
    )
    for module in (routes_jobs, routes_adapters, routes_health, docs, page):
        app.include_router(module.router)
    app.add_middleware(
        Access,
        keys=context.keys,
        is_loopback=is_loopback(settings.host),
        rates=TenantRates(context.rate_redis, requests_per_s=settings.requests_per_s, burst=settings.request_burst),
        max_bytes_by_path={
            "/classify": ("max_request_bytes", settings.max_request_bytes),
            "/adapt": ("max_upload_bytes", settings.max_upload_bytes),
            "/adapters/*/file": ("max_adapter_bytes", settings.max_adapter_bytes),
            "*": ("max_json_bytes", 65536),
        },
        body_idle_s=settings.body_idle_s,
        metrics=context.metrics,
    )
    app.openapi = lambda: app.openapi_schema or _describe(app)
    return app


def _form_limits(*, max_files: int, max_labels: int) -> dict[str, int]:
    """What the form's parser stops by itself, far beyond the limits that the routes name.

    It keeps text in memory: a field holds a JSON array of labels of 64 bytes each, or one label of a thousand.
    """
    return {
        "max_files": 2 * max_files,
        "max_fields": 2 * max_labels + 100,
        "max_part_size": max(64 * max_labels, 65536),
    }


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _describe(app: FastAPI) -> dict[str, Any]:
    """FastAPI's document, with the schema of problems, and what the gate asks for and answers."""
    document = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(problem.pop("$defs", {}))
    schemas["Problem"] = problem
    document["components"]["securitySchemes"] = SECURITY_SCHEMES
    for path, operations in document["paths"].items():
        is_public = path in PUBLIC_PATHS
        for operation in operations.values():
            _add_responses(operation["responses"], problems.responses(*(PUBLIC_ERRORS if is_public else GATE_ERRORS)))
            if not is_public:
                operation["security"] = [{name: []} for name in SECURITY_SCHEMES]
    app.openapi_schema = document
    return document


def _add_responses(documented: dict[str, Any], further: dict[int | str, dict[str, Any]]) -> None:
    for status, response in further.items():
        present = documented.setdefault(str(status), response)
        examples = present["content"][problems.PROBLEM_MEDIA_TYPE]["examples"]
        examples.update(response["content"][problems.PROBLEM_MEDIA_TYPE]["examples"])
