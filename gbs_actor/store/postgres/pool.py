"""A bounded pool of database sessions that are replaced when they break."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import trio

from gbs_actor.store.postgres.bridge import NotConnected, Session
from gbs_actor.store.protocol import StoreUnavailable

_FIRST_PAUSE = 0.02
_LONGEST_PAUSE = 0.5


@dataclass(frozen=True, slots=True)
class PoolStatistics:
    """How a pool is used."""

    open: int
    """Sessions that are connected."""
    idle: int
    """Those of them that nobody uses."""


class Pool:
    """At most ``size`` sessions, the one used last first, so that surplus ones stay idle.

    :param connect: makes a session until a deadline, or raises :exc:`NotConnected`.
    :param size: how many sessions there are at most.
    :param connect_timeout: seconds that a caller waits for a connection at most.
    """

    def __init__(
        self, connect: Callable[[float], Awaitable[Session]], *, size: int, connect_timeout: float
    ) -> None:
        self._connect = connect
        self._connect_timeout = connect_timeout
        self._slots = trio.CapacityLimiter(size)
        self._idle: list[Session] = []

    def statistics(self) -> PoolStatistics:
        """Return how many sessions there are; never blocks."""
        in_use = int(self._slots.borrowed_tokens)
        return PoolStatistics(open=in_use + len(self._idle), idle=len(self._idle))

    @asynccontextmanager
    async def session(self, deadline: float, *, fresh: bool = False) -> AsyncIterator[Session]:
        """Lend a session for the time of a block.

        Afterwards it is kept, unless it has broken or stands in a transaction.

        :param deadline: in Trio's time; connecting ends at ``connect_timeout`` if that is
            earlier.
        :param fresh: take none that was used before, and drop those that are idle: one of
            them turned out to be dead.
        :raises StoreUnavailable: there is none in time. Nothing was sent.
        """
        deadline = min(deadline, trio.current_time() + self._connect_timeout)
        borrower = object()
        with trio.CancelScope(deadline=deadline) as waiting:
            await self._slots.acquire_on_behalf_of(borrower)
        if waiting.cancelled_caught:
            raise StoreUnavailable("all connections to the database are in use")
        try:
            session = await self._take(deadline, fresh)
        except BaseException:
            self._slots.release_on_behalf_of(borrower)
            raise
        try:
            yield session
        finally:
            if session.usable:
                self._idle.append(session)
            else:
                session.terminate()
            self._slots.release_on_behalf_of(borrower)

    async def aclose(self, *, deadline: float) -> None:
        """Close the idle sessions; the others must have been given back."""
        while self._idle:
            await self._idle.pop().close(deadline=deadline)

    def drop_idle(self) -> None:
        """End the sessions that nobody uses."""
        while self._idle:
            self._idle.pop().terminate()

    async def _take(self, deadline: float, fresh: bool) -> Session:
        if fresh:
            self.drop_idle()
        while self._idle:
            session = self._idle.pop()
            if session.usable:
                return session
            session.terminate()
        return await connect_patiently(self._connect, deadline)


async def connect_patiently(
    connect: Callable[[float], Awaitable[Session]], deadline: float
) -> Session:
    """Connect, trying again while the server is starting or restarting.

    :param deadline: in Trio's time.
    :raises StoreUnavailable: until then there was no connection, or trying is of no use.
    """
    pause = _FIRST_PAUSE
    while True:
        try:
            return await connect(deadline)
        except NotConnected as error:
            if error.final or trio.current_time() + pause >= deadline:
                raise StoreUnavailable(f"the database cannot be reached: {error}") from None
        await trio.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)
