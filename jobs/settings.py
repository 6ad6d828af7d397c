"""What both processes read from the environment, once, into one object."""

import sys
from pathlib import Path
from typing import Literal, Self

from pydantic import AliasChoices, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from jobs.connection import private_url

MIB = 1024 * 1024
DAY_S = 24 * 3600


class Settings(BaseSettings):
    """Settings shared by the API and the worker; every one is `EARSHOT_` and its name in capitals."""

    model_config = SettingsConfigDict(env_prefix="EARSHOT_", populate_by_name=True, extra="ignore", frozen=True)

    @classmethod
    def read(cls) -> Self:
        """The settings of this process; one that cannot be used is named and ends it with status 2."""
        try:
            return cls()
        except ValidationError as error:
            print(f"a setting cannot be used:\n{error}", file=sys.stderr)
            raise SystemExit(2) from error

    data_dir: Path = Field(
        Path("data"), description="directory of uploads, of the local store and of the private Redis"
    )
    redis_url: str | None = Field(
        None,
        validation_alias=AliasChoices("EARSHOT_REDIS_URL", "REDIS_URL"),
        description="redis://, rediss:// or unix:// URL; without one, the private Redis in the data directory",
    )
    store_url: str | None = Field(
        None, description="directory or fsspec URL of the adapter store; without one, `adapters` in the data directory"
    )

    model: str = Field("models/tiny-clap", description="CLAP: a directory, a hub name or a LAION .pt file")
    model_revision: str | None = Field(None, description="revision of a hub name")
    tokenizer: str | None = Field(None, description="directory or hub name of the tokenizer, beside a LAION .pt file")
    device: str = Field("auto", description="auto, cpu, cuda or cuda:N")
    dtype: str = Field("auto", description="auto, float32 or bfloat16, of the inference; training is in float32")

    max_clip_s: float = Field(600.0, gt=0, description="longest clip, in seconds")
    max_clip_bytes: int = Field(64 * MIB, gt=0, description="largest clip file, in bytes")
    max_upload_bytes: int = Field(512 * MIB, gt=0, description="largest upload for one adaptation, in bytes")
    max_upload_s: float = Field(3600.0, gt=0, description="longest upload for one adaptation, in seconds of audio")
    max_clips: int = Field(2000, gt=0, description="most clips in one adaptation")
    max_labels: int = Field(1000, gt=1, description="most labels in one adaptation")
    max_label_chars: int = Field(200, gt=0, description="longest label, in characters")
    max_archive_members: int = Field(10_000, gt=0, description="most entries in an archive, folders included")
    max_archive_ratio: float = Field(
        100.0, gt=1, description="most bytes that an archive may unfold to, per byte of its own"
    )

    tenant_concurrency: int = Field(1, gt=0, description="most jobs of one tenant that may be next in line or running")
    tenant_queue_limit: int = Field(100, gt=0, description="most unfinished jobs of one tenant")
    queue_limit: int = Field(1000, gt=0, description="most unfinished jobs of all tenants")
    job_timeout_s: int = Field(3600, gt=0, description="longest run of a job, in seconds")
    job_ttl_s: int = Field(7 * DAY_S, gt=0, description="how long the record of an ended job is kept, in seconds")
    idempotency_ttl_s: int = Field(DAY_S, gt=0, description="how long an Idempotency-Key is remembered, in seconds")
    upload_ttl_s: int = Field(DAY_S, gt=0, description="age in seconds at which an upload that no job uses is removed")

    log_level: str = Field("info", description="debug, info, warning or error")
    log_format: Literal["auto", "json", "console"] = Field(
        "auto", description="json, console, or auto: console on a terminal, json elsewhere"
    )

    @property
    def redis_url_or_private(self) -> str:
        """The URL to connect to: the one given, else the private Redis of the data directory."""
        return self.redis_url or private_url(self.data_dir)

    @property
    def store_url_or_local(self) -> str:
        """The URL of the adapter store: the one given, else a directory in the data directory."""
        return self.store_url or str(self.data_dir / "adapters")


class WorkerSettings(Settings):
    """Settings of `python -m worker` alone."""

    max_retries: int = Field(2, ge=0, description="how often a job is taken up again after its worker or trainer died")
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


def describe(settings_type: type[Settings]) -> str:
    """One line for each setting: its environment variable, what it means and its default."""
    lines = []
    for name, field in settings_type.model_fields.items():
        variable = f"EARSHOT_{name.upper()}" + (" or REDIS_URL" if name == "redis_url" else "")
        default = "" if field.default in (None, "", ()) else f" [{field.default}]"
        lines.append(f"  {variable:<36} {field.description}{default}")
    return "\n".join(lines)
