"""Manifests and pointers: JSON at rest, checked as it is read."""

import json
from typing import Any

from adapters_store.errors import AdapterCorrupt, NameInvalid
from adapters_store.names import Ref


def parsed(data: bytes, what: str) -> dict[str, Any]:
    """The JSON object in `data`; raises AdapterCorrupt, which calls it `what`."""
    try:
        value = json.loads(data, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise AdapterCorrupt(f"{what} is damaged: it is not JSON.") from error
    if not isinstance(value, dict):
        raise AdapterCorrupt(f"{what} is damaged: it is not a JSON object.")
    return value


def parsed_manifest(data: bytes, name: str, version: int) -> dict[str, Any]:
    """The manifest of a version."""
    return parsed(data, f"The manifest of adapter {name}@{version}")


def checked_ref(tenant: str, name: str, fields: dict[str, Any]) -> Ref:
    """The version that a pointer or a manifest tells of; raises AdapterCorrupt where it can be none."""
    try:
        return Ref(tenant, name, fields.get("version"), fields.get("digest"))
    except NameInvalid as error:
        raise AdapterCorrupt(f"What is stored of adapter {name!r} is damaged: {error}") from error


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")
