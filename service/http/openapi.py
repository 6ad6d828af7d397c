"""The OpenAPI document: FastAPI's, with what the gate adds, in the words that generators and Swagger UI understand."""

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from service.http import problems
from service.http.access import PUBLIC_PATHS
from service.http.schemas import Problem

# Before any route: what the gate in service/http/access.py and Starlette itself may answer.
PUBLIC_ERRORS = ("body_too_large", "host_not_allowed", "origin_not_allowed", "internal_error")
GATE_ERRORS = (*PUBLIC_ERRORS, "body_timeout", "unauthenticated", "keys_unreadable", "rate_limited")
GATE_ERRORS += ("tenant_overloaded", "overloaded")
# What the gate looks for; FastAPI's own classes for it would look again, at every request.
SECURITY_SCHEMES = {
    "HTTPBearer": {"type": "http", "scheme": "bearer", "description": "An API key."},
    "APIKeyHeader": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "An API key."},
}
EVENTS = "text/event-stream"


def describe(app: FastAPI) -> dict[str, Any]:
    """FastAPI's document, with the schema of problems, and what the gate asks for and answers."""
    document = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(problem.pop("$defs", {}))
    schemas["Problem"] = problem
    document["components"]["securitySchemes"] = SECURITY_SCHEMES
    for path, operations in document["paths"].items():
        is_public = path in PUBLIC_PATHS
        for operation in operations.values():
            _add_responses(operation["responses"], problems.responses(*(PUBLIC_ERRORS if is_public else GATE_ERRORS)))
            if not is_public:
                operation["security"] = [{name: []} for name in SECURITY_SCHEMES]
        _simplify_events(operations)
    for schema in _schemas(document):
        if schema.get("contentMediaType") == "application/octet-stream":
            del schema["contentMediaType"]
            schema["format"] = "binary"
    _describe_forms(document)
    app.openapi_schema = document
    return document


def _schemas(value: Any) -> Iterator[dict[str, Any]]:
    """Every object in the document, at any depth."""
    if isinstance(value, dict):
        yield value
    for child in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _schemas(child)


def _simplify_events(operations: dict[str, Any]) -> None:
    """Name a stream of events by its type alone: `itemSchema` is of OpenAPI 3.2, which stops generators of 3.1."""
    for operation in operations.values():
        for response in operation["responses"].values():
            if EVENTS in response.get("content", {}):
                response["content"][EVENTS] = {"schema": {"type": "string"}}


def _describe_forms(document: dict[str, Any]) -> None:
    """Describe forms as Swagger UI and generators send them right.

    `null` is left out: a field is there or it is not, and Swagger UI shows no file chooser for "or null". It fills in
    what a field without a default may look like, and sends that; an empty one it leaves out. A list is a field
    repeated, or else it joins the items by commas.
    """
    schemas = document["components"]["schemas"]
    for operation in (operation for operations in document["paths"].values() for operation in operations.values()):
        content = operation.get("requestBody", {}).get("content", {}).get("multipart/form-data", {})
        form = schemas.get(content.get("schema", {}).get("$ref", "").rpartition("/")[2], {})
        for name, field in form.get("properties", {}).items():
            if kinds := [kind for kind in field.get("anyOf", ()) if kind != {"type": "null"}]:
                del field["anyOf"]
                field.update(kinds[0] if len(kinds) == 1 else {"anyOf": kinds})
            if field.get("type") == "array":
                content.setdefault("encoding", {})[name] = {"style": "form", "explode": True}
            elif "default" not in field and field.get("format") != "binary" and name not in form.get("required", ()):
                field["example"] = ""


def _add_responses(documented: dict[str, Any], further: dict[int | str, dict[str, Any]]) -> None:
    for status, response in further.items():
        present = documented.setdefault(str(status), response)
        examples = present["content"][problems.PROBLEM_MEDIA_TYPE]["examples"]
        examples.update(response["content"][problems.PROBLEM_MEDIA_TYPE]["examples"])
