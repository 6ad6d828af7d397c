"""What can go wrong between an upload and its job, each with a stable code and a sentence for the tenant."""


class WorkerError(Exception):
    """Base of every error that `worker` raises on purpose; `code` is stable across releases."""

    code = "worker_error"


class RedisUnavailable(WorkerError):
    """Redis does not answer, so jobs can be neither queued nor read."""

    code = "redis_unavailable"


class JobUnconfirmed(RedisUnavailable):
    """Redis went away while a job was made: it may be there or not."""


class JobNotFound(WorkerError):
    """The tenant has no job of that id, or its record has expired."""

    code = "job_not_found"


class TenantQueueFull(WorkerError):
    """The tenant has as many unfinished jobs as it may have."""

    code = "tenant_queue_full"


class QueueFull(WorkerError):
    """All tenants together have as many unfinished jobs as the machine takes."""

    code = "queue_full"


class IdempotencyInFlight(WorkerError):
    """The first request with this Idempotency-Key has not been answered yet."""

    code = "idempotency_in_flight"


class IdempotencyMismatch(WorkerError):
    """This Idempotency-Key came before with another body."""

    code = "idempotency_mismatch"


class StagingUnavailable(WorkerError):
    """The disk that uploads wait on cannot be written or read, most often because it is full."""

    code = "staging_unavailable"


class UploadNotFound(WorkerError):
    """No upload of that id is staged (any more)."""

    code = "upload_not_found"


class UploadInvalid(WorkerError):
    """The upload cannot be trained on: labels or clips are missing, empty or unusable."""

    code = "upload_invalid"


class ArchiveInvalid(UploadInvalid):
    """The archive is not a zip or tar, is damaged, has a link or an unsafe path inside, or does not show its labels."""

    code = "archive_invalid"


class UploadTooLarge(WorkerError):
    """The upload is over a limit, which the message names."""

    code = "upload_too_large"


class TrainingStopped(WorkerError):
    """The training stepped down because it was told to."""

    code = "stopped"


class TrainingFailed(WorkerError):
    """The training cannot succeed, however often it is tried; `code` is that of the fault."""

    def __init__(self, code: str, detail: str):
        super().__init__(detail)
        self.code = code
