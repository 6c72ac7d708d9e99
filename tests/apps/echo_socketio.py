"""The server that the Engine.IO and Socket.IO protocol test suites ask for.

Run with ``python -m tests.apps.echo_socketio --port 3000``.
"""

from __future__ import annotations

from typing import Any

from gbs_actor.socketio import Namespace, Socket, SocketServer
from tests.apps.command import main


def echo(space: Namespace) -> None:
    """Give a namespace the handlers of the test suites."""

    @space.on_connect
    def connect(socket: Socket, auth: Any) -> None:
        socket.emit("auth", {} if auth is None else auth)

    @space.on("message")
    def message(socket: Socket, *args: Any) -> None:
        socket.emit("message-back", *args)

    @space.on("message-with-ack")
    def message_with_ack(socket: Socket, *args: Any) -> tuple[Any, ...]:
        return args


def echo_server(**options: Any) -> SocketServer:
    """Return a server with the namespaces ``/`` and ``/custom``."""
    server = SocketServer(**options)
    echo(server.namespace("/"))
    echo(server.namespace("/custom"))
    return server


if __name__ == "__main__":
    main(echo_server, str(__doc__))
