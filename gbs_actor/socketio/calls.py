"""Events of the server that wait for a client's acknowledgement."""

from __future__ import annotations

import trio

from gbs_actor.socketio.errors import SocketClosed


class _Call:
    __slots__ = ("ack", "ended")

    def __init__(self) -> None:
        self.ended = trio.Event()
        self.ack: tuple[str, tuple[bytes, ...]] | None = None


class PendingCalls:
    """The pending calls of one socket, by their ack ids."""

    __slots__ = ("_calls", "next_id")

    def __init__(self) -> None:
        self._calls: dict[int, _Call] = {}
        self.next_id = 0
        """The ack id of the next call."""

    def add(self) -> int:
        """Add a call and return its ack id; call :meth:`wait` at once."""
        ack_id = self.next_id
        self.next_id += 1
        self._calls[ack_id] = _Call()
        return ack_id

    async def wait(self, ack_id: int) -> tuple[str, tuple[bytes, ...]]:
        """Return the acknowledgement of a call: an undecoded JSON array, and attachments.

        Cancelled, the call is removed; a later acknowledgement is ignored.

        :raises SocketClosed: the socket has ended before.
        """
        call = self._calls[ack_id]
        try:
            await call.ended.wait()
        finally:
            self._calls.pop(ack_id, None)
        if call.ack is None:
            raise SocketClosed("the socket ended before it answered")
        return call.ack

    def receive_ack(self, ack_id: int, json: str, attachments: tuple[bytes, ...]) -> None:
        """Pass an acknowledgement to the task that waits for it, if there is one."""
        call = self._calls.pop(ack_id, None)
        if call is not None:
            call.ack = (json, attachments)
            call.ended.set()

    def end(self) -> None:
        """End all pending calls, as the socket has ended."""
        for call in self._calls.values():
            call.ended.set()
