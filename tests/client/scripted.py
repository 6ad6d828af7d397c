"""A real HTTP server that answers as it is told, and remembers what it was asked."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Asked:
    """A request that came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    at: float = field(default_factory=time.monotonic)


@dataclass
class Told:
    """An answer; with `breaks` the connection ends after its body, or without any answer where the status is 0."""

    status: int = 200
    body: object = None
    headers: dict[str, str] = field(default_factory=dict)
    breaks: bool = False
    after_s: float = 0.0


def problem(status: int, code: str, **headers: str) -> Told:
    return Told(status, {"code": code, "detail": f"It is {code}.", "status": status}, headers)


BROKEN = Told(0, breaks=True)


class Scripted:
    """Answers by path, without the query: the next one of each list, whose last stays."""

    def __init__(self, **answers: list[Told]):
        self.answers = {f"/{path}": told for path, told in answers.items()}
        self.asked: list[Asked] = []
        self.most_at_once = self._at_once = 0
        self._lock = threading.Lock()
        handler = type("Handler", (_Handler,), {"script": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def to(self, path: str) -> list[Asked]:
        return [asked for asked in self.asked if asked.path.partition("?")[0] == path]

    def next(self, asked: Asked) -> Told:
        with self._lock:
            self.asked.append(asked)
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
            left = self.answers.get(asked.path.partition("?")[0], [problem(404, "not_found")])
            told = left.pop(0) if len(left) > 1 else left[0]
        return told(asked) if callable(told) else told

    def done(self) -> None:
        with self._lock:
            self._at_once -= 1


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    script: Scripted

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        told = self.script.next(Asked(self.command, self.path, headers, body))
        time.sleep(told.after_s)
        self.script.done()
        if told.breaks:
            self.close_connection = True
        if told.status == 0:
            return
        data = told.body if isinstance(told.body, bytes) else json.dumps(told.body).encode()
        self.send_response(told.status)
        for name, value in told.headers.items():
            self.send_header(name.replace("_", "-"), value)
        length = len(data) + 100 if told.breaks else len(data)  # more is promised than comes
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PUT = do_DELETE = _answer

    def log_message(self, *_: object) -> None:
        pass
