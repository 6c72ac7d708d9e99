"""Runs a case in an event loop of its own, on a clock that jumps, and watches what it leaves."""

from __future__ import annotations

import gc
import logging
import sys
import warnings
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import trio

from gbs_actor.testing.scheduling import run

T = TypeVar("T")

ON_PURPOSE: Final = "on purpose"
"""The text of exceptions that a case raises itself; they may be logged."""


def simulate(scenario: Callable[[], Awaitable[None]], order: int = 0) -> None:
    """Run a scenario to its end, in no time at all.

    :param order: decides which of several tasks runs first.
    :raises AssertionError: the scenario is wrong, or something was logged or warned of.
    """
    with no_complaints():
        run(scenario, seed=order)


def living_tasks() -> int:
    """Return the number of tasks in the event loop."""
    return trio.lowlevel.current_statistics().tasks_living


def instances(kind: type[T]) -> list[T]:
    """Return the objects of a type that are in memory."""
    gc.collect()
    return [each for each in gc.get_objects() if isinstance(each, kind)]


class _Recorder(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if str(error) != ON_PURPOSE:
            self.texts.append(self.format(record))


@contextmanager
def no_complaints() -> Iterator[None]:
    """Check that the block logs no warning, causes none, and no finaliser raises in it."""
    recorder = _Recorder()
    loggers = [logging.getLogger(name) for name in ("gbs_actor", "hypercorn.error")]
    before = [logger.propagate for logger in loggers]
    hook = sys.unraisablehook

    def unraisable(args: Any) -> None:
        recorder.texts.append(f"{args.err_msg}: {args.exc_value!r} in {args.object!r}")

    for logger in loggers:
        logger.propagate = False
        logger.addHandler(recorder)
    sys.unraisablehook = unraisable
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield
            gc.collect()
    finally:
        sys.unraisablehook = hook
        for logger, propagate in zip(loggers, before, strict=True):
            logger.removeHandler(recorder)
            logger.propagate = propagate
    complaints = [*recorder.texts, *(str(each.message) for each in caught)]
    assert not complaints, "\n".join(complaints)
