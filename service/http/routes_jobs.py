"""`GET /jobs`, `GET /jobs/{id}`, `DELETE /jobs/{id}` and the events of a job."""

from collections.abc import AsyncIterable
from contextlib import aclosing
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query
from fastapi.sse import EventSourceResponse, ServerSentEvent
from starlette.responses import JSONResponse

from jobs.record import JobRecord
from service.http.dependencies import RequestCharge, ServiceContext, Tenant
from service.http.problems import responses
from service.http.schemas import Job, JobList
from service.inference.account import Resource

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


async def _stream(charge: RequestCharge) -> None:
    charge.take(Resource.STREAMS)  # until the stream ends


@router.get(
    "/jobs/{job_id}/events",
    response_class=EventSourceResponse,
    responses=NOT_FOUND | responses("invalid_request"),
)
async def follow_job(
    record: Annotated[JobRecord, Depends(_existing)],
    _: Annotated[None, Depends(_stream)],
    context: ServiceContext,
    last_event_id: EventId = None,
) -> AsyncIterable[ServerSentEvent]:
    """The job at each of its changes, as server-sent events, until it ends.

    An end of the service ends the stream too; ask again with the id of the last event.
    """
    async with aclosing(context.job_events.follow(record.id, last_event_id)) as events:
        async for event in events:
            yield ServerSentEvent(id=event.id, event="job", data=record.at(event).summary())
