"""Carries flows out with threads that wait."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing
from typing import Any, TypeVar

import httpx

from earshot_client.form import Form
from earshot_client.request import Answer, Broken, Request
from earshot_client.steps import Emit, Flow, Open, Pause, Read, Send, Together

T = TypeVar("T")
NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


class ThreadDriver:
    """Flows over one pool of connections."""

    def __init__(self, http: httpx.Client, url: str):
        self._http = http
        self._url = url

    def run(self, flow: Flow[T]) -> T:
        """Carry a flow out; returns what it returns."""
        emitted = self.emitted(flow)
        while True:
            try:
                next(emitted)
            except StopIteration as end:
                return end.value

    def emitted(self, flow: Flow[T]) -> Generator[Any, None, T]:
        """What a flow hands out, as it comes."""
        with closing(flow), closing(_Stream(self._http)) as stream:
            came = None
            while True:
                try:
                    step = flow.send(came)
                except StopIteration as end:
                    return end.value
                if isinstance(step, Emit):
                    yield step.value
                    came = None
                elif isinstance(step, Open):
                    came = stream.open(self._built(step.request))
                elif isinstance(step, Read):
                    came = stream.read()
                else:
                    came = self._done(step)

    def _done(self, step: Send | Pause | Together) -> Any:
        if isinstance(step, Together):
            return self._together(step)
        if isinstance(step, Pause):
            return time.sleep(step.seconds)
        try:
            response = self._http.send(self._built(step.request))
        except httpx.TransportError as error:
            return Broken(error, not isinstance(error, NEVER_SENT))
        return Answer(response.status_code, response.headers, response.content)

    def _together(self, step: Together) -> list[Any]:
        with ThreadPoolExecutor(max(1, step.at_once)) as threads:
            running = [threads.submit(self.run, flow) for flow in step.flows]
            try:
                for done in as_completed(running):
                    step.on_done(done.result())
            finally:
                for future in running:
                    future.cancel()
        return [future.result() for future in running]

    def _built(self, request: Request) -> httpx.Request:
        headers, body = dict(request.headers), request.body
        if isinstance(body, Form):
            headers["Content-Length"] = str(len(body))
        content = iter(body) if isinstance(body, Form) else body
        return self._http.build_request(request.method, f"{self._url}/{request.path}", headers=headers, content=content)


class _Stream:
    """The answer that is read bit by bit."""

    def __init__(self, http: httpx.Client):
        self._http = http
        self._response: httpx.Response | None = None
        self._chunks: Iterator[bytes] = iter(())

    def open(self, request: httpx.Request) -> Answer | Broken:
        self.close()
        try:
            self._response = self._http.send(request, stream=True)
            if self._response.is_success:
                self._chunks = self._response.iter_bytes()
                return Answer(self._response.status_code, self._response.headers)
            return Answer(self._response.status_code, self._response.headers, self._response.read())
        except httpx.TransportError as error:
            return Broken(error, not isinstance(error, NEVER_SENT))

    def read(self) -> bytes | Broken:
        try:
            return next(self._chunks, b"")
        except httpx.TransportError as error:
            return Broken(error, True)

    def close(self) -> None:
        if self._response is not None:
            self._response.close()
