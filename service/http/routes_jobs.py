"""`GET /jobs`, `GET /jobs/{id}`, `DELETE /jobs/{id}` and the events of a job."""

import asyncio
from collections.abc import AsyncIterable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query
from fastapi.sse import EventSourceResponse, ServerSentEvent
from redis.exceptions import ConnectionError, TimeoutError
from starlette.responses import JSONResponse

from jobs.records import JobEvent, JobRecord
from service.context import Context
from service.http.dependencies import ServiceContext, Tenant
from service.http.problems import responses
from service.http.schemas import Job, JobList

BLOCK_S = 2.0
RETRY_S = 0.5
FROM_THE_FIRST = "0"
NOT_FOUND = responses("job_not_found", "redis_unavailable")

router = APIRouter(tags=["jobs"])
JobId = Annotated[str, "the id that POST /adapt returned"]
EventId = Annotated[
    str | None,
    Header(alias="Last-Event-ID", pattern=r"^[0-9]{1,19}(-[0-9]{1,19})?$", description="Events after this one only."),
]


@router.get("/jobs", response_model=JobList, responses=responses("invalid_request", "redis_unavailable"))
def list_jobs(
    tenant: Tenant,
    context: ServiceContext,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    after: Annotated[str | None, Query(pattern=r"^[0-9]{1,18}$")] = None,
) -> JSONResponse:
    """The tenant's jobs, newest first."""
    records, following = context.jobs.records.list(tenant, limit=limit, after=after)
    return JSONResponse({"jobs": [record.summary() for record in records], "next": following})


@router.get("/jobs/{job_id}", response_model=Job, responses=NOT_FOUND | responses("invalid_request"))
def get_job(job_id: JobId, tenant: Tenant, context: ServiceContext) -> JSONResponse:
    """One job as it stands."""
    return JSONResponse(context.jobs.records.get(tenant, job_id).public())


@router.delete("/jobs/{job_id}", response_model=Job, responses=NOT_FOUND | responses("invalid_request"))
def cancel_job(job_id: JobId, tenant: Tenant, context: ServiceContext) -> JSONResponse:
    """Cancel a job: at once while it waits, within seconds while it runs; one that has ended stays as it is."""
    return JSONResponse(context.jobs.queue.cancel(tenant, job_id).public())


def _existing(job_id: JobId, tenant: Tenant, context: ServiceContext) -> JobRecord:
    return context.jobs.records.get(tenant, job_id)


@router.get(
    "/jobs/{job_id}/events",
    response_class=EventSourceResponse,
    responses=NOT_FOUND | responses("invalid_request"),
)
async def follow_job(
    record: Annotated[JobRecord, Depends(_existing)], context: ServiceContext, last_event_id: EventId = None
) -> AsyncIterable[ServerSentEvent]:
    """The job at each of its changes, as server-sent events, until it ends.

    An end of the service ends the stream too; ask again with the id of the last event.
    """
    after = last_event_id or FROM_THE_FIRST
    while not context.is_draining:
        was_live = await _is_live(context, record.id)
        found = await _read(context, record.id, after, block_s=BLOCK_S if was_live else 0)
        for event in found or ():
            after = event.id
            yield ServerSentEvent(id=event.id, event="job", data=record.at(event).summary())
        # Only a look that began after the job's end is sure to have seen its last event.
        if not was_live and found == []:
            return


async def _is_live(context: Context, job_id: str) -> bool:
    """Whether more can come of the job; yes while Redis cannot be asked."""
    try:
        stored = await context.redis.events.hgetall(context.jobs.records.record_key(job_id))
    except (ConnectionError, TimeoutError):
        return True
    return bool(stored) and JobRecord.from_fields(stored).is_live


async def _read(context: Context, job_id: str, after: str, *, block_s: float) -> list[JobEvent] | None:
    """The job's next events; None while Redis cannot be asked, which the client waits out with its answer open."""
    block_ms = int(block_s * 1e3) or None
    try:
        key: Any = context.jobs.records.events_key(job_id)
        return context.jobs.records.parse_events(
            await context.redis.events.xread({key: after}, count=100, block=block_ms)
        )
    except (ConnectionError, TimeoutError):
        await asyncio.sleep(RETRY_S)
        return None
