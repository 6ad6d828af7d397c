"""Server-sent events out of a body: https://html.spec.whatwg.org/multipage/server-sent-events.html"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass

LINE_ENDS = re.compile(r"\r\n|\n|\r(?!\Z)")  # a return at the very end may be half of an end


@dataclass(frozen=True)
class ServerEvent:
    """One event; `id` is the last that the stream has told."""

    id: str | None
    data: str


class EventParser:
    """Takes bytes as they come, returns the events that they complete."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._text = ""
        self._id: str | None = None
        self._data: list[str] = []

    def feed(self, chunk: bytes) -> list[ServerEvent]:
        """Take a part of the body, of any length."""
        *lines, self._text = LINE_ENDS.split(self._text + self._decoder.decode(chunk))
        return [event for line in lines if (event := self._line(line))]

    def _line(self, line: str) -> ServerEvent | None:
        if not line:
            data, self._data = self._data, []
            return ServerEvent(self._id, "\n".join(data)) if data else None
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "id":
            self._id = value
        return None
