"""The server of plain WebSockets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from typing import Final

import msgspec
import trio

from gbs_actor.auth import AuthError, Credentials, TokenSource
from gbs_actor.gateway.events import LineupEvents
from gbs_actor.gateway.format import PlainFormat
from gbs_actor.gateway.plain import closing
from gbs_actor.gateway.plain.closing import Closing
from gbs_actor.gateway.plain.connection import PlainConnection
from gbs_actor.gateway.plain.entrance import Entrance, selectable, slug_of, token_of
from gbs_actor.lineup.codes import Code
from gbs_actor.socketio import (
    ChannelServer,
    ConnectionLimit,
    ConnectionLimitReached,
    Handshake,
    Request,
    RequestRefused,
    ServerOptions,
    Transport,
    UpgradeTransport,
    offered_subprotocols,
)

PATH: Final = "/ws/retreats/"
"""The retreat's slug follows."""


class _Error(msgspec.Struct, frozen=True):
    code: str
    message: str


class PlainServer(ChannelServer[Entrance]):
    """Serves ``/ws/retreats/{slug}``.

    Who may not enter learns it from the close code of a WebSocket that was opened, since
    that is all a page's script ever sees; a page of a foreign origin learns nothing.

    :param options: those of the Socket.IO server beside it; its path does not matter.
    :param connection_limit: shared with that server.
    """

    def __init__(
        self, events: LineupEvents, options: ServerOptions, connection_limit: ConnectionLimit
    ) -> None:
        super().__init__(options, connection_limit)
        self._events = events
        self._format = PlainFormat()

    @property
    def path(self) -> str:
        """See :class:`~gbs_actor.socketio.ChannelServer`."""
        return PATH

    @contextmanager
    def _accept(self, request: Request, peer: str | None, *, secure: bool) -> Iterator[Entrance]:
        """See :class:`~gbs_actor.socketio.ChannelServer`."""
        if not self.accepting:
            error = _Error(Code.ROOM_UNAVAILABLE, "The server is shutting down; try again.")
            raise RequestRefused(HTTPStatus.SERVICE_UNAVAILABLE, error)
        handshake = self._handshake(request, peer, secure=secure)
        token = token_of(offered_subprotocols(handshake.headers))
        slug = slug_of(request.path, PATH)
        who = self._authenticated(token, handshake)
        if slug is None and isinstance(who, Credentials):
            who = closing.NO_SUCH_RETREAT
        full = self._acquire_connection(handshake.remote_address)
        if full is not None and isinstance(who, Credentials):
            who = full
        try:
            yield Entrance(slug or "", who, selectable(token))
        finally:
            if full is None:
                self.connection_limit.release(handshake.remote_address)

    def _authenticated(self, token: str | None, handshake: Handshake) -> Credentials | Closing:
        payload = None if token is None else {"token": token}
        found = self._events.find_token(payload, handshake)
        by_cookie = found is not None and found[1] is TokenSource.COOKIE
        origin = handshake.headers.get("origin")
        if by_cookie and self._origins.refuses(origin, handshake.host, handshake.cookies):
            error = _Error(Code.FORBIDDEN, "Pages of this origin may not connect.")
            raise RequestRefused(HTTPStatus.FORBIDDEN, error)
        try:
            return self._events.authenticate(found)
        except AuthError as refused:
            return closing.for_refusal(refused)

    def _acquire_connection(self, address: str | None) -> Closing | None:
        """Count a connection; where there are too many, return how it is closed."""
        try:
            self.connection_limit.acquire(address)
        except ConnectionLimitReached as full:
            return closing.TOO_MANY_OF_ADDRESS if full.of_address else closing.FULL
        return None

    def subprotocols(self, accepted: Entrance) -> Sequence[str]:
        """See :class:`~gbs_actor.socketio.ChannelServer`."""
        return accepted.subprotocols

    async def carry(self, transport: UpgradeTransport, accepted: Entrance) -> None:
        """See :class:`~gbs_actor.socketio.ChannelServer`."""
        self._handshakes += 1

        def make(transport: Transport, nursery: trio.Nursery) -> PlainConnection:
            return PlainConnection(
                transport,
                nursery,
                entrance=accepted,
                events=self._events,
                wire_format=self._format,
                options=self.options,
                timers=self._timers,
                on_end=self._count_end,
            )

        await self._run(make, transport)

    def bad_request(self, status: int) -> RequestRefused:
        """See :class:`~gbs_actor.socketio.ChannelServer`."""
        return RequestRefused(
            status, _Error(Code.VALIDATION_FAILED, "This is no WebSocket handshake.")
        )
