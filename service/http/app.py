"""The application: only wiring. Routes are in `routes_*.py`, what they stand on in `service/context.py`."""

import ipaddress
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from operator import itemgetter

from fastapi import Depends, FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from adapters_store import StoreError
from aspl.errors import AsplError
from jobs.errors import JobsError
from service.context import Context
from service.http import (
    docs,
    methods,
    page,
    problems,
    routes_adapt,
    routes_adapters,
    routes_classify,
    routes_clips,
    routes_evaluate,
    routes_health,
    routes_jobs,
    routes_recalibrate,
    routes_results,
    routes_thresholds,
)
from service.http.access import Access
from service.http.authentication import Authentication
from service.http.body_limits import BodyLimits
from service.http.cors import Cors
from service.http.fields import check_query
from service.http.head import Head
from service.http.hosts import Callers
from service.http.openapi import describe
from service.http.prefix import Prefix
from service.http.rates import TenantRates
from service.inference.errors import InferenceError
from service.settings import ServiceSettings

MAX_JSON_BYTES = 65536  # the bodies without a limit of their own


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
        generate_unique_id_function=lambda route: route.name,
        telemetry={"tracing": False},
    )
    app.state.context = context
    is_open = context.settings.keys == "auto" and is_loopback(context.settings.host)
    app.state.authentication = Authentication(context.keys, is_open=is_open)
    for error in (HTTPException, RequestValidationError, AsplError, StoreError, JobsError, InferenceError):
        app.add_exception_handler(error, problems.handle)
    app.add_exception_handler(405, methods.refuse)
    settings = context.settings
    checked = [Depends(check_query)]
    limits = _form_limits(max_files=settings.max_files, max_labels=settings.max_labels)
    app.include_router(routes_classify.router, form_limits=limits, dependencies=checked)
    limits = _form_limits(max_files=settings.max_clips, max_labels=settings.max_clips)
    for module in (routes_adapt, routes_evaluate):
        app.include_router(module.router, form_limits=limits, dependencies=checked)
    for module in (
        routes_jobs,
        routes_results,
        routes_adapters,
        routes_clips,
        routes_recalibrate,
        routes_thresholds,
    ):
        app.include_router(module.router, dependencies=checked)
    for module in (routes_health, docs, page):
        app.include_router(module.router)
    # The last is the outermost: preflights and the prefix come before the gate.
    app.add_middleware(Head)
    app.add_middleware(
        Access,
        callers=Callers(hosts=settings.allowed_hosts, origins=settings.cors_origins, own_host=settings.host),
        authentication=app.state.authentication,
        rates=TenantRates(context.redis.rates, requests_per_s=settings.requests_per_s, burst=settings.request_burst),
        accounts=context.accounts,
        body_limits=_body_limits(app, settings),
        metrics=context.metrics,
    )
    app.add_middleware(Prefix, root_path=settings.root_path, trusts_proxy=settings.trust_proxy)
    if settings.cors_origins:
        app.add_middleware(Cors, origins=settings.cors_origins)
    app.openapi = lambda: app.openapi_schema or describe(app)
    return app


def _body_limits(app: FastAPI, settings: ServiceSettings) -> BodyLimits:
    return BodyLimits(
        max_bytes_by_path={
            "/classify": max(  # an archive there is an upload; routes_classify counts the audio of others
                ("max_request_bytes", settings.max_request_bytes),
                ("max_upload_bytes", settings.max_upload_bytes),
                key=itemgetter(1),
            ),
            "/adapt": ("max_upload_bytes", settings.max_upload_bytes),
            "/adapters/*/evaluate": ("max_upload_bytes", settings.max_upload_bytes),
            "/adapters/*/recalibrate": ("max_upload_bytes", settings.max_upload_bytes),
            "/adapters/*/file": ("max_adapter_bytes", settings.max_adapter_bytes),
            "*": ("max_json_bytes", MAX_JSON_BYTES),
        },
        idle_s=settings.body_idle_s,
        is_known=lambda scope: methods.is_known(app, scope),
    )


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
