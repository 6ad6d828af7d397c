"""`GET /healthz`, `/readyz`, `/info` and `/metrics`."""

import asyncio
import time
from contextlib import suppress

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST
from redis.exceptions import RedisError
from starlette.responses import Response

from aspl import Adapter
from jobs.errors import RedisUnavailable
from service.context import Context
from service.http.authentication import Authentication
from service.http.dependencies import Gate, ServiceContext
from service.http.problems import ServiceError, responses
from service.http.schemas import Health, Info, ModelInfo
from service.inference.engine import noise_windows
from service.inference.errors import InferenceError
from service.inference.queued_clip import QueuedClip
from service.keys import KeysUnreadable
from service.version import VERSION

PROBE_TENANT = "~readiness"  # no tenant can be called so
PROBE_TIMEOUT_S = 5.0
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
    if not context.pipeline.engine.is_fresh(context.settings.ready_age_s):
        await _probe(context)
    try:
        await context.redis.health.ping()
    except RedisError as error:
        raise RedisUnavailable("the job queue does not answer; try again in a few seconds") from error
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
        version=version(), needs_key=_needs_key(gate), model=model, limits=settings.limits(), keep=settings.keep
    )


@router.get("/metrics", response_class=Response, responses=METRICS)
async def metrics(context: ServiceContext) -> Response:
    """Prometheus text."""
    context.metrics.queue_windows.set(context.pipeline.engine.queue.num_windows())
    # Without Redis the other figures are still wanted, and the last known number of jobs is better than none.
    with suppress(RedisError, RedisUnavailable):
        await context.redis.health.ping()  # counting holds a thread, and while Redis hangs every scrape would hold one
        num_unfinished = await asyncio.to_thread(context.jobs.records.num_unfinished)
        for state, num_jobs in num_unfinished.items():
            context.metrics.jobs.labels(state).set(num_jobs)
        context.metrics.unfinished_jobs.set(sum(num_unfinished.values()))
    return Response(context.metrics.render(), media_type=CONTENT_TYPE_LATEST)


def version() -> str:
    """The release of earshot."""
    return VERSION


def _needs_key(gate: Authentication) -> bool:
    with suppress(KeysUnreadable):
        return gate.needs_key
    return True


async def _probe(context: Context) -> None:
    """Send noise through the engine, as any clip; raises "not_ready" when no answer comes."""
    adapter = await asyncio.to_thread(Adapter.zero_shot, context.pipeline.clap, ["noise", "speech"])
    deadline = time.monotonic() + PROBE_TIMEOUT_S
    clip = QueuedClip(PROBE_TENANT, noise_windows(1), adapter, deadline)
    try:
        await asyncio.wait_for(asyncio.wrap_future(context.pipeline.engine.submit(clip)), PROBE_TIMEOUT_S)
    except (TimeoutError, InferenceError) as error:
        reason = str(error).rstrip(".") or "no forward pass in time"
        raise ServiceError("not_ready", f"The model does not answer: {reason}.") from error
