"""Connections that their handler keeps when the front door's task for them has ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import trio

from gbs_actor.socketio.net.connection_limit import ConnectionLimit


class Detached(Protocol):
    """A connection that no task of the front door belongs to any more."""

    def on_close(self, callback: Callable[[Detached], None]) -> None:
        """Call ``callback`` with the connection when it is closed; at once if it is already."""
        ...

    def drop(self) -> None:
        """End the connection at once; does not block."""
        ...


class DetachedConnections:
    """Counts detached connections until they are closed.

    :param limit: counts them, too.
    """

    def __init__(self, limit: ConnectionLimit) -> None:
        self._limit = limit
        self._addresses: dict[Detached, str | None] = {}
        """What each counts for."""
        self._all_closed = trio.Event()
        self._on_close = self._closed  # one for all

    def __len__(self) -> int:
        """Return how many are open."""
        return len(self._addresses)

    def add(self, connection: Detached, address: str | None) -> None:
        """Count a connection.

        :param address: that the limit has counted it for.
        """
        self._addresses[connection] = address
        connection.on_close(self._on_close)

    def _closed(self, connection: Detached) -> None:
        self._limit.release(self._addresses.pop(connection))
        if not self._addresses:
            self._all_closed.set()

    async def wait_closed(self) -> None:
        """Return when there is none. Cancelled, they stay open."""
        while self._addresses:
            self._all_closed = trio.Event()
            await self._all_closed.wait()

    def drop_all(self) -> None:
        """End all that are open."""
        for connection in list(self._addresses):
            connection.drop()
