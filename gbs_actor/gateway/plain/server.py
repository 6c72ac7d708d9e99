"""The server of plain WebSockets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Final

import msgspec

from gbs_actor.auth import AuthError, Credentials, TokenSource
from gbs_actor.contract.batch_form import BATCH_FORM
from gbs_actor.environment import SYSTEM, Environment
from gbs_actor.gateway.clients import Clients
from gbs_actor.gateway.closed_sessions import ClosedSessions
from gbs_actor.gateway.dispatch import Dispatch
from gbs_actor.gateway.plain import close_frame
from gbs_actor.gateway.plain.channel import PlainChannel
from gbs_actor.gateway.plain.close_frame import CloseFrame
from gbs_actor.gateway.plain.frame import PlainFormat
from gbs_actor.gateway.plain.handshake import PlainHandshake, selectable, slug_of, token_of
from gbs_actor.lineup.codes import Code
from gbs_actor.socketio import (
    Channel,
    ChannelServer,
    ChannelTasks,
    ConnectionLimit,
    ConnectionLimitReached,
    Handshake,
    MemoryLimit,
    Plane,
    Request,
    RequestRefused,
    ServerOptions,
    UnauthenticatedLimit,
    UpgradeTransport,
    offered_subprotocols,
    open_plane,
)

PATH: Final = "/ws/retreats/"
"""The retreat's slug follows."""


class _Error(msgspec.Struct, frozen=True):
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class AcceptedClient:
    """A client whose WebSocket may be opened."""

    handshake: PlainHandshake
    release: Callable[[], None]
    """Ends the count of its connection."""


class PlainServer(ChannelServer[AcceptedClient]):
    """Serves ``/ws/retreats/{slug}``.

    A refused client's WebSocket is opened, and closed with the reason as its close code, since a
    page's script can read nothing else; a page of a foreign origin gets no reason.

    :param options: those of the Socket.IO server beside it; its path does not matter.
    :param connection_limit: shared with that server.
    :param unauthenticated: shared with that server and with the front door.
    :param closed_sessions: what ends and what is refused is added to them.
    :param memory_limit: shared with that server; without it, this server has its own.
    :param plane: see :class:`~gbs_actor.socketio.ChannelServer`.
    """

    def __init__(
        self,
        clients: Clients,
        dispatch: Dispatch,
        options: ServerOptions,
        *,
        connection_limit: ConnectionLimit,
        unauthenticated: UnauthenticatedLimit,
        closed_sessions: ClosedSessions,
        memory_limit: MemoryLimit | None = None,
        environment: Environment = SYSTEM,
        plane: Callable[[], Plane | None] = open_plane,
    ) -> None:
        super().__init__(
            options,
            connection_limit=connection_limit,
            unauthenticated=unauthenticated,
            memory_limit=memory_limit,
            environment=environment,
            plane=plane,
        )
        self._clients = clients
        self._dispatch = dispatch
        self._closed = closed_sessions
        self._formats = {batched: PlainFormat(batched=batched) for batched in (False, True)}

    @property
    def path(self) -> str:
        """See :class:`~gbs_actor.socketio.ChannelServer`."""
        return PATH

    def accept(self, request: Request, peer: str | None, *, secure: bool) -> AcceptedClient:
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
        who, release = self._count(handshake.remote_address, who)
        query = handshake.query
        made = PlainHandshake(
            slug or "",
            who,
            selectable(token),
            handshake.remote_address,
            handshake.headers.get("user-agent"),
            self.environment.wall(),
            wants_presence=query.get("presence") != "false",
            wants_batches=query.get("updates") == BATCH_FORM,
        )
        return AcceptedClient(made, release)

    def release(self, accepted: AcceptedClient) -> None:
        """See :class:`~gbs_actor.socketio.ChannelServer`."""
        accepted.release()

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

    def _count(
        self, address: str | None, who: Credentials | CloseFrame
    ) -> tuple[Credentials | CloseFrame, Callable[[], None]]:
        """Count a client's connection; if there are too many, refuse it.

        :returns: who it is, or the reason to close it, and what ends the count.
        :raises RequestRefused: there is no room even for a WebSocket that is only closed.
        """
        if isinstance(who, Credentials):
            try:
                self.connection_limit.acquire(address)
            except ConnectionLimitReached as full:
                who = close_frame.TOO_MANY_OF_ADDRESS if full.of_address else close_frame.FULL
            else:
                return who, partial(self.connection_limit.release, address)
        try:
            unauthenticated = self.unauthenticated.acquire(address, connection=True)
        except ConnectionLimitReached:
            error = _Error(Code.RATE_LIMITED, "There are too many connections; try again.")
            raise RequestRefused(HTTPStatus.SERVICE_UNAVAILABLE, error) from None
        return who, unauthenticated.release

    def subprotocols(self, accepted: AcceptedClient) -> Sequence[str]:
        """See :class:`~gbs_actor.socketio.ChannelServer`."""
        return accepted.handshake.subprotocols

    def make_channel(
        self, transport: UpgradeTransport, tasks: ChannelTasks, accepted: AcceptedClient
    ) -> PlainChannel:
        """See :class:`~gbs_actor.socketio.ChannelServer`."""
        self._handshakes += 1
        return PlainChannel(
            transport,
            tasks,
            handshake=accepted.handshake,
            clients=self._clients,
            dispatch=self._dispatch,
            wire_format=self._formats[accepted.handshake.wants_batches],
            options=self.options,
            wheel=self._wheel,
            on_end=self._ended,
        )

    def _ended(self, channel: Channel, reason: str) -> None:
        self.channels.ended(channel, reason)
        assert isinstance(channel, PlainChannel)
        handshake, client = channel.handshake, channel.client
        address, opened_at, text = handshake.address, handshake.opened_at, channel.close_text
        if client is None:
            self._closed.add_refused(
                "websocket", "websocket", text or reason, address=address, opened_at=opened_at
            )
        else:
            self._closed.add_ended(
                "websocket",
                "websocket",
                reason,
                text,
                client=client,
                address=address,
                opened_at=opened_at,
                sid=client.sid,
            )

    def request_refused(self, request: Request, peer: str | None, refusal: RequestRefused) -> None:
        """See :class:`~gbs_actor.socketio.ChannelServer`."""
        address = self.client_address(request, peer)
        self._closed.add_refused_request("websocket", request, address, refusal)

    def bad_request(self, status: int) -> RequestRefused:
        """See :class:`~gbs_actor.socketio.ChannelServer`."""
        return RequestRefused(
            status, _Error(Code.VALIDATION_FAILED, "This is no WebSocket handshake.")
        )
