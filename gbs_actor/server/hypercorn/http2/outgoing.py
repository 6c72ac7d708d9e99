"""What one stream has to send, and the peer's window does not let through yet."""

from __future__ import annotations

from collections import deque
from typing import Final

import trio
from hypercorn.protocol.h2 import BufferCompleteError

HIGH_WATER: Final = 32_768
"""Bytes from which on whoever sends has to wait."""

LOW_WATER: Final = 16_384
"""Bytes at which they may go on."""

MAX_UNASKED: Final = 65_536
"""Bytes of answers to a WebSocket's control frames that may wait."""


class Outgoing:
    """A stream's buffer that copies nothing before it is sent: a body may be that of many.

    Has the methods that Hypercorn calls on its own ``StreamBuffer``.
    """

    def __init__(self) -> None:
        self.length = 0
        """Bytes that wait."""
        self._pieces: deque[memoryview] = deque()
        self._unasked = 0
        self._no_more = False
        self._closed = False
        self._waiting = trio.lowlevel.ParkingLot()

    @property
    def ended(self) -> bool:
        """Whether nothing is added any more."""
        return self._no_more

    @property
    def complete(self) -> bool:
        """Whether everything was taken, and nothing is added any more."""
        return self._no_more and not self.length

    def held(self) -> dict[int, int]:
        """Return what is kept in memory: identities of objects, and their bytes."""
        return {id(piece.obj): memoryview(piece.obj).nbytes for piece in self._pieces}

    async def push(self, data: bytes) -> None:
        """Add bytes, and wait while there are many.

        Cancelled, they are added all the same.

        :raises BufferCompleteError: nothing may be added any more.
        """
        self._add(data)
        while self.length >= HIGH_WATER and not self._closed:
            await self._waiting.park()
            if self.length <= LOW_WATER:
                break

    def push_now(self, data: bytes) -> bool:
        """Add bytes without waiting; return whether that is not too much by now.

        For the task that reads: it must go on reading, as window updates come that way.

        :raises BufferCompleteError: nothing may be added any more.
        """
        self._add(data)
        self._unasked += len(data)
        return self._unasked <= MAX_UNASKED

    async def drain(self) -> None:
        """Wait until everything was taken, or nobody will take it."""
        while self.length and not self._closed:
            await self._waiting.park()

    def pop(self, max_length: int) -> bytes:
        """Take up to so many bytes from the front."""
        taken = bytearray()
        while self._pieces and len(taken) < max_length:
            piece = self._pieces.popleft()
            room = max_length - len(taken)
            if len(piece) > room:
                self._pieces.appendleft(piece[room:])
            taken += piece[:room]
        self.length -= len(taken)
        if not self.length:
            self._unasked = 0
        if self.length <= LOW_WATER:
            self._waiting.unpark_all()
        return bytes(taken)

    def set_complete(self) -> None:
        """Say that nothing is added any more."""
        self._no_more = True

    def close(self) -> None:
        """Drop everything; nobody has to wait any longer."""
        self._no_more = self._closed = True
        self._pieces.clear()
        self.length = 0
        self._waiting.unpark_all()

    def _add(self, data: bytes) -> None:
        if self._no_more:
            raise BufferCompleteError
        if data:
            self._pieces.append(memoryview(data))
            self.length += len(data)
