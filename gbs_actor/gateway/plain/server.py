"""The server of plain WebSockets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from typing import Final

import msgspec
import trio

from gbs_actor.auth import AuthError, Credentials, TokenSource
from gbs_actor.gateway.clients import Clients
from gbs_actor.gateway.dispatch import Dispatch
from gbs_actor.gateway.plain import close_frame
from gbs_actor.gateway.plain.channel import PlainChannel
from gbs_actor.gateway.plain.close_frame import CloseFrame
from gbs_actor.gateway.plain.frame import PlainFormat
from gbs_actor.gateway.plain.handshake import PlainHandshake, selectable, slug_of, token_of
from gbs_actor.lineup.codes import Code
from gbs_actor.socketio import (
    ChannelServer,
    ConnectionLimit,
    ConnectionLimitReached,
    Handshake,
    MemoryLimit,
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


class PlainServer(ChannelServer[PlainHandshake]):
    """Serves ``/ws/retreats/{slug}``.

    A refused client's WebSocket is opened, and closed with the reason as its close code, since a
    page's script can read nothing else; a page of a foreign origin gets no reason.

    :param options: those of the Socket.IO server beside it; its path does not matter.
    :param connection_limit: shared with that server.
    :param memory_limit: the same; without it, this server has its own.
    """

    def __init__(
        self,
        clients: Clients,
        dispatch: Dispatch,
        options: ServerOptions,
        connection_limit: ConnectionLimit,
        memory_limit: MemoryLimit | None = None,
    ) -> None:
        super().__init__(options, connection_limit, memory_limit)
        self._clients = clients
        self._dispatch = dispatch
        self._format = PlainFormat()

    @property
    def path(self) -> str:
        """See :class:`~gbs_actor.socketio.ChannelServer`."""
        return PATH

    @contextmanager
    def _accept(
        self, request: Request, peer: str | None, *, secure: bool
    ) -> Iterator[PlainHandshake]:
        """See :class:`~gbs_actor.socketio.ChannelServer`."""
        if not self.accepting:
            error = _Error(Code.ROOM_UNAVAILABLE, "The server is shutting down; try again.")
            raise RequestRefused(HTTPStatus.SERVICE_UNAVAILABLE, error)
        handshake = self._handshake(request, peer, secure=secure)
        token = token_of(offered_subprotocols(handshake.headers))
        slug = slug_of(request.path, PATH)
        who = self._authenticated(token, handshake)
        if slug is None and isinstance(who, Credentials):
            who = close_frame.NO_SUCH_RETREAT
        full = self._acquire_connection(handshake.remote_address)
        if full is not None and isinstance(who, Credentials):
            who = full
        try:
            yield PlainHandshake(slug or "", who, selectable(token))
        finally:
            if full is None:
                self.connection_limit.release(handshake.remote_address)

    def _authenticated(self, token: str | None, handshake: Handshake) -> Credentials | CloseFrame:
        payload = None if token is None else {"token": token}
        found = self._clients.find_token(payload, handshake)
        by_cookie = found is not None and found[1] is TokenSource.COOKIE
        origin = handshake.headers.get("origin")
        if by_cookie and self._origins.refuses(origin, handshake.host, handshake.cookies):
            error = _Error(Code.FORBIDDEN, "Pages of this origin may not connect.")
            raise RequestRefused(HTTPStatus.FORBIDDEN, error)
        try:
            return self._clients.authenticate(found)
        except AuthError as refused:
            return close_frame.for_refusal(refused)

    def _acquire_connection(self, address: str | None) -> CloseFrame | None:
        """Count the connection; if there are too many, return the close frame."""
        try:
            self.connection_limit.acquire(address)
        except ConnectionLimitReached as full:
            return close_frame.TOO_MANY_OF_ADDRESS if full.of_address else close_frame.FULL
        return None

    def subprotocols(self, accepted: PlainHandshake) -> Sequence[str]:
        """See :class:`~gbs_actor.socketio.ChannelServer`."""
        return accepted.subprotocols

    async def carry(self, transport: UpgradeTransport, accepted: PlainHandshake) -> None:
        """See :class:`~gbs_actor.socketio.ChannelServer`."""
        self._handshakes += 1

        def make(transport: Transport, nursery: trio.Nursery) -> PlainChannel:
            return PlainChannel(
                transport,
                nursery,
                handshake=accepted,
                clients=self._clients,
                dispatch=self._dispatch,
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
