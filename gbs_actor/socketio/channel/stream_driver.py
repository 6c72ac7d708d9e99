"""Drives one WebSocket from a task of its own: over TLS, over memory streams, with compression."""

from __future__ import annotations

from typing import Final

import trio

from gbs_actor.socketio.channel.channel import Channel
from gbs_actor.socketio.channel.websocket_transport import Next, WebSocketTransport
from gbs_actor.socketio.channel.wire import wire_for

_RECEIVE: Final = 4_096


class StreamDriver:
    """Reads a stream in :meth:`run`; a driver of :class:`WebSocketTransport`.

    :param stream: its owner closes it when :meth:`run` has returned.
    :param deflated: whether the client takes compressed messages.
    """

    def __init__(self, stream: trio.abc.HalfCloseableStream, *, deflated: bool = False) -> None:
        self.wire = wire_for(stream, deflated=deflated)
        self._stream = stream
        self._reading = trio.CancelScope()
        self._resumed = trio.Event()
        self._closed = trio.Event()

    async def run(self, transport: WebSocketTransport, leftover: bytes) -> None:
        """Read for a transport until its channel has ended, and what that has run.

        Cancelled, drop the stream; nothing more is written.

        :param leftover: the bytes that were read before.
        """
        try:
            with self._reading:
                transport.add(leftover, trio.current_time())
                await self._read(transport)
            await self._closed.wait()
        except trio.Cancelled:
            if transport.channel is not None:
                transport.channel.lose("server shutting down")
            raise
        except BaseException:
            if transport.channel is not None:
                transport.channel.lose("transport error")
            raise
        finally:
            with trio.CancelScope(shield=True):
                await self._closed.wait()

    async def _read(self, transport: WebSocketTransport) -> None:
        while (following := transport.turn(trio.current_time())) is not Next.NOTHING:
            if following is Next.TURN:
                await trio.lowlevel.checkpoint()
            elif following is Next.RESUME:
                await self._resumed.wait()
                self._resumed = trio.Event()
            else:
                await self._receive(transport)

    async def _receive(self, transport: WebSocketTransport) -> None:
        try:
            data = await self._stream.receive_some(_RECEIVE)
        except trio.BrokenResourceError:
            transport.broken()
        except trio.ClosedResourceError:
            transport.end_of_stream()
        else:
            if data:
                transport.add(data, trio.current_time())
            else:
                transport.end_of_stream()

    # What its transport calls.

    def resume(self) -> None:
        """See :class:`~gbs_actor.socketio.channel.websocket_transport.Driver`."""
        self._resumed.set()

    def write_queued(self, channel: Channel) -> None:
        """See :class:`~gbs_actor.socketio.channel.websocket_transport.Driver`."""
        channel.tasks.start_soon(channel.outbox.write)

    async def send_eof(self) -> None:
        """See :class:`~gbs_actor.socketio.channel.websocket_transport.Driver`."""
        try:
            await self._stream.send_eof()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self._reading.cancel()

    def abort(self) -> None:
        """See :class:`~gbs_actor.socketio.channel.websocket_transport.Driver`."""
        self._reading.cancel()

    def close(self) -> None:
        """See :class:`~gbs_actor.socketio.channel.websocket_transport.Driver`."""
        self._closed.set()
