"""`GET /jobs/{id}/results`: what a job found, file by file."""

from collections.abc import Iterator
from tempfile import TemporaryFile
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from service.http.dependencies import ServiceContext, Tenant
from service.http.problems import ServiceError, responses
from service.http.result_formats import Row, audacity_labels, audacity_zip, csv_lines, json_lines
from service.http.routes_jobs import JobId

CHUNK_BYTES = 64 * 1024
TYPES = {"jsonl": "application/jsonl", "csv": "text/csv; charset=utf-8", "audacity": "application/zip"}
TEXT = {"schema": {"type": "string"}}
FETCHED = {
    200: {
        "description": "As an attachment.",
        "content": {
            "application/jsonl": TEXT,
            "text/csv": TEXT,
            "text/plain": TEXT,
            "application/zip": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}
ERRORS = responses(
    "job_not_found", "results_not_found", "results_not_ready", "invalid_request", "redis_unavailable"
)  # fmt: skip

router = APIRouter(tags=["jobs"])


@router.get("/jobs/{job_id}/results", response_class=Response, responses=FETCHED | ERRORS)
def get_results(
    job_id: JobId,
    tenant: Tenant,
    context: ServiceContext,
    format: Annotated[
        Literal["jsonl", "csv", "audacity"],
        Query(description="JSON lines, one a file; CSV; or label tracks for Audacity, a zip of a text for each file."),
    ] = "jsonl",
    file: Annotated[str | None, Query(description="Of this file alone; its label track is plain text.")] = None,
) -> Response:
    """The answer for each file of an archive that was classified, in the archive's order, once the job has succeeded.

    They are kept as long as the job's record.
    """
    record = context.jobs.records.get(tenant, job_id)
    if record.is_live:
        raise ServiceError("results_not_ready", f"The job is {record.state}; its results are there when it succeeds.")
    rows = context.jobs.results.rows(record.id)
    if file is not None:
        rows = iter([row for row in rows if row["file"] == file])
        if format == "audacity":
            return PlainTextResponse("".join(map(audacity_labels, rows)), headers=_headers(f"{job_id}.txt"))
    if format == "audacity":
        return StreamingResponse(_zipped(rows), media_type=TYPES[format], headers=_headers(f"{job_id}.zip"))
    lines = csv_lines(rows) if format == "csv" else json_lines(rows)
    return StreamingResponse(lines, media_type=TYPES[format], headers=_headers(f"{job_id}.{format}"))


def _headers(name: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="{name}"', "X-Content-Type-Options": "nosniff"}


def _zipped(rows: Iterator[Row]) -> Iterator[bytes]:
    with TemporaryFile() as file:
        audacity_zip(rows, file)
        file.seek(0)
        while piece := file.read(CHUNK_BYTES):
            yield piece
