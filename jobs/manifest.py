"""What the store is told of an adapter beside its bytes."""

from collections.abc import Mapping
from typing import Any


def adapter_manifest(header: Mapping[str, Any], *, job_id: str | None = None, description: str = "") -> dict[str, Any]:
    """The manifest of an adapter whose file's header (`Adapter.read_header`) is given.

    Args:
        job_id: the job that trained it, by which a retry knows its own work; None for an imported file.
        description: the tenant's own words.
    """
    return {**header, "job": job_id, "description": description}
