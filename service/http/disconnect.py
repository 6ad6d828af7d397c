"""Work for a client, as long as it is there."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from fastapi import Request

from service.inference.futures import cancel_all

Result = TypeVar("Result")


async def unless_client_leaves(request: Request, work: Coroutine[Any, Any, Result]) -> Result | None:
    """The result of work for a request that has come whole; None, and the work cancelled, where its client hung up."""
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_leave(request))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        await cancel_all([leaving, working])  # the form's files are closed after this


async def _leave(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        continue
