"""Helpers on top of Trio: back-off, service tasks, exceptions in groups, tracebacks.

A *service* is a task that must not end before its owner does and must not take it down:
see :class:`Service`. Critical tasks run without one: their exceptions end the server, see
``gbs_actor/server``.
"""

from gbs_actor.concurrency.background import background
from gbs_actor.concurrency.backoff import Backoff
from gbs_actor.concurrency.exceptions import exceptions_in, first_exception
from gbs_actor.concurrency.service import Service, ServiceStatistics
from gbs_actor.concurrency.tracebacks import in_one_line, traceback_of

__all__ = [
    "Backoff",
    "Service",
    "ServiceStatistics",
    "background",
    "exceptions_in",
    "first_exception",
    "in_one_line",
    "traceback_of",
]
