"""Structured logs, one line each, with job, tenant and adapter; no audio, keys or labels at info level.

JSON objects, unless a person reads along: on a terminal, lines to look at.
"""

import contextlib
import logging
import sys
from typing import TextIO

import structlog


class LogStream:
    """Standard error, whose loss fails nobody: a terminal may be closed in the middle of a job."""

    def __init__(self, stream: TextIO):
        self._stream = stream

    def write(self, text: str) -> None:
        """Write, where anyone still reads."""
        with contextlib.suppress(OSError):
            self._stream.write(text)

    def flush(self) -> None:
        """Flush, where anyone still reads."""
        with contextlib.suppress(OSError):
            self._stream.flush()


def set_up(*, level: str, format: str) -> None:
    """Configure structlog, and send what RQ and other libraries log the same way.

    Args:
        format: "json", "console", or "auto" for console on a terminal and JSON elsewhere.
    """
    is_terminal = sys.stderr.isatty()
    is_console = format == "console" or (format == "auto" and is_terminal)
    shared = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="%H:%M:%S" if is_console else "iso", utc=not is_console),
    ]
    renderer: structlog.typing.Processor
    if is_console:
        # Not the formatter that shows the values of variables, for these may be audio or keys.
        formatter = structlog.dev.plain_traceback
        renderer = structlog.dev.ConsoleRenderer(colors=is_terminal, exception_formatter=formatter)
    else:
        shared.append(structlog.processors.format_exc_info)
        renderer = structlog.processors.JSONRenderer()
    number = logging.getLevelNamesMapping()[level.upper()]
    stream = LogStream(sys.stderr)
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processor=renderer))
    logging.basicConfig(handlers=[handler], level=max(number, logging.WARNING), force=True)
