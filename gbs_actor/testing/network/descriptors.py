"""Numbers of simulated sockets."""

from __future__ import annotations

import errno
import os
from heapq import heappop, heappush
from typing import Final

from gbs_actor.testing.network.socket import SimSocket

_FIRST: Final = 1 << 20
"""Above what systems allow: a number that strays to a real system call is none (EBADF) there."""


class Descriptors:
    """The open sockets of one simulated process. The lowest free number is used next."""

    def __init__(self) -> None:
        self._sockets: dict[int, SimSocket] = {}
        self._free: list[int] = []

    def __len__(self) -> int:
        """Return how many are open."""
        return len(self._sockets)

    def add(self, socket: SimSocket) -> None:
        """Give a new socket its number; that is free again when the socket is closed."""
        fd = heappop(self._free) if self._free else _FIRST + len(self._sockets)
        self._sockets[fd] = socket
        socket.open_as(fd, self._remove)

    def _remove(self, fd: int) -> None:
        del self._sockets[fd]
        heappush(self._free, fd)

    def cut(self) -> None:
        """Reset all connections, in one step, as the end of the process does."""
        for socket in tuple(self._sockets.values()):
            socket.cut()

    def socket(self, fd: int) -> SimSocket:
        """Return an open socket.

        :raises OSError: there is none of this number (EBADF).
        """
        try:
            return self._sockets[fd]
        except KeyError:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF)) from None
