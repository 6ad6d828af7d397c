"""Waiting for what uses a file or a place in the queue, so that neither is taken away under it."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any


async def wait_for_all(futures: Sequence["asyncio.Future[Any]"]) -> None:
    """Wait until all have ended, also where the waiting itself is cancelled; what they raise counts as seen."""
    while pending := [future for future in futures if not future.done()]:
        with suppress(asyncio.CancelledError):
            await asyncio.wait(pending)
    for future in futures:
        if not future.cancelled():
            future.exception()


async def cancel_all(futures: Sequence["asyncio.Future[Any]"]) -> None:
    """Cancel all, and wait until they have ended."""
    for future in futures:
        future.cancel()
    await wait_for_all(futures)
