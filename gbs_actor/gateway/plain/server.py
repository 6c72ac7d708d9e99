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
    UnauthenticatedLimit,
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
    :param unauthenticated: shared with that server and with the front door.
    :param memory_limit: shared with that server; without it, this server has its own.
    """

    def __init__(
        self,
        clients: Clients,
        dispatch: Dispatch,
        options: ServerOptions,
        *,
        connection_limit: ConnectionLimit,
        unauthenticated: UnauthenticatedLimit,
        memory_limit: MemoryLimit | None = None,
    ) -> None:
        super().__init__(
            options,
            connection_limit=connection_limit,
            unauthenticated=unauthenticated,
            memory_limit=memory_limit,
        )
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
        with self._counted(handshake.remote_address, who) as outcome:
            presence = handshake.query.get("presence") != "false"
            yield PlainHandshake(slug or "", outcome, selectable(token), presence)

    def _authenticated(self, token: str | None, handshake: Handshake) -> Credentials | CloseFrame:
        payload = None if token is None else {"token": token}
        found = self._clients.find_token(payload, handshake)
        by_cookie = found is not None and found[1] is TokenSource.COOKIE
        origin = handshake.headers.get("origin")
        if by_cookie and self._origins.refuses(origin, handshake.own_origin, handshake.cookies):
            error = _Error(Code.FORBIDDEN, "Pages of this origin may not connect.")
            raise RequestRefused(HTTPStatus.FORBIDDEN, error)
        try:
            return self._clients.authenticate(found)
        except AuthError as refused:
            return close_frame.for_refusal(refused)

    @contextmanager
    def _counted(
        self, address: str | None, who: Credentials | CloseFrame
    ) -> Iterator[Credentials | CloseFrame]:
        """Count a client's connection within the block; if there are too many, refuse it.

        :raises RequestRefused: there is no room even for a WebSocket that is only closed.
        """
        if isinstance(who, Credentials):
            try:
                self.connection_limit.acquire(address)
            except ConnectionLimitReached as full:
                who = close_frame.TOO_MANY_OF_ADDRESS if full.of_address else close_frame.FULL
            else:
                try:
                    yield who
                finally:
                    self.connection_limit.release(address)
                return
        try:
            unauthenticated = self.unauthenticated.acquire(address, connection=True)
        except ConnectionLimitReached:
            error = _Error(Code.RATE_LIMITED, "There are too many connections; try again.")
            raise RequestRefused(HTTPStatus.SERVICE_UNAVAILABLE, error) from None
        try:
            yield who
        finally:
            unauthenticated.release()

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
