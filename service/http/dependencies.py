"""What routes ask FastAPI for: the parts of the service, and whose request it is."""

from typing import Annotated

from fastapi import Depends, Request

from service.context import Context


# Not a plain function: FastAPI would send it to a thread, at every request.
async def _context(request: Request) -> Context:
    return request.app.state.context


async def _tenant(request: Request) -> str:
    # The gate in service/http/access.py has checked the key before the body was read.
    return request.scope["earshot.tenant"]


ServiceContext = Annotated[Context, Depends(_context)]
Tenant = Annotated[str, Depends(_tenant)]
