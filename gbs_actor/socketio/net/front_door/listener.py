"""A TCP listener that accepts a burst of connections quickly."""

from __future__ import annotations

import os
import socket as stdlib
from contextlib import suppress
from sys import intern
from typing import Final, NamedTuple, Protocol, runtime_checkable

import trio

from gbs_actor.socketio.net.peer import peer_address, take_socket
from gbs_actor.socketio.net.sockets import Socket

_AT_ONCE: Final = 4
"""Connections that are accepted before other tasks run."""
_INHERITED: Final = {stdlib.TCP_NODELAY: 1}  # by accepted sockets, as Trio sets them on streams
if hasattr(stdlib, "TCP_NOTSENT_LOWAT"):
    _INHERITED[stdlib.TCP_NOTSENT_LOWAT] = 2**14


class AcceptedSocket(NamedTuple):
    """A connection that was accepted, before it is made a stream."""

    socket: Socket
    """Does not block."""
    peer: str | None
    """IP address of its other end; ``None`` if it broke already."""

    def stream(self) -> trio.abc.HalfCloseableStream:
        """Return a stream that owns the socket."""
        return _socket_stream(self.socket)


@runtime_checkable
class SocketListener(Protocol):
    """A listener that gives connections out before they are made streams."""

    async def accept_socket(self) -> AcceptedSocket:
        """Accept a connection as :meth:`trio.abc.Listener.accept` does, without a stream."""
        ...


class TcpListener(trio.abc.Listener[trio.SocketStream]):
    """Accepts several connections in one pass of the scheduler.

    :class:`trio.SocketListener` accepts one. In a burst of thousands from one address, those
    of other addresses would wait in the kernel's queue meanwhile, or be dropped from it.

    :param listener: is owned by this one from now on.
    """

    def __init__(self, listener: trio.SocketListener) -> None:
        self.socket = listener.socket
        """The listening socket."""
        self._listener = listener
        self._same = stdlib.socket(fileno=os.dup(listener.socket.fileno()))
        self._same.setblocking(False)
        for option, value in _INHERITED.items():
            with suppress(OSError):
                self._same.setsockopt(stdlib.IPPROTO_TCP, option, value)
        self._in_a_row = 0

    async def accept(self) -> trio.SocketStream:
        """Accept a connection; a checkpoint only if there is none, and once every few calls.

        :raises OSError: the system cannot accept one: too few descriptors, or too little memory.
        :raises trio.ClosedResourceError: closed on this side.
        """
        return _socket_stream((await self.accept_socket()).socket)

    async def accept_socket(self) -> AcceptedSocket:
        """Accept as :meth:`accept` does, without a stream."""
        if self._in_a_row == _AT_ONCE:
            self._in_a_row = 0
            await trio.lowlevel.checkpoint()
        self._in_a_row += 1
        while True:
            try:
                accepted, address = self._same.accept()
            except BlockingIOError:
                self._in_a_row = 1
                await trio.lowlevel.wait_readable(self._same)
            except OSError:  # Trio's listener ignores it, or raises
                stream = await self._listener.accept()
                peer, socket = peer_address(stream), take_socket(stream)
                assert socket is not None
                return AcceptedSocket(socket, peer)
            else:
                accepted.setblocking(False)
                return AcceptedSocket(accepted, intern(address[0]))  # the connection keeps it

    async def aclose(self) -> None:
        """Stop listening."""
        with suppress(OSError):
            trio.lowlevel.notify_closing(self._same)
        self._same.close()
        await self._listener.aclose()


def _socket_stream(socket: Socket) -> trio.SocketStream:
    assert isinstance(socket, stdlib.socket)
    return trio.SocketStream(trio.socket.from_stdlib_socket(socket))
