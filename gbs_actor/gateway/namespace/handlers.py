"""The handlers of the Socket.IO namespace ``/gbs-lineup``."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from gbs_actor.gateway.clients import TooManyConnections
from gbs_actor.gateway.dispatch import Dispatch
from gbs_actor.gateway.namespace.clients import SocketClients
from gbs_actor.gateway.namespace.invocation import SocketInvocation
from gbs_actor.socketio import CloseCode, Event, Namespace, Recovery, Socket


class LineupNamespace:
    """Serves ``/gbs-lineup`` of one Socket.IO server.

    :param namespace: registered on the server by the caller; only this object registers
        handlers on it.
    :param recovery: how clients resume; it connects clients, too.
    """

    def __init__(
        self,
        namespace: Namespace,
        dispatch: Dispatch,
        clients: SocketClients,
        recovery: Recovery,
    ) -> None:
        self._dispatch = dispatch
        self._errors = dispatch.errors
        self._clients = clients
        namespace.recovery = recovery
        namespace.on_connect(self._connect)
        namespace.on_any(self._event)
        namespace.on_disconnect(self._disconnected)

    def _connect(self, socket: Socket, _auth: Any) -> None:
        if socket.recovered:
            socket.forget_auth()
            return  # its client exists already
        if socket.closed:
            return  # it would not be accepted, so its end would not be reported either
        credentials = self._clients.authenticate(socket)
        try:
            self._clients.connect(socket, credentials)
            socket.forget_auth()
        except TooManyConnections:
            # No CONNECT_ERROR: that would be final, and one of the others may end.
            socket.close_transport(CloseCode.TRY_AGAIN_LATER, "too many connections of this user")

    def _event(self, socket: Socket, event: Event) -> Awaitable[None] | None:
        client = self._clients.of(socket)
        assert client is not None
        return self._dispatch.handle(client, SocketInvocation(client.peer, event, self._errors))

    def _disconnected(self, socket: Socket, _reason: str) -> None:
        if self._clients.of(socket) is not None:  # else it was refused
            self._clients.disconnected(socket.id)
