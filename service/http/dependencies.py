"""What routes ask FastAPI for: the parts of the service, whose request it is, and what it holds."""

from typing import Annotated

from fastapi import Depends, Request

from service.context import Context
from service.http.authentication import Authentication
from service.inference.account import Charge


# Not a plain function: FastAPI would send it to a thread, at every request.
async def _context(request: Request) -> Context:
    return request.app.state.context


async def _tenant(request: Request) -> str:
    # The gate in service/http/access.py has checked the key before the body was read.
    return request.scope["earshot.tenant"]


async def _charge(request: Request) -> Charge:
    return request.scope["earshot.charge"]


async def _authentication(request: Request) -> Authentication:
    return request.app.state.authentication


ServiceContext = Annotated[Context, Depends(_context)]
Tenant = Annotated[str, Depends(_tenant)]
Gate = Annotated[Authentication, Depends(_authentication)]
RequestCharge = Annotated[Charge, Depends(_charge)]
