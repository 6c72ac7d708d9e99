"""The Socket.IO namespace ``/gbs-lineup``."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, Final

from gbs_actor.auth import AuthRefused
from gbs_actor.gateway.connection import Connection
from gbs_actor.gateway.events import LineupEvents, TooManyConnections
from gbs_actor.gateway.format import SocketIOFormat
from gbs_actor.gateway.socket_peer import SocketEvent, SocketPeer
from gbs_actor.socketio import ConnectRefused, Event, Namespace, Socket

NAMESPACE: Final = "/gbs-lineup"
TRY_AGAIN_LATER: Final = 1013
"""WebSocket close code (registry of RFC 6455 §7.4): clients come back with backoff."""


class LineupNamespace:
    """Serves ``/gbs-lineup`` of one Socket.IO server.

    :param namespace: registered on the server by the caller; this object puts its
        handlers on it and is the only one who does.
    """

    def __init__(self, namespace: Namespace, events: LineupEvents) -> None:
        self._events = events
        self._format = SocketIOFormat(namespace.name)
        self._connections: dict[str, Connection] = {}
        namespace.on_connect(self._connect)
        namespace.on_any(self._event)
        namespace.on_disconnect(self._disconnected)

    def _connect(self, socket: Socket, auth: Any) -> None:
        if socket.closed:
            return  # it would not be let in, so nobody would tell us of its end either
        try:
            found = self._events.find_token(auth, socket.handshake)
            credentials = self._events.authenticate(found)
        except AuthRefused as refused:
            raise ConnectRefused(refused.message, {"code": refused.code}) from None
        peer = SocketPeer(socket, self._format)
        try:
            self._connections[socket.id] = self._events.connect(peer, credentials)
        except TooManyConnections:
            # No CONNECT_ERROR: that would be final, and one of the others may end.
            socket.close_transport(TRY_AGAIN_LATER, "too many connections of this user")

    def _event(self, socket: Socket, event: Event) -> Awaitable[None] | None:
        return self._events.handle(self._connections[socket.id], SocketEvent(event))

    def _disconnected(self, socket: Socket, _reason: str) -> None:
        connection = self._connections.pop(socket.id, None)
        if connection is not None:  # else it was refused
            self._events.disconnected(connection)
