"""Carries flows out with asyncio's tasks; the counterpart of `thread_driver`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, closing
from typing import Any, TypeVar

import httpx

from earshot_client.form import Form
from earshot_client.request import Answer, Broken, Request
from earshot_client.steps import Emit, Flow, Open, Pause, Read, Send, Together
from earshot_client.thread_driver import NEVER_SENT

T = TypeVar("T")


class TaskDriver:
    """Flows over one pool of connections."""

    def __init__(self, http: httpx.AsyncClient, url: str):
        self._http = http
        self._url = url

    async def run(self, flow: Flow[T]) -> T:
        """Carry a flow out; returns what it returns."""
        returned: list[T] = []

        def kept() -> Flow[None]:
            returned.append((yield from flow))

        async with aclosing(self.emitted(kept())) as emitted:
            async for _ in emitted:
                pass
        return returned[0]

    async def emitted(self, flow: Flow[Any]) -> AsyncGenerator[Any, None]:
        """What a flow hands out, as it comes."""
        with closing(flow):
            async with aclosing(_Stream(self._http)) as stream:
                came = None
                while True:
                    try:
                        step = flow.send(came)
                    except StopIteration:
                        return
                    if isinstance(step, Emit):
                        yield step.value
                        came = None
                    elif isinstance(step, Open):
                        came = await stream.open(self._built(step.request))
                    elif isinstance(step, Read):
                        came = await stream.read()
                    else:
                        came = await self._done(step)

    async def _done(self, step: Send | Pause | Together) -> Any:
        if isinstance(step, Together):
            return await self._together(step)
        if isinstance(step, Pause):
            return await asyncio.sleep(step.seconds)
        try:
            response = await self._http.send(self._built(step.request))
        except httpx.TransportError as error:
            return Broken(error, not isinstance(error, NEVER_SENT))
        return Answer(response.status_code, response.headers, response.content)

    async def _together(self, step: Together) -> list[Any]:
        turns = asyncio.Semaphore(max(1, step.at_once))

        async def in_turn(flow: Flow[Any]) -> Any:
            async with turns:
                return await self.run(flow)

        running = [asyncio.ensure_future(in_turn(flow)) for flow in step.flows]
        try:
            for done in asyncio.as_completed(running):
                step.on_done(await done)
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
        return [task.result() for task in running]

    def _built(self, request: Request) -> httpx.Request:
        headers, body = dict(request.headers), request.body
        if isinstance(body, Form):
            headers["Content-Length"] = str(len(body))
        content = _parts(body) if isinstance(body, Form) else body
        return self._http.build_request(request.method, f"{self._url}/{request.path}", headers=headers, content=content)


async def _parts(form: Form) -> AsyncIterator[bytes]:
    for part in form:
        yield part


class _Stream:
    """The answer that is read bit by bit."""

    def __init__(self, http: httpx.AsyncClient):
        self._http = http
        self._response: httpx.Response | None = None
        self._chunks: AsyncIterator[bytes] | None = None

    async def open(self, request: httpx.Request) -> Answer | Broken:
        await self.aclose()
        try:
            self._response = await self._http.send(request, stream=True)
            if self._response.is_success:
                self._chunks = self._response.aiter_bytes()
                return Answer(self._response.status_code, self._response.headers)
            return Answer(self._response.status_code, self._response.headers, await self._response.aread())
        except httpx.TransportError as error:
            return Broken(error, not isinstance(error, NEVER_SENT))

    async def read(self) -> bytes | Broken:
        try:
            return b"" if self._chunks is None else await anext(self._chunks, b"")
        except httpx.TransportError as error:
            return Broken(error, True)

    async def aclose(self) -> None:
        if self._response is not None:
            await self._response.aclose()
