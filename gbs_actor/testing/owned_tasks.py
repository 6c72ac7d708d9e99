"""Tasks that belong to a block, and what is raised when the block or one of them fails."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from gbs_actor.concurrency import exceptions_in


@asynccontextmanager
async def owned_tasks() -> AsyncIterator[trio.Nursery]:
    """Return a nursery for the block; its tasks are cancelled at the end.

    An exception of the block is raised as itself, not in a group, so that ``pytest.raises`` and
    ``pytest.skip`` work. So is that of a task, which cancels the block. If both fail, they are
    raised as a group.

    :raises RuntimeError: the block runs on another event loop than Trio's.
    """
    if not trio.lowlevel.in_trio_run():
        raise RuntimeError(
            "this needs Trio: run the test by trio.run, pytest-trio, or anyio's backend 'trio'"
        )
    failure: BaseException | None = None
    try:
        async with trio.open_nursery() as nursery:
            try:
                yield nursery
            except BaseException as error:  # noqa: BLE001  (raised below, outside of the group)
                failure = error
            nursery.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        if failure is not None and not isinstance(failure, trio.Cancelled):
            both = [failure, *group.exceptions]
            raise BaseExceptionGroup("the block and a task of its failed", both) from None
        errors = exceptions_in(group)
        if len(errors) == 1:
            raise errors[0] from errors[0].__cause__
        raise
    if failure is not None:
        raise failure
