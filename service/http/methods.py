"""Whether there is anything at an address, and which methods it answers to."""

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.routing import Match
from starlette.types import Scope

from service.http import problems

METHODS = ("GET", "POST", "PUT", "DELETE")


def is_known(app: FastAPI, scope: Scope) -> bool:
    """Whether there is a route to the address of a request, for whatever method."""
    return any(route.matches({**scope})[0] != Match.NONE for route in app.routes)


async def refuse(request: Request, error: HTTPException) -> JSONResponse:
    """The answer for a method that the address does not have; `Allow` names all that it has, not only one route's."""
    scopes = {method: {**request.scope, "method": method} for method in METHODS}
    routes = request.app.routes
    methods = [method for method, scope in scopes.items() if any(r.matches(scope)[0] == Match.FULL for r in routes)]
    methods += ["HEAD"] if "GET" in methods else []
    return await problems.handle(request, HTTPException(405, error.detail, {"Allow": ", ".join(methods)}))
