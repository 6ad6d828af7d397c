"""What the worker reads from the environment, beside what it shares with the API."""

from typing import Self

from pydantic import Field, model_validator

from jobs.settings import Settings


class WorkerSettings(Settings):
    """Settings of `python -m worker`."""

    max_retries: int = Field(2, ge=0, description="how often a job is taken up again after its worker or runner died")
    heartbeat_s: float = Field(5.0, gt=0, description="time between two heartbeats of a running job, in seconds")
    heartbeat_ttl_s: int = Field(30, gt=1, description="silence after which a worker counts as dead, in seconds")
    maintenance_interval_s: int = Field(
        15, gt=0, description="time between two searches for dead workers' jobs, in seconds"
    )
    cancel_grace_s: float = Field(3.0, gt=0, description="time for a cancelled job to step down before it is killed")
    shutdown_grace_s: float = Field(
        3.0, gt=0, description="time for a job to step down after SIGTERM before it is killed"
    )
    trainer_nice: int = Field(
        0, ge=0, le=19, description="how far the training stands back behind an API on the same cores"
    )
    publish_timeout_s: float = Field(30.0, gt=0, description="how long a store that does not answer is asked again")

    @model_validator(mode="after")
    def _check_heartbeat(self) -> Self:
        if self.heartbeat_s >= self.heartbeat_ttl_s:
            raise ValueError(
                f"EARSHOT_HEARTBEAT_S is {self.heartbeat_s:g} and EARSHOT_HEARTBEAT_TTL_S {self.heartbeat_ttl_s}: "
                "a worker would count as dead between two heartbeats; the second must be longer, best several times"
            )
        return self
