"""uvicorn, told what this service needs of it."""

import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from types import FrameType

import uvicorn

from service.context import Context
from service.http.app import create_app
from service.http.open_files import raise_open_files
from service.http.protocol import Protocol, usable_protocol


class Server(uvicorn.Server):
    """One process that ends at SIGTERM or Ctrl-C, once answers under way had `drain_s` to go out."""

    def __init__(self, context: Context, sockets: Sequence[socket.socket]) -> None:
        """Serve on sockets that are bound already."""
        settings = context.settings
        Protocol.most_connections = raise_open_files() // 2  # the other half is for what requests open
        Protocol.count_made_way = staticmethod(context.metrics.made_way.inc)
        self._context = context
        self._sockets = list(sockets)
        super().__init__(
            uvicorn.Config(
                create_app(context),
                log_config=None,
                access_log=False,
                server_header=False,
                http=usable_protocol(),
                forwarded_allow_ips="*" if settings.trust_proxy else None,
                timeout_graceful_shutdown=settings.drain_s,
            )
        )

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to end; streams of events are told to end too, for they would go on as long as their jobs."""
        self._context.is_draining = True
        super().handle_exit(sig, frame)

    def serve_until_ended(self) -> None:
        """Answer until a signal ends it; raises SystemExit where it cannot even start."""
        with suppress(KeyboardInterrupt):  # what uvicorn makes of Ctrl-C, when all is over
            self.run(sockets=self._sockets)
        if not self.started:
            sys.exit(1)
