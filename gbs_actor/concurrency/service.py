"""A task that is restarted after an exception, which is logged and counted."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
import trio

from gbs_actor.concurrency.backoff import Backoff
from gbs_actor.concurrency.exceptions import first_exception
from gbs_actor.environment import SYSTEM, Environment

logger = logging.getLogger(__name__)

BACKOFF: Final = Backoff(initial=0.1, maximum=30.0, jitter=0.5)
HEALTHY_AFTER: Final = 60.0
"""Seconds of running after which the back-off is reset."""


class ServiceStatistics(msgspec.Struct, frozen=True, rename="camel"):
    """A service at one moment. Counters run since it was made."""

    name: str
    running: bool
    """False before the start, in a pause and after the end."""
    failures: int
    """Exceptions that ended it; each is in the log."""
    last_error: str | None
    """Type and text of the last of them."""


class Service:
    """A task that must neither end before its owner nor take it down.

    :param name: for logs and statistics, e.g. ``"token expiry"``.
    :param serve: runs until cancelled; if it returns, the service has ended.
    :param backoff: the pauses between an exception and the next start.
    :param environment: where their jitter comes from.
    """

    def __init__(
        self,
        name: str,
        serve: Callable[[], Awaitable[None]],
        *,
        backoff: Backoff = BACKOFF,
        environment: Environment = SYSTEM,
    ) -> None:
        self._name = name
        self._serve = serve
        self._backoff = backoff
        self._chance = environment.chance
        self._running = False
        self._failures = 0
        self._last_error: str | None = None

    async def run(self) -> None:
        """Serve until cancelled, or until ``serve`` returns. Never raises an ``Exception``."""
        delays = self._backoff.delays(self._chance)
        while True:
            started = trio.current_time()
            if not await self._run_once():
                return
            if trio.current_time() - started >= HEALTHY_AFTER:
                delays = self._backoff.delays(self._chance)
            await trio.sleep(next(delays))

    async def _run_once(self) -> bool:
        """Serve until it returns or fails; return whether it failed.

        A failure that coincides with cancellation is logged before that goes on.
        """
        failed = False
        self._running = True
        try:
            await self._serve()
        except* Exception as errors:
            failed = True
            cause = first_exception(errors)
            self._failures += 1
            self._last_error = f"{type(cause).__name__}: {cause}"
            logger.exception("service %r failed and starts again", self._name)
        finally:
            self._running = False
        return failed

    def statistics(self) -> ServiceStatistics:
        """Return its state and counters; never blocks."""
        return ServiceStatistics(self._name, self._running, self._failures, self._last_error)
