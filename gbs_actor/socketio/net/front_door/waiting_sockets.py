"""Sockets whose first request has arrived, and that wait for its turn without a task."""

from __future__ import annotations

from collections.abc import Callable

import trio

from gbs_actor.socketio.net.front_door.admission import AdmittedConnection
from gbs_actor.socketio.net.front_door.listener import AcceptedSocket
from gbs_actor.socketio.net.front_door.turns import Turns
from gbs_actor.socketio.net.sockets import Socket


class WaitingSockets:
    """Keeps sockets until the turn of their request; closes them if they have to make room."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._waiting: dict[Socket, Callable[[], None]] = {}
        """What closes each."""
        self._none = trio.Event()

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self._waiting)

    def add(
        self,
        accepted: AcceptedSocket,
        admitted: AdmittedConnection,
        head: bytes,
        begin: Callable[[], None],
    ) -> None:
        """Call ``begin`` at the turn of a request; socket and admission are its own then.

        :param head: of the request.
        :param begin: must neither block nor raise.
        """
        socket = accepted.socket

        def turn() -> None:  # does not refer to its work: that would be a cycle for each socket
            self._remove(socket)
            begin()

        def close() -> None:
            self._turns.withdraw(work)
            self._remove(socket)
            socket.close()
            admitted.end()

        work = self._turns.queue(accepted.peer, head, turn)
        self._waiting[socket] = close
        admitted.on_eviction(close)

    def _remove(self, socket: Socket) -> None:
        del self._waiting[socket]
        if not self._waiting:
            self._none.set()

    async def wait_none(self) -> None:
        """Return when none waits. Cancelled, they wait on."""
        while self._waiting:
            self._none = trio.Event()
            await self._none.wait()

    def close_all(self) -> None:
        """Close those that wait."""
        for close in list(self._waiting.values()):
            close()
