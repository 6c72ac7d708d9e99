"""Notifies operators of the clients of the namespace that do not keep up."""

from __future__ import annotations

from gbs_actor.gateway.clients import Clients
from gbs_actor.gateway.namespace.clients import SocketClients
from gbs_actor.socketio import Observer, Socket


class LaggingObserver(Observer):
    """Sees who falls behind and who catches up; see :meth:`.Clients.lag_changed`."""

    def __init__(self, clients: Clients, sockets: SocketClients) -> None:
        self._clients = clients
        self._sockets = sockets

    def fell_behind(self, socket: Socket) -> None:
        """Notify operators."""
        self._lag_changed(socket, lagging=True)

    def caught_up(self, socket: Socket) -> None:
        """Notify operators."""
        self._lag_changed(socket, lagging=False)

    def _lag_changed(self, socket: Socket, *, lagging: bool) -> None:
        client = self._sockets.of(socket)
        if client is not None:
            self._clients.lag_changed(client, lagging=lagging)
