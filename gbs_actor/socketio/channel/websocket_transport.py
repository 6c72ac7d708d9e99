"""The transport over one WebSocket: bytes to messages, and the closing handshake, without a task.

A :class:`Driver` reads and writes for it: :class:`~gbs_actor.socketio.channel.plane.Plane` one
task for many connections, :class:`~gbs_actor.socketio.channel.stream_driver.StreamDriver` one
task for one.
"""

from __future__ import annotations

from enum import Enum
from typing import Final, Protocol

import trio

from gbs_actor.socketio.channel.channel import Channel
from gbs_actor.socketio.channel.message import Message
from gbs_actor.socketio.channel.outbox import Outbox
from gbs_actor.socketio.channel.timers import Timer, Timers
from gbs_actor.socketio.channel.traffic import ReadRate, Traffic
from gbs_actor.socketio.channel.wire import Wire
from gbs_actor.socketio.websocket import frame as ws
from gbs_actor.socketio.websocket.close_code import CloseCode, ProtocolViolation
from gbs_actor.socketio.websocket.frame_parser import Close, Parser, Ping, Received, Signal

_MAX_REASON: Final = 123  # RFC 6455 §5.5: a control frame has 125 bytes, 2 are the code
_FRAMES_PER_TURN: Final = 64  # handled before other connections get theirs


class Next(Enum):
    """What a transport needs before it goes on."""

    READ = "read"
    """More bytes."""
    TURN = "turn"
    """Another turn: there are bytes left."""
    RESUME = "resume"
    """:meth:`Driver.resume`, as reading is paused."""
    NOTHING = "nothing"
    """It has read all that it will."""


READ: Final = Next.READ  # a member of an enum takes longer to look up


class Driver(Protocol):
    """What reads and writes for one transport."""

    @property
    def wire(self) -> Wire:
        """What the channel's outbox writes to."""
        ...

    def resume(self) -> None:
        """Give the transport a turn soon: reading may go on. Idempotent; may be needless."""
        ...

    def write_queued(self, channel: Channel) -> None:
        """Write what is in the channel's outbox when the stream takes it."""
        ...

    async def send_eof(self) -> None:
        """End the server's side of the stream."""
        ...

    def abort(self) -> None:
        """Drop the stream, or begin to; nothing is read from it any more."""
        ...

    def close(self) -> None:
        """Close the stream, or let who has lent it close it."""
        ...


class _State(Enum):
    OPEN = "open"
    """Messages go to the channel, until that has ended."""
    FAILED = "failed"
    """The client has broken the protocol: what it sends is not looked at (RFC 6455 §7.1.7)."""
    ENDED = "ended"
    """Nothing is read any more."""


_OPEN: Final = _State.OPEN
_ENDED: Final = _State.ENDED


