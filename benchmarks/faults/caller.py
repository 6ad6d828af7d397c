"""One tenant's calls over raw HTTP, and the ledger of what was answered."""

import http.client
import socket
import threading
from collections import Counter
from dataclasses import dataclass, field

TIMEOUT_S = 60
# What a body that breaks off or a process that is killed leaves to a client.
BROKEN = (OSError, http.client.HTTPException)


@dataclass(frozen=True)
class Call:
    """A request as bytes; its declared length may differ from the body's."""

    method: str
    path: str
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Ledger:
    """Counts answers, and keeps those that should not be; any thread may write to it."""

    answers: Counter = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, call: Call, status: int | None, content: bytes, *, may_be_unavailable: bool = False) -> None:
        """Count an answer; None is a connection that broke.

        Args:
            may_be_unavailable: whether something that the call needs is held down: then 503 is right.
        """
        allowed = status is None or status < 500 or status == 507 or (status == 503 and may_be_unavailable)
        with self._lock:
            self.answers[status] += 1
            if not allowed:
                self.wrong.append(f"{status} {call.method} {call.path[:80]}: {content[:200]!r}")


class Caller:
    """A tenant at one address; a connection for each call, since what it sends may leave one unusable."""

    def __init__(self, address: str, key: str):
        self.address = address.removeprefix("http://")
        self.key = key

    def __call__(self, call: Call) -> tuple[int | None, bytes]:
        """The status and the content of the answer; None where the connection broke."""
        connection = http.client.HTTPConnection(self.address, timeout=TIMEOUT_S)
        try:
            headers = {"X-API-Key": self.key, "Content-Length": str(len(call.body))} | call.headers
            connection.request(call.method, call.path, call.body, headers)
            if int(headers["Content-Length"]) > len(call.body):
                connection.sock.shutdown(socket.SHUT_WR)  # as a client does that leaves in the middle
            answer = connection.getresponse()
            return answer.status, answer.read()
        except BROKEN:
            return None, b""
        finally:
            connection.close()


def form(path: str, fields: list[tuple[str, str]], files: list[tuple[str, str, bytes]]) -> Call:
    """A multipart form of text fields, and of files each with its field, name and content."""
    parts = [
        f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode() for name, value in fields
    ]
    for name, filename, content in files:
        head = f'--b\r\nContent-Disposition: form-data; name="{name}"; filename="{filename}"\r\n\r\n'
        parts.append(head.encode() + content + b"\r\n")
    body = b"".join(parts) + b"--b--\r\n"
    return Call("POST", path, body, {"Content-Type": "multipart/form-data; boundary=b"})
