"""What an outbox writes to: one end of a byte stream, or a poll that waits."""

from __future__ import annotations

import os
from collections.abc import Callable
from operator import attrgetter
from typing import Final, Protocol

import trio

from gbs_actor.socketio.channel.message import Message
from gbs_actor.socketio.net.sockets import SocketBased

Buffer = bytes | memoryview

Encode = Callable[[Message], bytes]
"""Returns a message as it is written; computed once per message, and cached."""

WEBSOCKET: Final[Encode] = attrgetter("websocket")
DEFLATED: Final[Encode] = attrgetter("deflated")


class Wire(Protocol):
    """One direction of a connection, and how messages are written on it."""

    encode: Encode
    separator: bytes
    """Separates two messages."""
    batch: int
    """Bytes that messages are joined up to."""
    batch_messages: int
    """How many messages are joined at most."""
    direct: bool
    """Whether a message is written at once; else it is queued, to be joined with others."""
    immediate: bool
    """Whether :meth:`send_nowait` can send; else :meth:`send_all` does."""

    @property
    def ready(self) -> bool:
        """Whether data sent now would reach the peer now, as far as is known."""
        ...

    def send_nowait(self, data: Buffer) -> int:
        """Send as many bytes as possible without blocking, and return how many.

        Separators around what is sent are counted, whether or not they go out.

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
        """Return once sending may succeed. A checkpoint.

        :raises trio.BrokenResourceError: the connection is broken.
        :raises trio.ClosedResourceError: it was closed on this side.
        """
        ...


class StreamWire:
    """Writes through any stream's ``send_all``: memory streams, and TLS.

    :param deflated: whether the peer takes compressed messages.
    """

    separator = b""
    batch = 65_536
    batch_messages = 65_536
    direct = False
    immediate = False
    ready = True

    def __init__(self, stream: trio.abc.SendStream, *, deflated: bool = False) -> None:
        self.encode: Encode = DEFLATED if deflated else WEBSOCKET
        self._stream = stream

    def send_nowait(self, data: Buffer) -> int:
        """Raise: such a stream may block its sender."""
        raise BlockingIOError

    async def send_all(self, data: Buffer) -> None:
        """See :class:`Wire`."""
        await self._stream.send_all(data)

    async def wait_writable(self) -> None:
        """See :class:`Wire`."""
        await self._stream.wait_send_all_might_not_block()


class SocketStreamWire(StreamWire):
    """Writes straight to a stream's socket, from the task that sends the message.

    Trio's own ``send`` is a checkpoint: with it a fan-out would switch tasks once per
    connection. The descriptor is looked up at every write, so that after a close it is
    -1 (EBADF) and never a descriptor that has been reused for another file.
    """

    direct = True
    immediate = True

    def __init__(self, stream: trio.SocketStream, *, deflated: bool = False) -> None:
        super().__init__(stream, deflated=deflated)
        self._fileno = stream.socket.fileno

    def send_nowait(self, data: Buffer) -> int:
        """See :class:`Wire`."""
        return os.write(self._fileno(), data)


class SocketBasedWire(StreamWire):
    """The same for a stream over another socket than Trio's.

    :param send: the stream's ``send_nowait``.
    """

    direct = True
    immediate = True

    def __init__(
        self,
        stream: trio.abc.SendStream,
        send: Callable[[Buffer], int],
        *,
        deflated: bool = False,
    ) -> None:
        super().__init__(stream, deflated=deflated)
        self._send = send

    def send_nowait(self, data: Buffer) -> int:
        """See :class:`Wire`."""
        return self._send(data)


class SocketWire:
    """Writes to a socket that :class:`~gbs_actor.socketio.channel.plane.Plane` waits for.

    :param send: the socket's.
    """

    __slots__ = ("send_nowait",)

    encode: Encode = WEBSOCKET
    separator = b""
    batch = 65_536
    batch_messages = 65_536
    direct = True
    immediate = True
    ready = True

    def __init__(self, send: Callable[[Buffer], int]) -> None:
        self.send_nowait = send

    async def send_all(self, data: Buffer) -> None:
        """Never called, as the wire is :attr:`immediate`."""
        raise NotImplementedError

    async def wait_writable(self) -> None:
        """Never called, as no task writes."""
        raise NotImplementedError


def wire_for(stream: trio.abc.SendStream, *, deflated: bool = False) -> Wire:
    """Return the fastest wire a stream allows.

    :param deflated: whether the peer takes compressed messages.
    """
    if isinstance(stream, trio.SocketStream):
        return SocketStreamWire(stream, deflated=deflated)
    if isinstance(stream, SocketBased):
        return SocketBasedWire(stream, stream.send_nowait, deflated=deflated)
    return StreamWire(stream, deflated=deflated)
