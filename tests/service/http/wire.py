"""Bytes over a socket, for what a client's library would not send."""

import socket
from dataclasses import dataclass
from typing import BinaryIO
from urllib.parse import urlsplit

TIMEOUT_S = 20.0


@dataclass(frozen=True)
class Answer:
    """One answer, as it came."""

    status: int
    headers: dict[str, str]  # by names in lower case
    body: bytes


def exchange(address: str, *parts: bytes, num_answers: int = 1, num_heads: int = 0) -> list[Answer]:
    """Send the parts, and read so many answers, or fewer where the service closes the connection.

    The first `num_heads` of them are to `HEAD`, which a body follows in no case.
    """
    url = urlsplit(address)
    with socket.create_connection((url.hostname, url.port), timeout=TIMEOUT_S) as connection:
        for part in parts:
            connection.sendall(part)
        with connection.makefile("rb") as incoming:
            answers = (_read(incoming, has_body=number >= num_heads) for number in range(num_answers))
            return [answer for answer in answers if answer]


def _read(incoming: BinaryIO, *, has_body: bool) -> Answer | None:
    line = incoming.readline()
    if not line:
        return None
    rows = iter(lambda: incoming.readline().decode("latin-1").strip(), "")
    headers = {name.lower(): value.strip() for name, _, value in (row.partition(":") for row in rows)}
    num_bytes = int(headers.get("content-length", 0)) if has_body else 0
    return Answer(int(line.split()[1]), headers, incoming.read(num_bytes))


def form(*parts: tuple[str, bytes]) -> tuple[str, bytes]:
    """A Content-Type and a body of parts, each the text of its headers and its content."""
    body = b"".join(b"--x\r\n" + headers.encode() + b"\r\n\r\n" + content + b"\r\n" for headers, content in parts)
    return "multipart/form-data; boundary=x", body + b"--x--\r\n"


def field(name: str, content: str | bytes, *, more: str = "") -> tuple[str, bytes]:
    """A part of a form; `more` goes on in its Content-Disposition, or after it."""
    content = content.encode() if isinstance(content, str) else content
    return f'Content-Disposition: form-data; name="{name}"{more}', content
