"""What `docker-compose.yml` says of a service, for an engine that does not read it itself."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

VARIABLE = re.compile(r"\$(?:\$|\{(?P<name>\w+)(?::(?P<kind>[-?])(?P<text>[^}]*))?\})")
UNITS = {"k": 2**10, "m": 2**20, "g": 2**30}


@dataclass(frozen=True)
class Service:
    """One service: how it is started, what it may write, and how it is confined."""

    name: str
    command: list[str]
    environment: dict[str, str]
    volumes: dict[str, str]
    """Name of the volume -> path in the container; a volume without a name is called after the service and the path."""
    tmpfs: dict[str, str]
    """Path in the container -> options of mount."""
    healthcheck: list[str]
    stop_grace_s: float
    memory_bytes: int
    is_read_only: bool
    is_without_capabilities: bool
    is_without_new_privileges: bool


def read_services(path: Path, environment: dict[str, str]) -> dict[str, Service]:
    """The services of a compose file, with `environment` filled in as compose does."""
    document = _filled(yaml.safe_load(path.read_text()), environment)
    return {name: _service(name, fields) for name, fields in document["services"].items()}


def _service(name: str, fields: dict[str, Any]) -> Service:
    return Service(
        name=name,
        command=list(fields.get("command", [])),
        environment={key: str(value) for key, value in fields.get("environment", {}).items()},
        volumes=_volumes(name, fields.get("volumes", [])),
        tmpfs=dict(str(entry).split(":", 1) for entry in fields.get("tmpfs", [])),
        healthcheck=list(fields.get("healthcheck", {}).get("test", [])),
        stop_grace_s=float(str(fields.get("stop_grace_period", "10s")).removesuffix("s")),
        memory_bytes=_size_bytes(str(fields["mem_limit"])),
        is_read_only=bool(fields.get("read_only")),
        is_without_capabilities=fields.get("cap_drop") == ["ALL"],
        is_without_new_privileges="no-new-privileges:true" in fields.get("security_opt", []),
    )


def _volumes(service: str, entries: list[Any]) -> dict[str, str]:
    volumes = {}
    for entry in entries:
        if isinstance(entry, dict):
            volumes[entry.get("source", f"{service}{entry['target'].replace('/', '-')}")] = entry["target"]
        elif not entry.startswith("."):
            name, path = entry.split(":")[:2]
            volumes[name] = path
    return volumes


def _size_bytes(text: str) -> int:
    return int(text[:-1]) * UNITS[text[-1].lower()]


def _filled(value: Any, environment: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _filled(item, environment) for key, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, environment) for item in value]
    if isinstance(value, str):
        return VARIABLE.sub(lambda match: _replacement(match, environment), value)
    return value


def _replacement(match: re.Match[str], environment: dict[str, str]) -> str:
    name = match["name"]
    if name is None:
        return "$"
    if environment.get(name):
        return environment[name]
    if match["kind"] == "?":
        raise ValueError(f"{name}: {match['text']}")
    return match["text"] or ""
