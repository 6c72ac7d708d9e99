"""Logging: structlog in front, the standard library behind, so that libraries join in.

Our code asks ``structlog.get_logger(__name__)``; Hypercorn, Quart, asyncpg and
:mod:`gbs_actor.socketio` use :mod:`logging`. Both end in the same handler and look alike.
Context bound with :func:`structlog.contextvars.bind_contextvars` belongs to the Trio task
that bound it and the tasks it starts.

A line is written with one blocking call to standard error. That is right for a terminal,
a file and a pipe that somebody reads.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, Literal, TextIO

import structlog
from structlog.typing import Processor

from gbs_actor.observability.masking import masked

LIBRARIES = ("hypercorn", "hypercorn.error", "hypercorn.access", "quart.app", "quart.serving")
"""Loggers that would bring handlers of their own."""

TALKATIVE = {"hypercorn.access": logging.WARNING, "asyncio": logging.WARNING}
"""Libraries whose ordinary messages are of no use to an operator."""


def mask_secrets(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Take secrets out of every value of an event; a structlog processor."""
    for name in list(event):
        if name not in {"_record", "_from_structlog", "exc_info"}:
            event[name] = masked(event[name], name)
    return event


def configure_logging(
    *,
    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO",
    form: Literal["console", "json"] = "console",
    stream: TextIO | None = None,
) -> None:
    """Set up logging for the whole process; a second call replaces the first.

    :param form: ``console`` for people, ``json`` for one object per line.
    :param stream: default: standard error.
    """
    stream = stream or sys.stderr
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: list[Processor]
    if form == "json":
        last = [structlog.processors.JSONRenderer(ensure_ascii=False, default=str)]
    else:
        last = [structlog.dev.ConsoleRenderer(colors=stream.isatty(), sort_keys=False)]
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                # Before masking: an exception's text can hold a secret as well.
                structlog.processors.format_exc_info,
                mask_secrets,
                *last,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    logging.captureWarnings(True)
    for name in LIBRARIES:
        library = logging.getLogger(name)
        library.handlers[:] = []
        library.propagate = True
    for name, least in TALKATIVE.items():
        logging.getLogger(name).setLevel(max(least, root.level))
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
