"""A TCP listener that accepts a burst of connections quickly."""

from __future__ import annotations

import os
import socket
from typing import Final

import trio

_AT_ONCE: Final = 4
"""Connections that are accepted before other tasks run."""


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
        self._same = socket.socket(fileno=os.dup(listener.socket.fileno()))
        self._same.setblocking(False)
        self._in_a_row = 0

    async def accept(self) -> trio.SocketStream:
        """Accept a connection; a checkpoint only if there is none, and once every few calls.

        :raises OSError: the system cannot accept one: too few descriptors, or too little memory.
        :raises trio.ClosedResourceError: closed on this side.
        """
        if self._in_a_row < _AT_ONCE:
            self._in_a_row += 1
            try:
                accepted, _ = self._same.accept()
            except OSError:
                pass  # Trio's listener waits, ignores, or raises
            else:
                return trio.SocketStream(trio.socket.from_stdlib_socket(accepted))
        self._in_a_row = 0
        return await self._listener.accept()

    async def aclose(self) -> None:
        """Stop listening."""
        self._same.close()
        await self._listener.aclose()
