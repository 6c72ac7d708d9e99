"""A simulated listener, to which clients connect."""

from __future__ import annotations

import errno
import os
from collections import deque
from typing import Final

import trio

from gbs_actor.socketio import AcceptedSocket
from gbs_actor.testing.network.address import Address
from gbs_actor.testing.network.conditions import PERFECT, Conditions
from gbs_actor.testing.network.descriptors import Descriptors
from gbs_actor.testing.network.socket import SimSocket, socket_pair
from gbs_actor.testing.network.stream import SimStream

_ADDRESS: Final = Address("198.51.100.1", 80)
_BACKLOG: Final = 128


class AcceptedSimSocket(AcceptedSocket):
    """A simulated connection that was accepted, before it is made a stream."""

    __slots__ = ()

    def stream(self) -> SimStream:
        """Return a stream that owns the socket."""
        assert isinstance(self.socket, SimSocket)
        return SimStream(self.socket)


class SimListener(trio.abc.Listener[SimStream]):
    """Accepts simulated connections; the front door gets their sockets without streams.

    :param descriptors: of the process that listens.
    :param address: that it listens on.
    :param backlog: connections that are made before they are accepted.
    """

    def __init__(
        self,
        descriptors: Descriptors | None = None,
        *,
        address: Address = _ADDRESS,
        backlog: int = _BACKLOG,
    ) -> None:
        self.address = address
        self._descriptors = Descriptors() if descriptors is None else descriptors
        self._backlog = backlog
        self._waiting: deque[SimSocket] = deque()
        self._closed = False
        self._accepting = trio.lowlevel.ParkingLot()

    def connect(self, client: Address, conditions: Conditions = PERFECT) -> SimStream:
        """Return the client's end of a new connection.

        :param client: the address that it connects from.
        :raises ConnectionRefusedError: nobody listens, or too many connections wait.
        """
        if self._closed or len(self._waiting) >= self._backlog:
            raise ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))
        ours, theirs = socket_pair(client, self.address, conditions)
        self._waiting.append(theirs)
        self._accepting.unpark()
        return SimStream(ours)

    async def accept(self) -> SimStream:
        """Accept a connection. A checkpoint.

        :raises trio.ClosedResourceError: closed on this side.
        """
        return (await self.accept_socket()).stream()

    async def accept_socket(self) -> AcceptedSimSocket:
        """Accept as :meth:`accept` does, without a stream."""
        await trio.lowlevel.checkpoint()
        while not self._waiting:
            if self._closed:
                raise trio.ClosedResourceError("this listener was closed")
            await self._accepting.park()
        socket = self._waiting.popleft()
        self._descriptors.add(socket)
        return AcceptedSimSocket(socket, socket.peer_host)

    async def aclose(self) -> None:
        """Stop listening; reset the connections that were not accepted."""
        self.close()
        await trio.lowlevel.checkpoint()

    def close(self) -> None:
        """Do the same, without a checkpoint."""
        self._closed = True
        self._accepting.unpark_all()
        while self._waiting:
            self._waiting.popleft().cut()
