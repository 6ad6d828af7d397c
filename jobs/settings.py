"""What both processes read from the environment, once, into one object."""

import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AliasChoices, BeforeValidator, Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from jobs.connection import private_url
from jobs.limits import StorageLimits, UploadLimits
from jobs.variables import PREFIX, fault_sentences, unknown_sentences, variable

DAY_S = 24 * 3600
STATUS_UNUSABLE = 2
DEVICE = re.compile(r"auto|cpu|cuda(:[0-9]+)?")


def _level_name(value: object) -> object:
    """The name of a log level as it is listed; Python knows two of them under a second name."""
    if not isinstance(value, str):
        return value
    return {"warn": "warning", "fatal": "critical"}.get(value.lower(), value.lower())


class Settings(BaseSettings, UploadLimits, StorageLimits):
    """Settings shared by the API and the worker; every one is `EARSHOT_` and its name in capitals."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, populate_by_name=True, extra="ignore", frozen=True)

    WITHIN: ClassVar[tuple[tuple[str, str], ...]] = (
        ("max_clip_s", "max_upload_s"),
        ("max_clip_bytes", "max_upload_bytes"),
        ("tenant_concurrency", "tenant_queue_limit"),
        ("tenant_queue_limit", "queue_limit"),
    )
    """Pairs of settings of which the first, where it is given, may not be above the second.

    A default above what is given for the second has no effect and does no harm.
    """

    @classmethod
    def read(cls, *, beside: Sequence[type["Settings"]] = ()) -> Self:
        """The settings of this process, or its end with status 2, after a sentence for each that cannot be used.

        Warns of variables that look like settings and are none.

        Args:
            beside: settings of processes that this one will start, which are checked together with its own.
        """
        own, faults = None, []
        for settings_type in (cls, *beside):
            try:
                settings = settings_type()
            except ValidationError as error:
                faults += fault_sentences(error)
            else:
                own = own or settings
        for sentence in dict.fromkeys([*unknown_sentences(os.environ, cls.model_fields), *faults]):
            print(f"earshot: {sentence}", file=sys.stderr)
        if faults:
            raise SystemExit(STATUS_UNUSABLE)
        return own

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

    keep: Literal["audio", "features", "nothing"] = Field(
        "audio", description="the most that is kept of clips that are taught: audio, features or nothing"
    )

    model: str = Field("models/tiny-clap", description="CLAP: a directory, a hub name or a LAION .pt file")
    model_revision: str | None = Field(None, description="revision of a hub name")
    tokenizer: str | None = Field(None, description="directory or hub name of the tokenizer, beside a LAION .pt file")
    device: str = Field("auto", description="auto, cpu, cuda or cuda:N")
    dtype: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="auto, float32 or bfloat16, of the inference; training is in float32"
    )

    tenant_concurrency: int = Field(1, gt=0, description="most jobs of one tenant that may be next in line or running")
    tenant_queue_limit: int = Field(100, gt=0, description="most unfinished jobs of one tenant")
    queue_limit: int = Field(1000, gt=0, description="most unfinished jobs of all tenants")
    job_timeout_s: int = Field(3600, gt=0, description="longest run of a job, in seconds")
    job_ttl_s: int = Field(7 * DAY_S, gt=0, description="how long the record of an ended job is kept, in seconds")
    idempotency_ttl_s: int = Field(DAY_S, gt=0, description="how long an Idempotency-Key is remembered, in seconds")
    upload_ttl_s: int = Field(DAY_S, gt=0, description="age in seconds at which an upload that no job uses is removed")

    log_level: Annotated[Literal["debug", "info", "warning", "error", "critical"], BeforeValidator(_level_name)] = (
        Field("info", description="debug, info, warning or error")
    )
    log_format: Literal["auto", "json", "console"] = Field(
        "auto", description="json, console, or auto: console on a terminal, json elsewhere"
    )

    @field_validator("device")
    @classmethod
    def _check_device(cls, device: str) -> str:
        if not DEVICE.fullmatch(device):
            raise ValueError("it must be auto, cpu, cuda or cuda:N, such as cuda:0")
        return device

    @model_validator(mode="after")
    def _check_pairs(self) -> Self:
        faults = [
            f"{variable(inner)} is {getattr(self, inner):.12g}, which is more than {variable(outer)}, "
            f"{getattr(self, outer):.12g}: lower the first or raise the second"
            for inner, outer in self.WITHIN
            if inner in self.model_fields_set and getattr(self, inner) > getattr(self, outer)
        ]
        if faults:
            raise ValueError("; ".join(faults))
        return self

    @property
    def upload_limits(self) -> UploadLimits:
        """The limits of one upload."""
        return UploadLimits(**{name: getattr(self, name) for name in UploadLimits.model_fields})

    @property
    def storage_limits(self) -> StorageLimits:
        """The limits of what a tenant keeps."""
        return StorageLimits(**{name: getattr(self, name) for name in StorageLimits.model_fields})

    @property
    def redis_url_or_private(self) -> str:
        """The URL to connect to: the one given, else the private Redis of the data directory."""
        return self.redis_url or private_url(self.data_dir)

    @property
    def store_url_or_local(self) -> str:
        """The URL of the adapter store: the one given, else a directory in the data directory."""
        return self.store_url or str(self.data_dir / "adapters")


def describe(settings_type: type[Settings]) -> str:
    """One line for each setting: its environment variable, what it means and its default."""
    lines = []
    for name, field in settings_type.model_fields.items():
        names = variable(name) + (" or REDIS_URL" if name == "redis_url" else "")
        default = "" if field.default in (None, "", ()) else f" [{field.default}]"
        lines.append(f"  {names:<36} {field.description}{default}")
    return "\n".join(lines)
