"""What can go wrong between an upload and its job, each with a stable code and a sentence for the tenant."""


class JobsError(Exception):
    """Base of every error that `jobs` and `worker` raise on purpose; `code` is stable across releases."""

    code = "worker_error"


class RedisUnavailable(JobsError):
    """Redis does not answer, so jobs can be neither queued nor read."""

    code = "redis_unavailable"


class JobUnconfirmed(RedisUnavailable):
    """Redis went away while a job was made: it may be there or not."""


class JobNotFound(JobsError):
    """The tenant has no job of that id, or its record has expired."""

    code = "job_not_found"


class TenantQueueFull(JobsError):
    """The tenant has as many unfinished jobs as it may have."""

    code = "tenant_queue_full"


class QueueFull(JobsError):
    """All tenants together have as many unfinished jobs as the machine takes."""

    code = "queue_full"


class IdempotencyInFlight(JobsError):
    """The first request with this Idempotency-Key has not been answered yet."""

    code = "idempotency_in_flight"


class IdempotencyMismatch(JobsError):
    """This Idempotency-Key came before with another body."""

    code = "idempotency_mismatch"


class StagingUnavailable(JobsError):
    """The disk that uploads wait on cannot be written or read, most often because it is full."""

    code = "staging_unavailable"


class UploadNotFound(JobsError):
    """No upload of that id is staged (any more)."""

    code = "upload_not_found"


class UploadInvalid(JobsError):
    """The upload cannot be trained on: labels or clips are missing, empty or unusable."""

    code = "upload_invalid"


class ArchiveInvalid(UploadInvalid):
    """The archive is not a zip or tar, is damaged, has a link or an unsafe path inside, or does not show its labels."""

    code = "archive_invalid"


class MemberDamaged(ArchiveInvalid):
    """One file in a zip is damaged; the others can still be read."""


class UploadTooLarge(JobsError):
    """The upload is over a limit, which the message names."""

    code = "upload_too_large"


class QuotaExceeded(JobsError):
    """The tenant has stored as much as it may; `limit` is the name of the limit and its value."""

    code = "quota_exceeded"

    def __init__(self, detail: str, limit: tuple[str, float]):
        super().__init__(detail)
        self.limit = limit


class TrainingStopped(JobsError):
    """The training stepped down because it was told to."""

    code = "stopped"


class TrainingFailed(JobsError):
    """The training cannot succeed, however often it is tried; `code` is that of the fault."""

    def __init__(self, code: str, detail: str):
        super().__init__(detail)
        self.code = code


class ResultsNotFound(JobsError):
    """The job has no results to be fetched: it is of another kind, has not succeeded, or they have expired."""

    code = "results_not_found"
