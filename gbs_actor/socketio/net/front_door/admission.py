"""Which accepted connections are served: within the limits, or in place of idle strangers."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Self

import trio

from gbs_actor.socketio.net.connection_limit import ConnectionLimit, ConnectionLimitReached
from gbs_actor.socketio.net.trusted_proxies import TrustedProxies
from gbs_actor.socketio.net.unauthenticated import Unauthenticated, UnauthenticatedLimit


class Admission:
    """Admits the connections of one listener.

    Those of a trusted proxy count in all only: each carries requests of many clients, and
    their sessions count by the forwarded address.

    :param limit: of all connections.
    :param unauthenticated: of those that no client is authenticated on.
    """

    def __init__(
        self,
        limit: ConnectionLimit,
        unauthenticated: UnauthenticatedLimit,
        trusted_proxies: TrustedProxies,
    ) -> None:
        self._limit = limit
        self.unauthenticated = unauthenticated
        self._trusted_proxies = trusted_proxies

    def admit(self, peer: str | None) -> AdmittedConnection:
        """Return a connection that counts until the end of its block, or :meth:`~.end`.

        :param peer: IP address of its other end; ``None`` if it has none.
        :raises ConnectionLimitReached: there is no room.
        """
        if self._trusted_proxies.trusts(peer):
            self._acquire(None)
            return AdmittedConnection(None, self._limit, None)
        connection = AdmittedConnection(peer, self._limit, self.unauthenticated)
        connection.idle()  # first: nobody makes room for an address that has no room itself
        try:
            self._acquire(peer)
        except ConnectionLimitReached:
            connection.busy()
            raise
        return connection

    def _acquire(self, address: str | None) -> None:
        try:
            self._limit.acquire(address)
        except ConnectionLimitReached as full:
            if full.of_address or not self._close_one(address):
                raise
            self._limit.acquire(address, above_total=True)

    def _close_one(self, address: str | None) -> bool:
        """Evict until a connection is about to close; return whether one is."""
        while (evicted := self.unauthenticated.make_room(address)) is not None:
            if evicted.connection:
                return True
        return False


class AdmittedConnection:
    """A connection within the limits; cancelled if it is idle and has to make room.

    It counts as unauthenticated from the beginning; see :meth:`busy`.
    """

    def __init__(
        self,
        address: str | None,
        limit: ConnectionLimit,
        unauthenticated: UnauthenticatedLimit | None,
    ) -> None:
        self._address = address
        self._limit: ConnectionLimit | None = limit
        self._unauthenticated = unauthenticated
        self._entry: Unauthenticated | None = None
        self._scope = trio.CancelScope()

    def busy(self) -> None:
        """Stop counting as unauthenticated: a request is in flight, or a session counts."""
        if self._entry is not None:
            self._entry.release()
            self._entry = None

    def idle(self) -> None:
        """Count as unauthenticated, from now on.

        :raises ConnectionLimitReached: there is no room; it should be closed.
        """
        if self._unauthenticated is not None and self._entry is None:
            self._entry = self._unauthenticated.acquire(self._address, connection=True)
            self._entry.on_eviction(self._scope.cancel)

    def on_eviction(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` when it has to make room, as it has no block yet; must not block."""
        if self._entry is not None:
            self._entry.on_eviction(callback)

    def detach(self) -> str | None:
        """Leave the limit to the caller: it counts on when the block has ended.

        :returns: the address that it counts for.
        """
        self._limit = None
        return self._address

    def end(self) -> None:
        """Stop counting, at the end of the block or in place of one."""
        self.busy()
        if self._limit is not None:
            self._limit.release(self._address)

    def __enter__(self) -> Self:
        """Begin the block that serves the connection."""
        self._scope.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        """End it; an eviction is no exception."""
        self.end()
        return self._scope.__exit__(kind, error, traceback)
