"""Clients that ask over HTTP, each on one connection and one after the other, and what they cost themselves."""

import http.client
import json
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

NUM_CLIENTS = 32


@dataclass(frozen=True)
class Request:
    """A request made beforehand."""

    path: str
    body: bytes
    content_type: str

    @classmethod
    def multipart(cls, path: str, file_field: str, clip: bytes, **fields: str) -> "Request":
        """A form with text fields and one audio file."""
        parts = [f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{fields[name]}\r\n' for name in fields]
        file = f'--b\r\nContent-Disposition: form-data; name="{file_field}"; filename="a.ogg"\r\n\r\n'
        body = "".join([*parts, file]).encode() + clip + b"\r\n--b--\r\n"
        return cls(path, body, "multipart/form-data; boundary=b")


@dataclass(frozen=True)
class Pass:
    """How fast a crowd was served, and the CPU time in ms that the clients took for a request, from the same cores."""

    requests_per_s: float
    client_cpu_ms: float


class Client:
    """One connection that asks and waits."""

    def __init__(self, address: str):
        self._connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=120)

    def ask(self, request: Request) -> tuple[float, bytes]:
        """The time to the answer in ms, and the answer; raises RuntimeError for any but 200."""
        started_at = time.perf_counter()
        self._connection.request("POST", request.path, request.body, {"Content-Type": request.content_type})
        answer = self._connection.getresponse()
        content = answer.read()
        elapsed_ms = (time.perf_counter() - started_at) * 1e3
        if answer.status != 200:
            raise RuntimeError(f"{answer.status}: {content[:300]!r}")
        return elapsed_ms, content

    def ask_json(self, request: Request) -> tuple[float, dict]:
        """As `ask`, with the answer parsed."""
        elapsed_ms, content = self.ask(request)
        return elapsed_ms, json.loads(content)


def ask_all(address: str, requests: Sequence[Request], *, num_clients: int = NUM_CLIENTS) -> Pass:
    """Share the requests among clients that ask at the same time; this process is to do nothing else meanwhile."""
    shares = [requests[number::num_clients] for number in range(num_clients)]

    def ask(share: Sequence[Request]) -> None:
        client = Client(address)
        for request in share:
            client.ask(request)

    started_at, cpu_s = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(num_clients) as clients:
        list(clients.map(ask, shares))
    elapsed_s = time.perf_counter() - started_at
    return Pass(len(requests) / elapsed_s, (time.process_time() - cpu_s) / len(requests) * 1e3)
