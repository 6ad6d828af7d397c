"""JSON messages, one a line, over the socket between a worker and its runner."""

import json
import select
import socket
import threading
from typing import Any

CHUNK_BYTES = 65536


class ChannelClosed(Exception):
    """The other side is gone."""


class Channel:
    """One end of a socket pair; one thread may receive while others send."""

    def __init__(self, end: socket.socket):
        self._socket = end
        self._received = b""
        self._send_lock = threading.Lock()

    @classmethod
    def from_descriptor(cls, descriptor: int) -> "Channel":
        """The end that a parent process handed down."""
        return cls(socket.socket(fileno=descriptor))

    def send(self, message: dict[str, Any]) -> None:
        """Send one message; raises ChannelClosed."""
        try:
            with self._send_lock:
                self._socket.sendall(json.dumps(message, allow_nan=False).encode() + b"\n")
        except OSError as error:
            raise ChannelClosed from error

    def receive(self, *, timeout_s: float | None = None) -> dict[str, Any] | None:
        """The next message, or None where none comes within `timeout_s` seconds; raises ChannelClosed."""
        while b"\n" not in self._received:
            if timeout_s is not None and not select.select([self._socket], [], [], timeout_s)[0]:
                return None
            try:
                chunk = self._socket.recv(CHUNK_BYTES)
            except OSError as error:
                raise ChannelClosed from error
            if not chunk:
                raise ChannelClosed
            self._received += chunk
        line, _, self._received = self._received.partition(b"\n")
        return json.loads(line)

    def close(self) -> None:
        """Close this end; the other one reads its end of file."""
        self._socket.close()
