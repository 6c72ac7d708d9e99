"""How a server ends: cancellation is first a wish, and only after the grace period an order."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

logger = logging.getLogger(__name__)


class Lifetime:
    """A running server's view of its own end; see :func:`graceful`."""

    def __init__(self, scope: trio.CancelScope, wished: trio.Event, grace: float) -> None:
        self._scope = scope
        self._wished = wished
        self.grace = grace
        """Seconds between the wish and the end."""

    @property
    def ending(self) -> bool:
        """Whether the end was wished for."""
        return self._wished.is_set()

    def started(self) -> None:
        """Take cancellation as a wish from now on. Before this it acts at once."""
        self._scope.shield = True

    async def wait_for_wish(self) -> None:
        """Return when the server should end; the grace period runs from then on."""
        await self._wished.wait()
        self._scope.deadline = trio.current_time() + self.grace


@asynccontextmanager
async def graceful(grace: float) -> AsyncIterator[Lifetime]:
    """Give what runs in the block the time to end by itself when it is cancelled.

    Once the block has called :meth:`Lifetime.started`, a cancellation from outside only
    fulfils :meth:`Lifetime.wait_for_wish`. What is not done ``grace`` seconds later is
    cancelled.

    :param grace: seconds.
    """
    wished = trio.Event()
    async with trio.open_nursery() as nursery:
        await nursery.start(_notice_cancellation, wished)
        with trio.CancelScope() as scope:
            yield Lifetime(scope, wished, grace)
        if scope.cancelled_caught:
            logger.warning("not everything ended within %g s", grace)
        nursery.cancel_scope.cancel()


async def _notice_cancellation(
    wished: trio.Event, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    task_status.started()
    try:
        await trio.sleep_forever()
    finally:
        wished.set()
