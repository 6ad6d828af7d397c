"""One answer for all who ask at the same time."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

Result = TypeVar("Result")


class Shared(Generic[Result]):
    """Asks when nobody is asking already; who comes meanwhile gets the same answer, or the same error."""

    def __init__(self, ask: Callable[[], Awaitable[Result]]):
        self._ask = ask
        self._asking: asyncio.Task[Result] | None = None

    async def result(self) -> Result:
        """The answer of a question that is asked now, or has been asked and not been answered."""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.ensure_future(self._answer())
            self._asking.add_done_callback(lambda task: task.cancelled() or task.exception())
        return await asyncio.shield(self._asking)

    async def _answer(self) -> Result:
        return await self._ask()