class WebSocketTransport:
    """Carries one channel, or first an upgrade's probe and then its session, over one stream.

    :param driver: reads and writes, after the 101 has been sent.
    :param parser: reads the client's frames.
    :param received: what counts incoming data.
    :param read_rate: how fast frames are read.
    :param timers: resume reading.
    """

    __slots__ = (
        "__weakref__",
        "_driver",
        "_final",
        "_parser",
        "_read_rate",
        "_read_to_end",
        "_received",
        "_state",
        "_timer",
        "_timers",
        "channel",
        "wire",
    )

    name = "websocket"
    upgrades: tuple[str, ...] = ()
    pings = True

    def __init__(
        self,
        driver: Driver,
        parser: Parser,
        received: Traffic,
        read_rate: ReadRate,
        timers: Timers,
    ) -> None:
        self.wire = driver.wire
        self.channel: Channel | None = None
        """Receives the messages; a probe is replaced by its session."""
        self._driver: Driver | None = driver
        self._parser = parser
        self._received = received
        self._read_rate = read_rate
        self._timers = timers
        self._timer: Timer | None = None
        """Until when reading is paused, as the client sends too fast."""
        self._state = _State.OPEN
        self._final: bytes | None = None
        """The server's close frame."""
        self._read_to_end: trio.Event | None = None

    # What its driver calls.

    def add(self, data: bytes | bytearray, now: float) -> None:
        """Take received bytes; they are parsed at the next turns."""
        self._received.bytes += len(data)
        if self.channel is not None:
            self.channel.received_at = now
        if self._state is _State.OPEN:
            self._parser.feed(data)

    def receive(self, data: bytes, now: float) -> Next:
        """Take received bytes and have a turn, as :meth:`add` and :meth:`turn` do."""
        channel, state = self.channel, self._state
        if (
            channel is None
            or state is not _OPEN
            or self._timer is not None
            or channel.reason is not None
            or ((channel.backlogged or channel.outbox.congested) and channel.paused)
            or (text := self._parser.whole_text(data)) is None
        ):
            self.add(data, now)
            return self.turn(now)
        # One whole message for a channel that takes it, as nearly always.
        self._received.bytes += len(data)
        self._received.messages += 1
        channel.received_at = now
        channel.receive_text(text)
        if (ahead := self._read_rate.count(1, now)) and self._state is _OPEN:
            self._wait(now + ahead)
            return Next.RESUME
        return Next.NOTHING if self._state is _ENDED else READ

    def turn(self, now: float) -> Next:
        """Pass on what was received, as far as it may be by now; return what comes next.

        :param now: Trio's time.
        """
        frames = 0
        following = Next.READ
        parser = self._parser
        try:
            while True:
                if self._paused():
                    following = Next.RESUME
                    break
                if self._state is not _State.OPEN:
                    break
                if frames == _FRAMES_PER_TURN:
                    following = Next.TURN
                    break
                received = parser.next()
                if received is None:
                    break
                frames += 1
                self._receive(received)
                if not parser.pending:
                    break
        except ProtocolViolation as violation:
            self._fail(violation)
        if frames and self._too_fast(frames, now):
            following = Next.RESUME
        return Next.NOTHING if self._state is _State.ENDED else following

    def end_of_stream(self) -> None:
        """Note that the client has ended its side of the stream."""
        self._lose("transport close")

    def broken(self) -> None:
        """Note that the stream is broken."""
        self._lose("transport error")

    def _lose(self, reason: str) -> None:
        if self.channel is not None:
            self.channel.lose(reason)
        self._end()

    # Receiving.

    def _paused(self) -> bool:
        channel = self.channel
        if self._timer is not None:
            return True
        if channel is None:
            return False
        if channel.reason is not None:
            return not channel.outbox.flushed.is_set()  # then it is finished
        if not channel.paused:
            return False
        if self._driver is not None:
            channel.when_unpaused(self._driver.resume)
        return True

    def _too_fast(self, frames: int, now: float) -> bool:
        """Count frames; if they came too fast, pause."""
        ahead = self._read_rate.count(frames, now)
        if not ahead or self._state is not _State.OPEN:
            return False
        self._wait(now + ahead)
        return True

    def _wait(self, until: float) -> None:
        self._timer = self._timers.call_at(until, self._in_time)

    def _in_time(self) -> None:
        self._timer = None
        if self._driver is not None:
            self._driver.resume()

    def _receive(self, received: Received) -> None:
        channel = self.channel
        if channel is None or channel.reason is not None:
            if isinstance(received, Close):  # what came before it is dropped
                self._end()
            return
        if isinstance(received, str):
            self._received.messages += 1
            channel.receive_text(received)
        elif isinstance(received, bytes):
            self._received.messages += 1
            channel.receive_binary(received)
        elif received is Signal.PONG:
            channel.receive_pong()
        elif isinstance(received, Ping):
            channel.outbox.send(Message.control(ws.frame(received.payload, ws.PONG)))
        elif isinstance(received, Close):
            self._final = ws.frame(received.payload, ws.CLOSE)
            self._end()
            channel.end("transport close", CloseCode.NORMAL)

    def _fail(self, violation: ProtocolViolation) -> None:
        self._state = _State.FAILED
        if self.channel is not None:
            self.channel.violated(violation)

    # Ending.

    def close(self, outbox: Outbox, code: int, reason: str, *, discard: bool) -> None:
        """See :class:`~gbs_actor.socketio.channel.channel.Transport`."""
        if self._final is None:
            text = reason.encode()[:_MAX_REASON].decode(errors="ignore").encode()
            self._final = ws.frame(code.to_bytes(2, "big") + text, ws.CLOSE)
        outbox.finish(Message.control(self._final), discard=discard)

    def close_for_peer(self, outbox: Outbox) -> None:
        """See :class:`~gbs_actor.socketio.channel.channel.Transport`."""
        self.close(outbox, CloseCode.NORMAL, "", discard=False)

    async def finish(self, channel: Channel) -> None:
        """Write the rest, then wait for the client's side of the closing handshake.

        Closing a socket with unread data resets it, and a reset can overtake the server's
        close frame: so what still arrives is read and dropped (RFC 6455 §7.1.1).
        """
        await channel.outbox.flushed.wait()
        if self._driver is not None:
            self._driver.resume()
            if self._state is _State.FAILED:
                await self._driver.send_eof()
        if self._state is not _State.ENDED:
            self._read_to_end = trio.Event()
            await self._read_to_end.wait()

    def abort(self) -> None:
        """See :class:`~gbs_actor.socketio.channel.channel.Transport`."""
        self._end()
        if self._driver is not None:
            self._driver.abort()

    def release(self) -> None:
        """See :class:`~gbs_actor.socketio.channel.channel.Transport`."""
        self.channel = None  # it refers to this transport
        driver, self._driver = self._driver, None
        if driver is not None:
            driver.close()

    def _end(self) -> None:
        self._state = _State.ENDED
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._read_to_end is not None:
            self._read_to_end.set()

    def write_queued(self, channel: Channel) -> None:
        """See :class:`~gbs_actor.socketio.channel.channel.Transport`."""
        if self._driver is not None:
            self._driver.write_queued(channel)
