"""A stream whose first bytes have been read already, and which keeps time by itself."""

from __future__ import annotations

import trio


class ReplayStream(trio.abc.HalfCloseableStream):
    """Gives an HTTP server a connection whose request head was read by the front door.

    :param replay: the bytes that were read.
    :param idle_timeout: seconds without a byte in either direction after which
        :meth:`receive_some` gives the connection up.
    :param request_timeout: seconds from the first byte of a request, within which the last
        one must come; a byte that comes later ends the connection.
    :param write_timeout: seconds that one :meth:`send_all` may take.
    """

    def __init__(
        self,
        stream: trio.abc.HalfCloseableStream,
        replay: bytes = b"",
        *,
        idle_timeout: float,
        request_timeout: float,
        write_timeout: float,
    ) -> None:
        self._stream = stream
        self._replay = replay
        self._idle_timeout = idle_timeout
        self._request_timeout = request_timeout
        self._write_timeout = write_timeout
        self._last_byte = self._asking_since = trio.current_time()
        self._sending = 0
        self._unanswered = True

    @property
    def socket(self) -> trio.socket.SocketType:
        """The socket below.

        :raises AttributeError: the stream below has none.
        """
        if not isinstance(self._stream, trio.SocketStream):
            # What an attribute that is not there raises: HTTP servers tell TLS by it.
            raise AttributeError("the stream has no socket")  # noqa: TRY004
        return self._stream.socket

    @property
    def busy(self) -> bool:
        """Whether a request seems to be under way: bytes came, and no answer went out yet."""
        return self._sending > 0 or self._unanswered

    @property
    def last_byte(self) -> float:
        """When a byte last went either way, on Trio's clock."""
        return self._last_byte

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """Receive, the replayed bytes first.

        :raises trio.BrokenResourceError: broken, idle for too long, or too slow in asking.
        :raises trio.ClosedResourceError: closed on this side.
        """
        if self._replay:
            await trio.lowlevel.checkpoint()
            size = len(self._replay) if max_bytes is None else max_bytes
            data, self._replay = self._replay[:size], self._replay[size:]
            return data
        while True:
            with trio.move_on_at(self._last_byte + self._idle_timeout):
                received = await self._stream.receive_some(max_bytes)
                self._last_byte = now = trio.current_time()
                if not self._unanswered:
                    self._asking_since = now
                elif now > self._asking_since + self._request_timeout:
                    await trio.aclose_forcefully(self._stream)
                    raise trio.BrokenResourceError("the request takes too long to arrive")
                self._unanswered = bool(received)
                return received
            if not self._sending and trio.current_time() >= self._last_byte + self._idle_timeout:
                await trio.aclose_forcefully(self._stream)
                raise trio.BrokenResourceError("idle for too long")
            if self._sending:
                self._last_byte = trio.current_time()

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send everything.

        Cancelled, an unknown part of it may have gone out.

        :raises trio.BrokenResourceError: broken, or not taken in time; closed then.
        :raises trio.ClosedResourceError: closed on this side.
        """
        self._sending += 1
        try:
            with trio.move_on_after(self._write_timeout) as patience:
                await self._stream.send_all(data)
            self._last_byte = trio.current_time()
        finally:
            self._sending -= 1
            self._unanswered = False
        if patience.cancelled_caught:
            await trio.aclose_forcefully(self._stream)
            raise trio.BrokenResourceError("the peer does not take what is sent")

    async def wait_send_all_might_not_block(self) -> None:
        """See :class:`trio.abc.SendStream`."""
        await self._stream.wait_send_all_might_not_block()

    async def send_eof(self) -> None:
        """See :class:`trio.abc.HalfCloseableStream`."""
        await self._stream.send_eof()

    async def aclose(self) -> None:
        """See :class:`trio.abc.AsyncResource`."""
        await self._stream.aclose()

    def close_now(self) -> None:
        """Close the socket below without waiting for whoever uses it.

        They get a :exc:`trio.ClosedResourceError`, even behind a cancellation shield. A
        stream without a socket is left to its owner.
        """
        if isinstance(self._stream, trio.SocketStream):
            self._stream.socket.close()
