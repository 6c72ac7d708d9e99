"""A task that runs beside a block and ends with it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import trio


@asynccontextmanager
async def background(task: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """Run ``task`` for the time of a block, then cancel it.

    An exception of the block leaves as it is; a nursery would put it into a group, which
    nobody could catch by its type. One of the task cancels the block and leaves in a group,
    beside the block's own where both fail.
    """
    failure: Exception | None = None
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(task)
            try:
                yield
            except Exception as error:  # noqa: BLE001  (raised below)
                failure = error
            nursery.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        if failure is None:
            raise
        message = "the block and the task beside it failed"
        raise BaseExceptionGroup(message, [failure, *group.exceptions]) from None
    if failure is not None:
        raise failure
