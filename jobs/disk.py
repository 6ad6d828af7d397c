"""What the disk that uploads and results lie on says when it fails, in our words."""

from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from jobs.errors import StagingUnavailable

log = structlog.get_logger()


@contextmanager
def disk_faults() -> Iterator[None]:
    """Turn what the disk raises into StagingUnavailable."""
    try:
        yield
    except OSError as error:
        log.error("the disk of the uploads fails", error=str(error))
        fault = error.strerror or type(error).__name__
        raise StagingUnavailable(
            f"the clips cannot be kept on this service's disk ({fault}); try again later, or with fewer clips"
        ) from error
