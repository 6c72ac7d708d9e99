"""The Socket.IO namespace ``/gbs-lineup``."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, Final

from gbs_actor.gateway.events import LineupEvents, TooManyConnections
from gbs_actor.gateway.namespace.clients import SocketConnections
from gbs_actor.gateway.namespace.peer import SocketEvent
from gbs_actor.socketio import CloseCode, Event, Namespace, Recovery, Socket

NAMESPACE: Final = "/gbs-lineup"


class LineupNamespace:
    """Serves ``/gbs-lineup`` of one Socket.IO server.

    :param namespace: registered on the server by the caller; this object puts its
        handlers on it and is the only one who does.
    :param recovery: how clients come back; it opens connections, too.
    """

    def __init__(
        self,
        namespace: Namespace,
        events: LineupEvents,
        connections: SocketConnections,
        recovery: Recovery,
    ) -> None:
        self._events = events
        self._connections = connections
        namespace.recovery = recovery
        namespace.on_connect(self._connect)
        namespace.on_any(self._event)
        namespace.on_disconnect(self._disconnected)

    def _connect(self, socket: Socket, _auth: Any) -> None:
        if socket.recovered:
            return  # its connection is there already
        if socket.closed:
            return  # it would not be let in, so nobody would tell us of its end either
        credentials = self._connections.authenticate(socket)
        try:
            self._connections.open(socket, credentials)
        except TooManyConnections:
            # No CONNECT_ERROR: that would be final, and one of the others may end.
            socket.close_transport(CloseCode.TRY_AGAIN_LATER, "too many connections of this user")

    def _event(self, socket: Socket, event: Event) -> Awaitable[None] | None:
        connection = self._connections.of(socket)
        assert connection is not None
        return self._events.handle(connection, SocketEvent(event))

    def _disconnected(self, socket: Socket, _reason: str) -> None:
        if self._connections.of(socket) is not None:  # else it was refused
            self._connections.close(socket.id)
