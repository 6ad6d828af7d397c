"""A multipart form (RFC 7578) whose files are read as they are sent, as often as it is sent."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

from earshot_client.clips import Clip

OVERHEAD_BYTES = 1024  # what a form adds around a file, at most


class Form:
    """Texts and clips in the order in which they were added."""

    def __init__(self) -> None:
        self._parts: list[tuple[bytes, Clip | bytes]] = []
        self._boundary = secrets.token_hex(16)

    @property
    def content_type(self) -> str:
        """For the header."""
        return f"multipart/form-data; boundary={self._boundary}"

    @property
    def is_empty(self) -> bool:
        """Whether nothing was added."""
        return not self._parts

    def add(self, field: str, text: object | None) -> None:
        """Add a text; None is none."""
        if text is not None:
            self._parts.append((self._head(field), str(text).encode()))

    def add_clip(self, field: str, clip: Clip) -> None:
        """Add a file."""
        self._parts.append((self._head(field, clip.name), clip))

    def __len__(self) -> int:
        """How many bytes it comes to."""
        sizes = [
            len(head) + 2 + (part.size_bytes if isinstance(part, Clip) else len(part)) for head, part in self._parts
        ]
        return sum(sizes) + len(self._end)

    def __iter__(self) -> Iterator[bytes]:
        for head, part in self._parts:
            yield head
            yield from part.chunks() if isinstance(part, Clip) else (part,)
            yield b"\r\n"
        yield self._end

    @property
    def _end(self) -> bytes:
        return f"--{self._boundary}--\r\n".encode()

    def _head(self, field: str, filename: str | None = None) -> bytes:
        named = "" if filename is None else f'; filename="{_quoted(filename)}"'
        kind = "" if filename is None else "Content-Type: application/octet-stream\r\n"
        head = f'--{self._boundary}\r\nContent-Disposition: form-data; name="{field}"{named}\r\n{kind}\r\n'
        return head.encode("utf-8", "surrogateescape")


def _quoted(name: str) -> str:
    """As browsers do: https://html.spec.whatwg.org/multipage/form-control-infrastructure.html#multipart-form-data"""
    return name.replace("\r", "%0D").replace("\n", "%0A").replace('"', "%22")
