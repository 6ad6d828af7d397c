"""What `docker-compose.yml` says of a service, for an engine that does not read it itself."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

VARIABLE = re.compile(r"\$(?:\$|\{(?P<name>\w+)(?::(?P<kind>[-?])(?P<text>[^}]*))?\})")


@dataclass(frozen=True)
class Service:
    """One service: its command, environment, and where its volumes are mounted."""

    name: str
    command: list[str]
    environment: dict[str, str]
    volumes: dict[str, str]
    """Name of the volume -> path in the container."""
    stop_grace_s: float


def read_services(path: Path, environment: dict[str, str]) -> dict[str, Service]:
    """The services of a compose file, with `environment` filled in as compose does."""
    document = _filled(yaml.safe_load(path.read_text()), environment)
    return {name: _service(name, fields) for name, fields in document["services"].items()}


def _service(name: str, fields: dict[str, Any]) -> Service:
    named = (volume.split(":") for volume in fields.get("volumes", []) if isinstance(volume, str))
    return Service(
        name=name,
        command=list(fields.get("command", [])),
        environment={key: str(value) for key, value in fields.get("environment", {}).items()},
        volumes={parts[0]: parts[1] for parts in named if not parts[0].startswith(".")},
        stop_grace_s=float(str(fields.get("stop_grace_period", "10s")).removesuffix("s")),
    )


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
