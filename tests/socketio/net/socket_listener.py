"""A listener whose accepted connections are plain sockets, without a network."""

from __future__ import annotations

import socket as stdlib
from collections.abc import Callable
from typing import Any

import trio

from gbs_actor.socketio import TcpListener
from gbs_actor.socketio.net.front_door.listener import AcceptedSocket
from gbs_actor.socketio.net.sockets import Socket


class SocketListener(TcpListener):
    """Accepts the server ends of socket pairs."""

    def __init__(self) -> None:
        self._send, self._receive = trio.open_memory_channel[AcceptedSocket](1_000)

    def dial(self, first: bytes = b"", peer: str = "192.0.2.1") -> trio.SocketStream:
        """Return the client end of a new connection.

        :param first: sent before it is accepted.
        :param peer: the client's IP address.
        """
        client, server = stdlib.socketpair()
        client.sendall(first)
        self.add(server, peer)
        return trio.SocketStream(trio.socket.from_stdlib_socket(client))

    def add(self, server: stdlib.socket, peer: str = "192.0.2.1") -> None:
        """Accept the server end of a connection."""
        server.setblocking(False)
        self._send.send_nowait(AcceptedSocket(server, peer))

    async def accept_socket(self) -> AcceptedSocket:
        return await self._receive.receive()

    async def aclose(self) -> None:
        await self._receive.aclose()


class Kept:
    """A connection that a handler keeps until it is dropped."""

    def __init__(self, socket: Socket) -> None:
        self._socket = socket
        self._on_close: Callable[[Any], None] | None = None

    def on_close(self, callback: Callable[[Any], None]) -> None:
        self._on_close = callback

    def drop(self) -> None:
        self._socket.close()
        on_close, self._on_close = self._on_close, None
        if on_close is not None:
            on_close(self)
