"""Every error that leaves the service: an RFC 9457 problem with a stable `code`, mapped to HTTP in this one place."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import structlog
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

PROBLEM_MEDIA_TYPE = "application/problem+json"
PROBLEM_SCHEMA = {"$ref": "#/components/schemas/Problem"}

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Kind:
    """What a code means: its HTTP status and an example of the sentence that comes with it."""

    status: int
    example: str


KINDS: Mapping[str, Kind] = {
    "bad_request": Kind(400, "The body is not valid multipart/form-data."),
    "unauthenticated": Kind(401, "This call needs an API key: Authorization: Bearer KEY, or X-API-Key: KEY."),
    "origin_not_allowed": Kind(403, "Pages of 'https://example.org' may not call a service without API keys."),
    "not_found": Kind(404, "There is nothing at this address; see /docs."),
    "adapter_not_found": Kind(404, "There is no adapter 'doors'."),
    "clip_not_found": Kind(404, "Version 3 of 'doors' was not taught with that clip."),
    "job_not_found": Kind(404, "There is no job 'j1'."),
    "results_not_found": Kind(404, "This job has no results."),
    "results_not_ready": Kind(409, "The job is still running; its results can be fetched when it has succeeded."),
    "method_not_allowed": Kind(405, "This address does not answer to this method; see /docs."),
    "body_timeout": Kind(408, "Nothing of the body came for body_idle_s = 30 s."),
    "adapter_model_mismatch": Kind(409, "The adapter was trained on another base model."),
    "idempotency_in_flight": Kind(409, "The first request with this Idempotency-Key is still being handled."),
    "body_too_large": Kind(413, "The body is larger than max_request_bytes = 134217728 bytes."),
    "upload_too_large": Kind(413, "The upload is larger than max_upload_bytes = 536870912 bytes."),
    "quota_exceeded": Kind(413, "1000 adapters are stored, and max_adapters is 1000; delete adapters first."),
    "too_many_files": Kind(413, "More files than max_files = 64."),
    "body_unsupported": Kind(415, "Send the body as multipart/form-data; it came as application/json."),
    "audio_unsupported": Kind(415, "The file holds no audio: it begins like a PNG image."),
    "invalid_request": Kind(422, "top_k: must be at least 1."),
    "audio_undecodable": Kind(422, "Less than 10 ms of the file can be decoded."),
    "audio_invalid": Kind(422, "The audio is 3 ms long; at least 10 ms are needed."),
    "audio_too_long": Kind(422, "The audio is longer than max_clip_s = 600."),
    "too_many_windows": Kind(
        422, "The clips make more than 128 windows of 10 s, of which max_request_windows = 128 is the limit."
    ),
    "labels_invalid": Kind(422, "The label 'dog' is given twice."),
    "thresholds_unsupported": Kind(
        409, "The adapter knows no background, so has no sensitivities: teach it again with the same clips."
    ),
    "recalibration_invalid": Kind(
        409, "The adapter's file does not say what its clips sounded like: teach it again, and then recalibrate."
    ),
    "thresholds_invalid": Kind(422, "thresholds: the adapter knows no label 'snow'; it knows 'dog', 'rain'."),
    "adapter_name_invalid": Kind(422, "An adapter's name is [a-z0-9][a-z0-9_-]{0,63}."),
    "adapter_invalid": Kind(422, "The bytes are not an adapter file of format 1."),
    "audio_prompt_invalid": Kind(422, "There is no audio prompt 'loud'."),
    "training_config_invalid": Kind(422, "learning_rate must be above 0."),
    "upload_invalid": Kind(422, "3 clips came with 2 labels; each clip needs one."),
    "archive_invalid": Kind(422, "The archive is neither a zip nor a tar."),
    "idempotency_mismatch": Kind(422, "This Idempotency-Key was used with another body."),
    "host_not_allowed": Kind(421, "This service does not answer under the name 'example.org'."),
    "rate_limited": Kind(429, "More than 100 requests a second."),
    "tenant_overloaded": Kind(429, "This tenant has too many windows of 10 s under way."),
    "tenant_queue_full": Kind(429, "This tenant has 100 unfinished jobs, as many as it may have."),
    "internal_error": Kind(500, "Something failed on our side; the log has it under this request's id."),
    "engine_fault": Kind(500, "The model failed on this clip."),
    "keys_unreadable": Kind(500, "The service cannot read its file of API keys; its log says why."),
    "adapter_corrupt": Kind(500, "The stored file of the adapter does not match its digest."),
    "overloaded": Kind(503, "Too many windows of 10 s are under way; try again shortly."),
    "queue_timeout": Kind(503, "The clip waited for the model for more than 30 s."),
    "not_ready": Kind(503, "The model has not finished a forward pass yet."),
    "staging_unavailable": Kind(503, "The service cannot keep the upload: its disk is full or cannot be written."),
    "store_unavailable": Kind(503, "The adapter store does not answer or cannot be written."),
    "queue_full": Kind(503, "There are 1000 unfinished jobs, as many as this service takes."),
    "redis_unavailable": Kind(503, "The job queue does not answer; try again in a few seconds."),
    "store_full": Kind(507, "The adapter store has no space left."),
}

GENERIC = ("internal_error", "keys_unreadable", "not_found", "method_not_allowed")
UPLOAD_NOT_KEPT = "staging_unavailable"
# No client is left to read it; the number is nginx's, for the log and the metrics.
CLIENT_LEFT_STATUS = 499
LASTING = (
    "adapter_model_mismatch",
    "thresholds_unsupported",
    "recalibration_invalid",
)  # to try again would change nothing
RETRY_AFTER_S = {409: 1, 429: 1, 503: 1}
# What Starlette raises by itself: by status, and in its form parser by the start of the sentence.
_BY_STATUS = {404: "not_found", 405: "method_not_allowed", 413: "body_too_large"}
_FORM_REFUSALS = {
    "Too many files": "too_many_files",
    "Too many fields": "too_many_files",
    "Part exceeded": "body_too_large",
}


class ServiceError(HTTPException):
    """A refusal by the service itself; `code` is one of `KINDS`, `limit` names the setting that was exceeded."""

    def __init__(self, code: str, detail: str, *, limit: tuple[str, float] | None = None, retry_after_s: float = 0):
        super().__init__(KINDS[code].status, detail)
        self.code = code
        self.limit = limit
        self.retry_after_s = retry_after_s


def code_of(error: Exception) -> str:
    """The stable code of any error; `internal_error` for one that nobody meant."""
    if isinstance(error, RequestValidationError):
        return "invalid_request"
    code = getattr(error, "code", None)
    if isinstance(code, str) and code in KINDS:
        return code
    if isinstance(error, HTTPException):
        if isinstance(error.__cause__, OSError):  # the form's parser puts large files on the disk
            return UPLOAD_NOT_KEPT
        refusals = (code for start, code in _FORM_REFUSALS.items() if str(error.detail).startswith(start))
        return next(refusals, _BY_STATUS.get(error.status_code, "bad_request"))
    return "internal_error"


def describe(error: Exception) -> dict[str, Any]:
    """`{"code", "detail"}` of an error: the row of a file that failed among others, and the heart of a problem."""
    code = code_of(error)
    if code in GENERIC or (code == UPLOAD_NOT_KEPT and isinstance(error, HTTPException)):
        return {"code": code, "detail": KINDS[code].example}
    if isinstance(error, RequestValidationError):
        if isinstance(error.body, bytes) and error.body:  # which was not read as JSON, for it was not said to be that
            return {"code": code, "detail": "body: send it as JSON, with Content-Type: application/json"}
        return {"code": code, "detail": "; ".join(_sentence(fault) for fault in error.errors()[:10])}
    return {"code": code, "detail": str(error.detail if isinstance(error, HTTPException) else error)}


def problem(error: Exception, *, request_id: str | None = None) -> JSONResponse:
    """The answer for an error, as `application/problem+json`."""
    description = describe(error)
    code = description["code"]
    status = KINDS[code].status
    body = {"type": f"urn:earshot:problem:{code}", "title": HTTPStatus(status).phrase, "status": status, **description}
    if limit := getattr(error, "limit", None):
        body["limit"] = {"name": limit[0], "value": limit[1]}
    if request_id:
        body["request_id"] = request_id
    headers = dict(getattr(error, "headers", None) or {})
    if status in RETRY_AFTER_S and code not in LASTING:
        headers["Retry-After"] = str(max(RETRY_AFTER_S[status], math.ceil(getattr(error, "retry_after_s", 0))))
    if status == HTTPStatus.REQUEST_TIMEOUT:
        headers["Connection"] = "close"  # what is left of the body may still come, and is no request
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse(body, status_code=status, headers=headers, media_type=PROBLEM_MEDIA_TYPE)


async def handle(request: Request, error: Exception) -> JSONResponse:
    """Starlette's exception handler for the errors that are raised on purpose; notes the code for the metrics."""
    code = request.scope["earshot.code"] = code_of(error)
    if code == UPLOAD_NOT_KEPT:
        log.error("upload_not_kept", error=repr(error.__cause__ or error))
    return problem(error, request_id=request.scope.get("earshot.request_id"))


def responses(*codes: str) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route: every code it may answer with, by status, each with an example."""
    by_status: dict[int | str, dict[str, Any]] = {}
    for code in codes:
        kind = KINDS[code]
        phrase = HTTPStatus(kind.status).phrase
        content = {PROBLEM_MEDIA_TYPE: {"schema": PROBLEM_SCHEMA, "examples": {}}}
        entry = by_status.setdefault(kind.status, {"description": phrase, "content": content})
        entry["content"][PROBLEM_MEDIA_TYPE]["examples"][code] = {"value": _example(code, kind)}
    return by_status


def _example(code: str, kind: Kind) -> dict[str, Any]:
    title = HTTPStatus(kind.status).phrase
    type_ = f"urn:earshot:problem:{code}"
    return {"type": type_, "title": title, "status": kind.status, "code": code, "detail": kind.example}


def _sentence(fault: Mapping[str, Any]) -> str:
    where = ".".join(str(part) for part in fault["loc"] if part not in ("body", "query", "path", "header"))
    return f"{where or 'body'}: {fault['msg']}"
