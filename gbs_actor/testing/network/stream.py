"""Simulated streams."""

from __future__ import annotations

import errno
import socket as stdlib
from collections.abc import Iterator
from contextlib import contextmanager
from operator import index
from typing import Final

import trio

from gbs_actor.socketio import SocketBased
from gbs_actor.testing.network.address import Address
from gbs_actor.testing.network.conditions import PERFECT, Conditions
from gbs_actor.testing.network.descriptors import Descriptors
from gbs_actor.testing.network.socket import SimSocket, socket_pair

_RECEIVE: Final = 65_536


class SimStream(trio.abc.HalfCloseableStream, SocketBased):
    """One end of a simulated TCP connection; behaves as :class:`trio.SocketStream` does.

    :param socket: is owned by the stream from now on.
    """

    def __init__(self, socket: SimSocket) -> None:
        self._socket = socket
        self._sending = False
        self._eof_sent = False

    @property
    def socket(self) -> SimSocket:
        """The socket below."""
        return self._socket

    def take_socket(self) -> SimSocket:
        """Take the socket out: the stream can then only be closed, and that has no effect."""
        taken = self._socket
        self._socket = SimSocket.closed()
        return taken

    # The stream

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Receive; b"" at the end of the stream.

        :raises trio.BrokenResourceError: reset.
        :raises trio.ClosedResourceError: closed on this side.
        """
        size = _RECEIVE if max_bytes is None else index(max_bytes)
        if size < 1:
            raise ValueError("max_bytes must be >= 1")
        await trio.lowlevel.checkpoint_if_cancelled()
        with _stream_errors():
            try:
                data = self._socket.recv(size)
            except BlockingIOError:
                pass
            else:
                await trio.lowlevel.cancel_shielded_checkpoint()
                return data
            while True:
                await self._socket.wait_readable()
                try:
                    return self._socket.recv(size)
                except BlockingIOError:
                    continue

    def send_nowait(self, data: bytes | bytearray | memoryview) -> int:
        """Send some of the data without waiting; return how many bytes.

        :raises BlockingIOError: there is no room now.
        :raises OSError: reset, or closed on this side.
        """
        return self._socket.send(data)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send everything; cancelled, an unknown part of it.

        :raises trio.BrokenResourceError: reset.
        :raises trio.ClosedResourceError: closed on this side, or ended by :meth:`send_eof`.
        """
        if self._eof_sent:
            raise trio.ClosedResourceError("nothing can be sent after the end")
        with self._sole_sender(), _stream_errors():
            await trio.lowlevel.checkpoint_if_cancelled()
            waited = False
            with memoryview(data) as view:
                sent = self._socket.send(view) if not view else 0
                while sent < len(view):
                    try:
                        sent += self._socket.send(view[sent:])
                    except BlockingIOError:
                        waited = await self._wait_writable()
            if not waited:
                await trio.lowlevel.cancel_shielded_checkpoint()

    async def wait_send_all_might_not_block(self) -> None:
        """See :class:`trio.abc.SendStream`."""
        with self._sole_sender(), _stream_errors():
            self._socket.getsockname()
            await self._wait_writable()

    async def _wait_writable(self) -> bool:
        await trio.lowlevel.checkpoint()
        await self._socket.wait_writable()
        self._socket.getsockname()
        return True

    async def send_eof(self) -> None:
        """See :class:`trio.abc.HalfCloseableStream`."""
        with self._sole_sender():
            await trio.lowlevel.checkpoint()
            if not self._eof_sent:
                with _stream_errors():
                    self._socket.shutdown(stdlib.SHUT_WR)
                self._eof_sent = True

    async def aclose(self) -> None:
        """See :class:`trio.abc.AsyncResource`."""
        self._socket.close()
        await trio.lowlevel.checkpoint()

    @contextmanager
    def _sole_sender(self) -> Iterator[None]:
        if self._sending:
            raise trio.BusyResourceError("another task is sending")
        self._sending = True
        try:
            yield
        finally:
            self._sending = False

    # What a test does to the connection

    def cut(self) -> None:
        """Reset the connection: both ends are broken, and bytes in flight are lost.

        With a generator, so is a part of those that have arrived and were not received.
        """
        self._socket.cut()

    def half_open(self) -> None:
        """Lose all that is sent from now on, in either direction, and what is in flight.

        Neither end notices, not even that the other one is closed.
        """
        self._socket.lose()

    def pause(self) -> None:
        """Receive nothing at this end until :meth:`resume`: the other end finds no room soon."""
        self._socket.hold(True)

    def resume(self) -> None:
        """Receive again."""
        self._socket.hold(False)

    def split(self, size: int | None) -> None:
        """Let one receive, at either end, return so many bytes at most; ``None``: any number."""
        self._socket.limit(size)


def connection(
    client: Address,
    server: Address,
    conditions: Conditions = PERFECT,
    *,
    descriptors: Descriptors | None = None,
) -> tuple[SimStream, SimStream]:
    """Return both ends of a new connection, that of the client first.

    :param descriptors: of the server's process, if a poller is to poll the server's socket.
    """
    ends = socket_pair(client, server, conditions)
    if descriptors is not None:
        descriptors.add(ends[1])
    return SimStream(ends[0]), SimStream(ends[1])


@contextmanager
def _stream_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno == errno.EBADF:
            raise trio.ClosedResourceError("this stream was closed") from None
        raise trio.BrokenResourceError(f"connection broken: {error}") from error
