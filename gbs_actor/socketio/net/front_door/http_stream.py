"""The stream of an HTTP/1.1 connection: replays what was read, and limits time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import inf
from typing import Final

import trio

from gbs_actor.socketio.net.connection_limit import ConnectionLimitReached
from gbs_actor.socketio.net.front_door.admission import AdmittedConnection
from gbs_actor.socketio.net.peer import is_secure, socket_below
from gbs_actor.socketio.net.sockets import ConnectedSocket

_REFUSAL: Final = 1.0  # seconds for the app to refuse a slow request itself
_EOF_GRACE: Final = 0.5  # seconds for the HTTP server to end after the peer has
_LINGER: Final = (
    2.0  # seconds in which the rest of a request is read and dropped after its response
)
_MAX_DROPPED: Final = 4_194_304  # bytes of it
_RECEIVE: Final = 65_536


@dataclass(slots=True)
class _Request:
    """One request. A connection has one at a time (RFC 9112 §9.3)."""

    began: float
    """When its first byte came."""
    in_app: bool = False
    """Whether the app was called with it."""
    arrived: bool = False
    """Whether its last byte came."""
    ended: bool = False
    """Whether it has its response, or will never get one."""
    max_silence: float = inf
    """Seconds that the peer may send nothing once it has arrived."""


class HttpStream(trio.abc.HalfCloseableStream):
    """Gives an HTTP server a connection whose first head the front door has read.

    It closes the connection of a peer that is too slow. How long it waits for bytes depends
    on the request, which the HTTP server reports by :meth:`answering`::

        no request      idle_timeout, from the end of the last request or write
        arriving        request_timeout, from its first byte to its last
        arrived         without a limit: the response may be a long poll
        a WebSocket     max_silence, from the peer's last byte

    :param replay: the bytes that were read.
    :param idle_timeout: seconds.
    :param request_timeout: seconds; one more if the app could refuse the request itself.
    :param write_timeout: seconds that one :meth:`send_all` may take.
    :param admitted: learns whether a request is in flight. If there is no room for another
        idle connection, this one is closed after its response.
    :param turn: called with the bytes that begin a request, but not with ``replay``; returns
        when the HTTP server may handle them.
    """

    def __init__(
        self,
        stream: trio.abc.HalfCloseableStream,
        replay: bytes = b"",
        *,
        idle_timeout: float,
        request_timeout: float,
        write_timeout: float,
        admitted: AdmittedConnection | None = None,
        turn: Callable[[bytes | bytearray], Awaitable[None]] | None = None,
    ) -> None:
        self._stream = stream
        self._replay = replay
        self._idle_timeout = idle_timeout
        self._request_timeout = request_timeout
        self._write_timeout = write_timeout
        self._admitted = admitted
        self._turn = turn
        now = trio.current_time()
        self._request = _Request(now, ended=not replay)
        """The latest one."""
        self._last_byte = self._idle_since = self._receiving_since = now
        self._answered_early = False
        self._sending = 0
        self._eof_sent = self._eof_received = False
        self._receiving: trio.CancelScope | None = None
        self._watchdog: trio.CancelScope | None = None

    # What the connection is

    @property
    def socket(self) -> ConnectedSocket:
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
    def busy(self) -> bool:
        """Whether a request is in flight: arriving, or without its response."""
        return self._sending > 0 or not self._request.ended

    @property
    def last_byte(self) -> float:
        """When a byte last went either way, on Trio's clock."""
        return self._last_byte

    @property
    def eof_received(self) -> bool:
        """Whether nothing more will be received."""
        return self._eof_received

    @property
    def answered_early(self) -> bool:
        """Whether a request that may still be arriving was responded to, or is being so.

        By the app, or by the HTTP server, which has refused it.
        """
        return self._answered_early or (self._request.in_app and not self._request.arrived)

    # What the HTTP server reports

    @contextmanager
    def answering(self, *, max_silence: float = inf) -> Iterator[Callable[[], None]]:
        """Call the app with a request within the block; its head has arrived.

        :param max_silence: seconds that the peer may send nothing once the request has
            arrived; a WebSocket's peer answers pings.
        :returns: what to call once the request has arrived as a whole.
        """
        request = self._request
        if request.in_app or request.ended:  # its bytes came with those of the previous request
            request = self._request = _Request(trio.current_time())
        request.in_app = True
        self._answered_early = False
        request.max_silence = max_silence
        if self._admitted is not None:
            self._admitted.busy()
        self._reschedule()

        def arrived() -> None:
            request.arrived = True
            self._reschedule()

        try:
            yield arrived
        finally:
            request.ended = True
            if not request.arrived:
                self._answered_early = True  # also once more of it has been read
            self._idle_since = trio.current_time()
            self._count_as_idle()
            self._reschedule()

    def _count_as_idle(self) -> None:
        try:
            if self._admitted is not None:
                self._admitted.idle()
        except ConnectionLimitReached:
            self.close_when_idle()

    @contextmanager
    def watchdog(self) -> Iterator[None]:
        """Run the HTTP server within the block, and cancel it if it is stuck.

        It is stuck if for ``write_timeout`` it has neither received, nor sent, nor called the
        app: it waits for itself, and would not notice that the peer has disconnected. After the
        peer's end half a second is enough, as only its own timers are left.
        """
        with trio.CancelScope() as scope:
            self._watchdog = scope
            self._reschedule()
            try:
                yield
            finally:
                self._watchdog = None

    async def linger(self) -> None:
        """Read and drop the rest of a request after its response, for up to two seconds.

        If the socket is closed with unread bytes, TCP resets the connection, and the reset
        overtakes the response (RFC 9112 §9.6). No other task may receive meanwhile.
        """
        dropped = 0
        try:
            with trio.move_on_after(_LINGER):
                while self.answered_early and dropped < _MAX_DROPPED:
                    received = await self._stream.receive_some(_RECEIVE)
                    if not received:
                        return
                    dropped += len(received)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return

    # The stream

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """Receive, the replayed bytes first.

        :raises trio.BrokenResourceError: broken, or the peer is too slow; closed then.
        :raises trio.ClosedResourceError: closed on this side.
        """
        if self._replay:
            await trio.lowlevel.checkpoint()
            size = len(self._replay) if max_bytes is None else max_bytes
            data, self._replay = self._replay[:size], self._replay[size:]
            await self._note_received(data)
            return data
        received: bytes | bytearray = b""
        self._receiving_since = trio.current_time()
        with trio.CancelScope() as receiving:
            self._receiving = receiving
            self._reschedule()
            try:
                received = await self._stream.receive_some(max_bytes)
            finally:
                self._receiving = None
                self._eof_received = not received
                self._reschedule()
        if receiving.cancelled_caught:
            reason = self._why_too_slow()
            await trio.aclose_forcefully(self._stream)
            raise trio.BrokenResourceError(reason)
        self._last_byte = trio.current_time()
        if received:
            await self._note_received(received)
        elif not self._request.in_app:
            self._request.ended = True
        return received

    async def _note_received(self, received: bytes | bytearray) -> None:
        """Wait for a turn if a request begins with these bytes."""
        if self._request.ended:
            self._request = _Request(trio.current_time())
            if self._turn is not None:
                await self._turn(received)

    def take_replay(self) -> bytes:
        """Return the bytes to replay; they are not received any more."""
        replay, self._replay = self._replay, b""
        return replay

    def unread(self, data: bytes) -> None:
        """Take bytes back, which are received again before others.

        If their request has not begun, it waits for its turn like any other one.
        """
        self._replay = data + self._replay

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send everything.

        Cancelled, an unknown part of it may have been sent.

        :raises trio.BrokenResourceError: broken, or not accepted in time; closed then.
        :raises trio.ClosedResourceError: closed on this side, or ended by :meth:`send_eof`.
        """
        if self._eof_sent:
            # The stream below would raise BusyResourceError meanwhile.
            await trio.lowlevel.checkpoint()
            raise trio.ClosedResourceError("nothing can be sent after the end")
        if not self._request.in_app or self._request.ended:
            # The HTTP server responds without the app: a refusal, or a 100 (Continue).
            self._request.ended = self._answered_early = True
        self._sending += 1
        self._reschedule()
        try:
            with trio.move_on_after(self._write_timeout) as writing:
                await self._stream.send_all(data)
            if writing.cancelled_caught:
                await trio.aclose_forcefully(self._stream)
                raise trio.BrokenResourceError("the peer does not accept what is sent")
        finally:
            self._sending -= 1
            self._last_byte = self._idle_since = trio.current_time()
            self._reschedule()

    async def wait_send_all_might_not_block(self) -> None:
        """See :class:`trio.abc.SendStream`."""
        await self._stream.wait_send_all_might_not_block()

    async def send_eof(self) -> None:
        """See :class:`trio.abc.HalfCloseableStream`."""
        self._eof_sent = True
        await self._stream.send_eof()

    async def aclose(self) -> None:
        """See :class:`trio.abc.AsyncResource`."""
        await self._stream.aclose()

    def close_when_idle(self) -> None:
        """Close the connection once no request is in flight."""
        self._idle_timeout = 0.0
        self._reschedule()

    def close_now(self) -> None:
        """Close the socket below without waiting for the tasks that use it.

        They get a :exc:`trio.ClosedResourceError`, even behind a cancellation shield. A
        stream without a socket is left to its owner.
        """
        socket = socket_below(self._stream)
        if socket is not None:
            socket.close()

    # Time

    def _deadline(self) -> float:
        """Return until when the peer may send nothing, unless something changes."""
        request = self._request
        if request.ended:
            return inf if self._sending else self._idle_since + self._idle_timeout
        if request.arrived:
            return self._receiving_since + request.max_silence
        return request.began + self._request_timeout + (_REFUSAL if request.in_app else 0)

    def _why_too_slow(self) -> str:
        if self._request.ended:
            return "idle for too long"
        if self._request.arrived:
            return "pings are not answered"
        return "the request takes too long to arrive"

    def _reschedule(self) -> None:
        if self._receiving is not None:
            self._receiving.deadline = self._deadline()
        if self._watchdog is not None:
            in_app = self._request.in_app and not self._request.ended
            working = self._receiving is not None or in_app or self._sending
            grace = _EOF_GRACE if self._eof_received else self._write_timeout
            self._watchdog.deadline = inf if working else trio.current_time() + grace
