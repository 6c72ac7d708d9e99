"""A stream whose first bytes have been read already, and which keeps time by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import inf
from typing import Final

import trio

from gbs_actor.socketio.net.peer import is_secure, socket_below
from gbs_actor.socketio.net.tls import TlsStream

_HTTP_2_PREFACE: Final = b"PRI * HTTP/2.0\r\n"  # RFC 9113 §3.4
_REFUSAL: Final = 1.0  # seconds for the HTTP server to say itself that a request is too slow
_PARTING: Final = 0.5  # seconds for the HTTP server to be done with a peer that has gone
_LINGER: Final = 2.0  # seconds for a client to notice that its request is answered already
_DROPPED: Final = 4_194_304  # bytes of the request that are dropped meanwhile
_RECEIVE: Final = 65_536


class HttpStream(trio.abc.HalfCloseableStream):
    """Gives an HTTP server a connection whose first head was read by the front door.

    It ends the connections of peers that dawdle. What a request is, only the HTTP server
    can tell: it reports each by :meth:`answering`. While one is being answered only that
    limits the silence, so an answer may wait for as long as it wants.

    :param replay: the bytes that were read.
    :param idle_timeout: seconds without a request that the connection lives, from the
        last byte that was sent.
    :param request_timeout: seconds from the first byte of a request, within which the last
        one must come.
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
        self.write_timeout = write_timeout
        """Seconds that a peer may take to accept what is written to it."""
        # Over HTTP/2, bytes come that belong to no request: windows, settings.
        self._multiplexed = replay.startswith(_HTTP_2_PREFACE)
        now = trio.current_time()
        self._last_byte = self._quiet_since = now
        self._asking_since = now if replay and not self._multiplexed else None
        self._arriving: dict[object, float] = {}
        self._silences: dict[object, float] = {}
        self._waiting_since = now
        self._sending = 0
        self._no_more = False
        self._patience: trio.CancelScope | None = None
        self._attention: trio.CancelScope | None = None
        self._cut_short = False
        self._over = False

    @property
    def socket(self) -> trio.socket.SocketType:
        """The socket below, also below TLS.

        :raises AttributeError: the stream below has none.
        """
        socket = socket_below(self._stream)
        if socket is None:
            raise AttributeError("the stream has no socket")
        return socket

    @property
    def secure(self) -> bool:
        """Whether the connection is encrypted."""
        return is_secure(self._stream)

    @property
    def alpn_protocol(self) -> str | None:
        """What the TLS handshake agreed on to speak; ``None``: nothing."""
        return self._stream.alpn_protocol if isinstance(self._stream, TlsStream) else None

    @property
    def busy(self) -> bool:
        """Whether a request seems to be under way: arriving, or not answered yet."""
        return self._sending > 0 or bool(self._silences) or self._asking_since is not None

    @property
    def last_byte(self) -> float:
        """When a byte last went either way, on Trio's clock."""
        return self._last_byte

    @property
    def over(self) -> bool:
        """Whether nothing more will be received."""
        return self._over

    @contextmanager
    def answering(
        self, *, multiplexed: bool = False, silence: float = inf
    ) -> Iterator[Callable[[], None]]:
        """Answer a request within the block, whose head has arrived.

        :param multiplexed: whether it may be one of several, as over HTTP/2. What time it
            takes to arrive is its own concern then, and must not end the others.
        :param silence: seconds that the peer may say nothing, once all requests have arrived;
            a WebSocket's peer answers pings.
        :returns: what to call once the request has arrived as a whole.
        """
        request = object()
        self._multiplexed = self._multiplexed or multiplexed
        now = trio.current_time()
        if not self._multiplexed:
            self._arriving[request] = now if self._asking_since is None else self._asking_since
        self._asking_since = None
        self._silences[request] = silence
        self._reschedule()

        def arrived() -> None:
            if self._arriving.pop(request, None) is not None:
                self._reschedule()

        try:
            yield arrived
        finally:
            del self._silences[request]
            if self._arriving.pop(request, None) is not None:
                self._cut_short = True
            self._quiet_since = trio.current_time()
            self._reschedule()

    @property
    def answered_early(self) -> bool:
        """Whether something of a request may still come that is answered already."""
        return self._cut_short or bool(self._arriving)

    async def linger(self) -> None:
        """Drop what still comes of a request that is answered, for up to two seconds.

        Closed with something unread, TCP resets the connection, and a reset overtakes the
        answer (RFC 9112 §9.6). Nobody else may read meanwhile.
        """
        dropped = 0
        try:
            with trio.move_on_after(_LINGER):
                while self.answered_early and dropped < _DROPPED:
                    received = await self._stream.receive_some(_RECEIVE)
                    if not received:
                        return
                    dropped += len(received)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return

    @contextmanager
    def attended(self) -> Iterator[None]:
        """Serve the connection within the block, which is cancelled where nobody does.

        That is where neither a byte is waited for, nor one sent, nor a request answered for
        as long as one write may take: the server waits for itself, and for good, since it
        would not even notice that the peer has gone. Where it has noticed that, it waits for
        nothing but its own time limits, and half a second is enough.
        """
        with trio.CancelScope() as attention:
            self._attention = attention
            self._reschedule()
            try:
                yield
            finally:
                self._attention = None

    def _deadline(self) -> float:
        """Return when the peer has dawdled for too long, unless something changes."""
        if self._arriving:
            return min(self._arriving.values()) + self._request_timeout + _REFUSAL
        if self._asking_since is not None:
            return self._asking_since + self._request_timeout
        if self._silences:
            return self._waiting_since + min(self._silences.values())
        if self._sending:
            return inf
        return self._quiet_since + self._idle_timeout

    def _complaint(self) -> str:
        """Return what the peer has done wrong, now that :meth:`_deadline` has passed."""
        if self._arriving or self._asking_since is not None:
            return "the request takes too long to arrive"
        return "pings are not answered" if self._silences else "idle for too long"

    def _reschedule(self) -> None:
        if self._patience is not None:
            self._patience.deadline = self._deadline()
        if self._attention is not None:
            attended = self._patience is not None or self._silences or self._sending
            patience = _PARTING if self._over else self.write_timeout
            self._attention.deadline = inf if attended else trio.current_time() + patience

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
        received: bytes | bytearray = b""
        self._waiting_since = trio.current_time()
        with trio.CancelScope(deadline=self._deadline()) as patience:
            self._patience = patience
            self._reschedule()
            try:
                received = await self._stream.receive_some(max_bytes)
            finally:
                self._patience = None
                self._over = not received
                self._reschedule()
        if patience.cancelled_caught:
            reason = self._complaint()
            await trio.aclose_forcefully(self._stream)
            raise trio.BrokenResourceError(reason)
        self._last_byte = trio.current_time()
        if not received:
            self._asking_since = None
        elif self._asking_since is None and not self._silences and not self._multiplexed:
            self._asking_since = self._last_byte
        return received

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send everything.

        Cancelled, an unknown part of it may have gone out.

        :raises trio.BrokenResourceError: broken, or not taken in time; closed then.
        :raises trio.ClosedResourceError: closed on this side, or ended by :meth:`send_eof`.
        """
        if self._no_more:
            # The stream below would call itself busy while that is under way.
            await trio.lowlevel.checkpoint()
            raise trio.ClosedResourceError("nothing is sent behind the end")
        self._sending += 1
        self._asking_since = None
        self._reschedule()
        try:
            with trio.move_on_after(self.write_timeout) as patience:
                await self._stream.send_all(data)
            if patience.cancelled_caught:
                await trio.aclose_forcefully(self._stream)
                raise trio.BrokenResourceError("the peer does not take what is sent")
        finally:
            self._sending -= 1
            self._last_byte = self._quiet_since = trio.current_time()
            self._reschedule()

    async def wait_send_all_might_not_block(self) -> None:
        """See :class:`trio.abc.SendStream`."""
        await self._stream.wait_send_all_might_not_block()

    async def send_eof(self) -> None:
        """See :class:`trio.abc.HalfCloseableStream`."""
        self._no_more = True
        await self._stream.send_eof()

    async def aclose(self) -> None:
        """See :class:`trio.abc.AsyncResource`."""
        await self._stream.aclose()

    def close_now(self) -> None:
        """Close the socket below without waiting for whoever uses it.

        They get a :exc:`trio.ClosedResourceError`, even behind a cancellation shield. A
        stream without a socket is left to its owner.
        """
        socket = socket_below(self._stream)
        if socket is not None:
            socket.close()
