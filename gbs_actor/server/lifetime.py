"""Graceful shutdown: a cancellation requests it, and takes effect after the grace period."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

logger = logging.getLogger(__name__)


class Lifetime:
    """The shutdown of a running server; see :func:`graceful`."""

    def __init__(self, scope: trio.CancelScope, requested: trio.Event, grace: float) -> None:
        self._scope = scope
        self._requested = requested
        self.grace = grace
        """Seconds between the request and the cancellation."""

    def started(self) -> None:
        """From now on treat a cancellation as a request. Before this it takes effect at once."""
        self._scope.shield = True

    def request_shutdown(self) -> None:
        """Request it from inside, as a cancellation from outside does. Idempotent."""
        self._requested.set()

    async def wait_for_shutdown(self) -> None:
        """Return when shutdown is requested; the grace period runs from then on."""
        await self._requested.wait()
        self._scope.deadline = trio.current_time() + self.grace


@asynccontextmanager
async def graceful(grace: float) -> AsyncIterator[Lifetime]:
    """Delay a cancellation of the block by a grace period.

    Once the block has called :meth:`Lifetime.started`, a cancellation from outside only ends
    :meth:`Lifetime.wait_for_shutdown`. What is not done ``grace`` seconds later is cancelled.

    :param grace: seconds.
    """
    requested = trio.Event()
    async with trio.open_nursery() as nursery:
        await nursery.start(_notice_cancellation, requested)
        with trio.CancelScope() as scope:
            yield Lifetime(scope, requested, grace)
        if scope.cancelled_caught:
            logger.warning("not everything ended within %g s", grace)
        nursery.cancel_scope.cancel()


async def _notice_cancellation(
    requested: trio.Event, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    task_status.started()
    try:
        await trio.sleep_forever()
    finally:
        requested.set()
