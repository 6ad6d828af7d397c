"""`GET /healthz`, `/readyz`, `/info` and `/metrics`."""

from contextlib import suppress

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST
from redis.exceptions import RedisError
from starlette.responses import Response

from jobs.errors import RedisUnavailable
from service.http.dependencies import Gate, ServiceContext
from service.http.problems import ServiceError, responses
from service.http.schemas import Health, Info, ModelInfo
from service.version import VERSION

MAX_BATCH_S = 120.0  # no batch takes as long, on any machine that is of use
METRICS = {200: {"content": {"text/plain": {"schema": {"type": "string"}}}}}

router = APIRouter(tags=["health"])


@router.get("/healthz", response_model=Health, responses=responses("not_ready"))
async def healthz(context: ServiceContext) -> dict[str, str]:
    """The process answers, and its model has neither died nor hung: nothing but a restart would mend that."""
    if context.pipeline.engine.is_stuck(MAX_BATCH_S):
        raise ServiceError("not_ready", "The model's thread has died or hangs; restart this process.")
    return {"status": "ok"}


@router.get("/readyz", response_model=Health, responses=responses("not_ready", "redis_unavailable"))
async def readyz(context: ServiceContext) -> dict[str, str]:
    """A real forward pass has run lately, and Redis answers."""
    await context.readiness.check()
    return {"status": "ok"}


@router.get("/info", response_model=Info)
async def info(context: ServiceContext, gate: Gate) -> Info:
    """The model, its licence, and the limits of this service."""
    clap = context.pipeline.clap
    model = ModelInfo(
        name=clap.name,
        fingerprint=clap.fingerprint,
        licence=clap.licence,
        joint_width=clap.joint_width,
        device=str(clap.device),
        dtype=str(clap.dtype).removeprefix("torch."),
        batch_windows=context.pipeline.engine.batch_windows,
    )
    settings = context.settings
    return Info(
        version=version(), needs_key=not gate.is_open(), model=model, limits=settings.limits(), keep=settings.keep
    )


@router.get("/metrics", response_class=Response, responses=METRICS)
async def metrics(context: ServiceContext) -> Response:
    """Prometheus text."""
    context.metrics.queue_windows.set(context.pipeline.engine.queue.num_units())
    # Without Redis the other figures are still wanted, and the last known number of jobs is better than none.
    with suppress(RedisError, RedisUnavailable):
        num_unfinished = await context.readiness.num_unfinished_jobs()
        for state, num_jobs in num_unfinished.items():
            context.metrics.jobs.labels(state).set(num_jobs)
        context.metrics.unfinished_jobs.set(sum(num_unfinished.values()))
    return Response(context.metrics.render(), media_type=CONTENT_TYPE_LATEST)


def version() -> str:
    """The release of earshot."""
    return VERSION
