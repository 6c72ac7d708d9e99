"""The tasks that serve connections, one each."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractContextManager, asynccontextmanager
from functools import partial
from typing import TypeVarTuple

import trio

Stream = trio.abc.HalfCloseableStream
Arguments = TypeVarTuple("Arguments")

logger = logging.getLogger(__name__)


class ConnectionTasks:
    """Runs the tasks of connections; what one raises ends that connection only."""

    def __init__(self) -> None:
        self._nursery: trio.Nursery | None = None
        self._running = 0
        self.failures = 0
        """Connections whose handler raised."""

    def __len__(self) -> int:
        """Return how many there are."""
        return self._running

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run tasks within the block; its end waits for them."""
        async with trio.open_nursery() as self._nursery:
            yield

    def start(
        self,
        stream: Stream,
        block: AbstractContextManager[object, bool | None],
        serve: Callable[[Stream, *Arguments], Awaitable[bool]],
        *arguments: *Arguments,
    ) -> None:
        """Serve a connection in a task.

        :param stream: closed at the end, unless it is kept.
        :param block: entered by the task.
        :param serve: gets the stream and the arguments; returns whether a handler keeps the
            connection, and so its socket.
        """
        assert self._nursery is not None
        self._running += 1
        self._nursery.start_soon(self._run, stream, block, partial(serve, stream, *arguments))

    async def _run(
        self,
        stream: Stream,
        block: AbstractContextManager[object, bool | None],
        serve: Callable[[], Awaitable[bool]],
    ) -> None:
        kept = False
        try:
            with block:
                kept = await serve()
        except* (trio.BrokenResourceError, trio.ClosedResourceError):
            logger.debug("a connection broke")
        except* Exception:
            self.failures += 1
            logger.exception("a connection failed")
        finally:
            self._running -= 1
            if not kept:
                await trio.aclose_forcefully(stream)
