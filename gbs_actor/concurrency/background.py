"""A task that runs concurrently with a block and ends with it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import trio


@asynccontextmanager
async def background(task: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """Run ``task`` while the block runs, then cancel it.

    An exception of the block is raised unchanged, so that callers can catch it by its type; a
    nursery would wrap it in a group. An exception of the task cancels the block and is raised
    in a group, together with the block's if both fail.
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
        message = "the block and its task failed"
        raise BaseExceptionGroup(message, [failure, *group.exceptions]) from None
    if failure is not None:
        raise failure
