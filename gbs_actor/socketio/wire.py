"""The end of a byte stream that an outbox writes to."""

from __future__ import annotations

import os
from typing import Protocol

import trio

Buffer = bytes | memoryview


class Wire(Protocol):
    """One direction of a byte stream."""

    immediate: bool
    """Whether :meth:`send_nowait` can send at all."""

    def send_nowait(self, data: Buffer) -> int:
        """Send what goes out without blocking, and return how many bytes that were.

        :raises BlockingIOError: none can be sent now.
        :raises OSError: the connection is broken.
        """
        ...

    async def send_all(self, data: Buffer) -> None:
        """Send everything; cancelled, an unknown part of it.

        :raises trio.BrokenResourceError: the connection is broken.
        :raises trio.ClosedResourceError: it was closed on this side.
        """
        ...

    async def wait_writable(self) -> None:
        """Return once sending is worth a try. A checkpoint.

        :raises trio.BrokenResourceError: the connection is broken.
        :raises trio.ClosedResourceError: it was closed on this side.
        """
        ...


class SocketWire:
    """Writes straight to a socket's descriptor, from whatever task has something to say.

    Trio's own ``send`` is a checkpoint: with it a fan-out would switch tasks once per
    connection. The descriptor is asked for at every write, so that after a close it is
    -1 (EBADF) and never a number that the system has given to somebody else meanwhile.
    """

    immediate = True

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream
        self._fileno = stream.socket.fileno

    def send_nowait(self, data: Buffer) -> int:
        """See :class:`Wire`."""
        return os.write(self._fileno(), data)

    async def send_all(self, data: Buffer) -> None:
        """See :class:`Wire`."""
        await self._stream.send_all(data)

    async def wait_writable(self) -> None:
        """See :class:`Wire`."""
        await self._stream.wait_send_all_might_not_block()


class StreamWire:
    """Writes through any stream's ``send_all``: memory streams, and TLS."""

    immediate = False

    def __init__(self, stream: trio.abc.SendStream) -> None:
        self._stream = stream

    def send_nowait(self, data: Buffer) -> int:
        """Refuse: such a stream cannot send without a task that may wait."""
        raise BlockingIOError

    async def send_all(self, data: Buffer) -> None:
        """See :class:`Wire`."""
        await self._stream.send_all(data)

    async def wait_writable(self) -> None:
        """See :class:`Wire`."""
        await self._stream.wait_send_all_might_not_block()


def wire_for(stream: trio.abc.SendStream) -> Wire:
    """Return the fastest wire a stream allows."""
    if isinstance(stream, trio.SocketStream):
        return SocketWire(stream)
    return StreamWire(stream)
