"""Sets up logging: structlog on top of the standard library, whose loggers libraries use.

Our code uses ``structlog.get_logger(__name__)``; Hypercorn, Quart, asyncpg and
:mod:`gbs_actor.socketio` use :mod:`logging`. Both use the same handler and format.
Context bound with :func:`structlog.contextvars.bind_contextvars` belongs to the Trio task
that bound it and the tasks it starts.

A line is written with one blocking call to standard error. That suits a terminal,
a file, and a pipe with a reader.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from textwrap import indent
from typing import Any, Literal, TextIO

import structlog
from structlog.typing import Processor

from gbs_actor.observability.masking import masked
from gbs_actor.observability.terminal import visible, visible_lines

LIBRARY_LOGGERS = ("hypercorn", "hypercorn.error", "hypercorn.access", "quart.app", "quart.serving")
"""Loggers that would have handlers of their own."""

MINIMUM_LEVELS = {"hypercorn.access": logging.WARNING, "httpx": logging.WARNING}
"""Levels of libraries whose ordinary messages do not help an operator."""


AUDIT_LOGGER = "gbs_actor.audit"
"""The logger of what operators do; no setting silences it."""

_OF_MANY_LINES = frozenset({"exception", "stack"})
_json = structlog.processors.JSONRenderer(ensure_ascii=False, default=str)


def mask_secrets(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Mask the secrets in every value of an event; a structlog processor."""
    for name in list(event):
        if name not in {"_record", "_from_structlog", "exc_info"}:
            event[name] = masked(event[name], name)
    return event


def make_visible(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Make every value of an event safe for a terminal; a structlog processor."""
    for name, value in event.items():
        if name in _OF_MANY_LINES:
            # Indented, so that no line of an exception's text passes for an entry of the log.
            event[name] = indent(visible_lines(str(value)), "    ")
        elif value is not None and not isinstance(value, (bool, int, float)):
            event[name] = visible(value if isinstance(value, str) else repr(value))
    return event


def _render_json(logger: object, method: str, event: MutableMapping[str, Any]) -> str:
    """Return an event as one JSON object on one line, safe for a terminal as well."""
    return visible(str(_json(logger, method, event)))


def configure_logging(
    *,
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"],
    log_format: Literal["console", "json"],
    stream: TextIO | None = None,
) -> None:
    """Set up logging for the whole process; a second call replaces the first.

    :param log_level: the lowest level that is logged.
    :param log_format: ``console`` for people, ``json`` for one object per line.
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
    renderer: list[Processor]
    if log_format == "json":
        renderer = [_render_json]
    else:
        console = structlog.dev.ConsoleRenderer(colors=stream.isatty(), sort_keys=False)
        renderer = [make_visible, console]
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                # Before masking: an exception's text can hold a secret as well.
                structlog.processors.format_exc_info,
                mask_secrets,
                *renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(log_level)
    logging.captureWarnings(True)
    for name in LIBRARY_LOGGERS:
        library = logging.getLogger(name)
        library.handlers[:] = []
        library.propagate = True
    for name, level in MINIMUM_LEVELS.items():
        logging.getLogger(name).setLevel(max(level, root.level))
    logging.getLogger(AUDIT_LOGGER).setLevel(logging.INFO)
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
