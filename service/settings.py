"""What the API reads from the environment, beside what it shares with the worker."""

import re
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, field_validator
from pydantic_settings import NoDecode

from jobs.limits import MIB
from jobs.settings import Settings

PREFIX = re.compile(r"(?=.{1,200}$)(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~-]+)+")
"""A path prefix: one or more segments of characters that need no escaping, without a slash at the end."""
HOST = re.compile(r"(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*|\*|\[[0-9a-f:.]+\]")


def _split(value: object) -> object:
    return re.split(r"[,\s]+", value.strip()) if isinstance(value, str) and value.strip() else value or ()


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
"""Several names in one variable, separated by commas or blanks."""


class ServiceSettings(Settings):
    """Settings of `python -m service`."""

    WITHIN = (
        *Settings.WITHIN,
        ("max_tenant_held_windows", "max_held_windows"),
        ("max_request_windows", "max_tenant_held_windows"),
        ("max_request_windows", "max_held_windows"),
    )

    host: str = Field("127.0.0.1", description="address to bind; without API keys only a loopback address")
    port: int = Field(8000, ge=0, le=65535, description="port to bind")
    keys: Literal["auto", "required"] = Field(
        "auto", description="auto: API keys are asked for on any but a loopback address, and once one was made"
    )
    keys_path: Path | None = Field(
        None, description="file of the API keys' hashes; without one, `keys.json` in the data directory"
    )

    cors_origins: Names = Field(
        (), description="origins whose pages may call from a browser, as https://app.example.org, by commas; * for all"
    )
    allowed_hosts: Names = Field(
        (), description="names in the Host header that are answered, as api.example.org or *.example.org, by commas"
    )
    root_path: str = Field("", description="path under which a proxy shows this service, as /earshot")
    trust_proxy: bool = Field(
        False, description="believe X-Forwarded-Prefix, -Proto and -For: only behind a proxy that sets all three itself"
    )

    max_files: int = Field(64, gt=0, description="most files in one classification")
    max_request_bytes: int = Field(128 * MIB, gt=0, description="largest body of one classification, in bytes")
    body_idle_s: float = Field(
        30.0, gt=0, description="longest pause of a client that sends a body, in seconds; then its connection is closed"
    )
    max_request_windows: int = Field(128, gt=0, description="most 10 s windows in one classification")
    max_adapter_bytes: int = Field(16 * MIB, gt=0, description="largest adapter file to import, in bytes")
    max_template_chars: int = Field(200, gt=0, description="longest template, in characters")

    requests_per_s: float = Field(
        100.0, ge=0, description="requests of one tenant to all replicas together; 0: no limit"
    )
    request_burst: int = Field(200, gt=0, description="requests of one tenant that may come at once")

    batch_windows: int = Field(0, ge=0, description="most windows in a batch; 0: measured at the start")
    max_held_windows: int = Field(
        512, gt=0, description="most windows that requests hold until they are answered, of 1.9 MB each"
    )
    max_tenant_held_windows: int = Field(384, gt=0, description="most of them that one tenant may hold")
    max_body_bytes: int = Field(
        0, ge=0, description="most bytes of bodies under way, on the disk; 0: eight times the largest body"
    )
    max_text_passes: int = Field(16_384, gt=0, description="most passes of the text encoder that requests wait for")
    max_streams: int = Field(512, gt=0, description="most event streams")
    tenant_share: float = Field(
        0.75, gt=0, le=1, description="largest part of the bodies, text passes and streams that one tenant may have"
    )
    queue_timeout_s: float = Field(30.0, gt=0, description="longest wait of a clip for the model, in seconds")
    decode_threads: int = Field(2, gt=0, description="threads that decode a tenant's audio")
    cache_bytes: int = Field(256 * MIB, gt=0, description="adapters kept in memory, in bytes")
    load_threads: int = Field(2, gt=0, description="threads that load a tenant's adapters")
    upload_threads: int = Field(2, gt=0, description="threads that check a tenant's uploads")
    drain_s: int = Field(3, ge=0, description="time for answers under way when the service ends, in seconds")
    ready_age_s: float = Field(30.0, gt=0, description="age in seconds at which a forward pass proves nothing")

    @field_validator("cors_origins")
    @classmethod
    def _check_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for origin in origins:
            parts = urlsplit(origin)
            if origin != "*" and (not parts.netloc or origin != f"{parts.scheme}://{parts.netloc}".lower()):
                raise ValueError(f"{origin!r} is no origin: scheme, host and port, in lower case, and no path")
        return origins

    @field_validator("allowed_hosts")
    @classmethod
    def _check_hosts(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        for host in hosts:
            if not HOST.fullmatch(host):
                raise ValueError(f"{host!r} is no host: a name or an address in lower case, without a port")
        return hosts

    @field_validator("root_path")
    @classmethod
    def _check_root_path(cls, root_path: str) -> str:
        prefix = root_path.rstrip("/")
        if prefix and not PREFIX.fullmatch(prefix):
            raise ValueError(f"{root_path!r} is no path as /earshot, of letters, digits, '.', '_', '~' and '-'")
        return prefix

    @property
    def keys_path_or_default(self) -> Path:
        """Where the keys' hashes are kept."""
        return self.keys_path or self.data_dir / "keys.json"

    def limits(self) -> dict[str, float]:
        """Every limit that a tenant can run into, by name."""
        names = ("max_files", "max_request_bytes", "max_request_windows", "max_clip_s", "max_clip_bytes")
        names += ("max_upload_bytes", "max_upload_s", "max_clips", "max_labels", "max_label_chars")
        names += ("max_template_chars", "max_adapter_bytes", "requests_per_s", "request_burst")
        names += ("tenant_queue_limit", "queue_timeout_s", "max_adapters", "max_versions", "max_stored_bytes")
        names += ("max_tenant_held_windows", "max_text_passes", "max_streams", "tenant_share")
        return {name: getattr(self, name) for name in names}
