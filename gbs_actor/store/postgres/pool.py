"""A bounded pool of database connections that are replaced when they break."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

import msgspec
import trio

from gbs_actor.concurrency import Backoff
from gbs_actor.store.postgres.connection import DbConnection, NotConnected
from gbs_actor.store.protocol import StoreUnavailable

Connect = Callable[[float], Awaitable[DbConnection]]
"""Opens a connection until a deadline in Trio's time, or raises :exc:`NotConnected`."""

_RECONNECT: Final = Backoff(initial=0.02, maximum=0.5)


class PoolStatistics(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How a pool is used."""

    open: int
    """Connections that are open."""
    idle: int
    """The open connections that are idle."""
    waiting: int
    """Callers that wait for one."""


class Pool:
    """At most ``size`` connections; reuses the one used last, so that surplus ones stay idle.

    :param size: how many connections there are at most.
    :param connect_timeout: seconds that a caller waits for a connection at most.
    """

    def __init__(self, connect: Connect, *, size: int, connect_timeout: float) -> None:
        self._connect = connect
        self._connect_timeout = connect_timeout
        self._size = size
        self._slots = trio.Semaphore(size)
        self._idle: list[DbConnection] = []

    def statistics(self) -> PoolStatistics:
        """Return how many connections there are; never blocks."""
        in_use = self._size - self._slots.value
        return PoolStatistics(
            open=in_use + len(self._idle),
            idle=len(self._idle),
            waiting=self._slots.statistics().tasks_waiting,
        )

    @asynccontextmanager
    async def connection(
        self, deadline: float, *, fresh: bool = False
    ) -> AsyncIterator[DbConnection]:
        """Check out a connection within the block.

        Afterwards it is kept, unless it is broken or in a transaction.

        :param deadline: in Trio's time; connecting ends at ``connect_timeout`` if that is
            earlier.
        :param fresh: open a new one, and terminate the idle ones, as one of them was
            broken.
        :raises StoreUnavailable: there is none in time. Nothing was sent.
        """
        deadline = min(deadline, trio.current_time() + self._connect_timeout)
        try:
            # The usual case costs no switch of tasks: the caller's query has its own.
            self._slots.acquire_nowait()
        except trio.WouldBlock:
            with trio.CancelScope(deadline=deadline) as waiting:
                await self._slots.acquire()
            if waiting.cancelled_caught:
                raise StoreUnavailable("all connections to the database are in use") from None
        try:
            connection = await self._take(deadline, fresh)
        except BaseException:
            self._slots.release()
            raise
        try:
            yield connection
        finally:
            if connection.closed or connection.in_transaction:
                connection.terminate()
            else:
                self._idle.append(connection)
            self._slots.release()

    async def aclose(self, *, deadline: float) -> None:
        """Close the idle connections; the others must have been returned."""
        while self._idle:
            await self._idle.pop().close(deadline=deadline)

    def end_idle(self) -> None:
        """Terminate the idle connections."""
        while self._idle:
            self._idle.pop().terminate()

    async def _take(self, deadline: float, fresh: bool) -> DbConnection:
        if fresh:
            self.end_idle()
        while self._idle:
            connection = self._idle.pop()
            if connection.is_usable():
                return connection
            connection.terminate()
        return await connect_with_retries(self._connect, deadline)


async def connect_with_retries(connect: Connect, deadline: float) -> DbConnection:
    """Connect, retrying while the server is starting or restarting.

    :param deadline: in Trio's time.
    :raises StoreUnavailable: there was no connection in time, or a retry would not help.
    """
    for pause in _RECONNECT.delays():
        try:
            return await connect(deadline)
        except NotConnected as error:
            if error.final or trio.current_time() + pause >= deadline:
                raise StoreUnavailable(f"the database cannot be reached: {error}") from None
        await trio.sleep(pause)
    raise AssertionError("delays end")  # pragma: no cover
