"""A channel: one peer's messages both ways, with back-pressure and an end."""

from __future__ import annotations

import logging
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

import trio

from gbs_actor.socketio.channel.close_code import CloseCode, ProtocolViolation
from gbs_actor.socketio.channel.outbox import Outbox
from gbs_actor.socketio.channel.outbox_limits import OutboxLimits
from gbs_actor.socketio.channel.wire import Wire

logger = logging.getLogger(__name__)

OnEnd = Callable[[str], None]
"""Called once with the reason, when a channel has ended."""


class Transport(Protocol):
    """What carries a channel: one WebSocket, or the polls of a session."""

    @property
    def wire(self) -> Wire:
        """What the channel's outbox writes to."""
        ...

    @property
    def upgrades(self) -> tuple[str, ...]:
        """Transports that a client may change to from this one."""
        ...

    @property
    def pings(self) -> bool:
        """Whether WebSocket pings can be sent over it, and pongs received."""
        ...

    async def carry(self, channel: Channel) -> None:
        """Pass received messages to the channel until it has ended."""
        ...

    async def finish(self, channel: Channel) -> None:
        """Return once the peer has received the end; the caller bounds the time."""
        ...

    def close(self, outbox: Outbox, code: int, reason: str, *, discard: bool) -> None:
        """Begin to close; does not block.

        :param code: WebSocket close code (RFC 6455 §7.4.1).
        :param discard: whether to drop what is queued, instead of sending it first.
        """
        ...

    def close_for_peer(self, outbox: Outbox) -> None:
        """Close, as the peer has sent an Engine.IO close packet; does not block."""
        ...

    def abort(self) -> None:
        """Drop the stream; does not block."""
        ...


class UpgradeTransport(Transport, Protocol):
    """A transport whose channel can be replaced by another one."""

    channel: Channel | None
    """Receives the messages."""


class Channel(ABC):
    """One peer's messages, in both directions, over any transport.

    :param nursery: where its writer and its handlers run; ends with the channel.
    :param on_end: called once with the reason, when the channel ends.
    """

    __slots__ = ("_gate", "_on_end", "_resumed_at", "nursery", "outbox", "reason", "transport")

    def __init__(
        self, transport: Transport, nursery: trio.Nursery, limits: OutboxLimits, on_end: OnEnd
    ) -> None:
        self.transport = transport
        self.nursery = nursery
        self.outbox = Outbox(transport.wire, self, limits)
        self.reason: str | None = None
        """Why the channel has ended; ``None`` while it is open."""
        self._on_end = on_end
        self._gate: trio.Event | None = None
        self._resumed_at = -math.inf

    # What the transport calls.

    @abstractmethod
    def open(self) -> None:
        """Send the first message; the transport is ready."""

    @abstractmethod
    def receive_text(self, text: str) -> None:
        """Take a text message; the channel may have ended after that."""

    @abstractmethod
    def receive_binary(self, payload: bytes) -> None:
        """Take a binary message; the channel may have ended after that."""

    def receive_pong(self) -> None:  # noqa: B027  (most channels have a heartbeat of their own)
        """Take a WebSocket pong (RFC 6455 §5.5.3)."""

    # Ending.

    def violated(self, violation: ProtocolViolation) -> None:
        """End the channel: the peer has broken the protocol."""
        if self.reason is None:
            logger.info("%r closed: %s", self, violation.reason)
        self.end("parse error", violation.code, violation.reason)

    def close(self, code: int = CloseCode.NORMAL, reason: str = "") -> None:
        """Close the transport after sending what is queued."""
        self.end("transport close", code, reason)

    def abort(self) -> None:
        """Drop the connection at once."""
        self.lose("transport close")

    def lose(self, reason: str) -> None:
        """End without a closing handshake: the stream has ended, or is dropped."""
        self._end(reason)
        self.outbox.stop()
        self.transport.abort()

    def overflow(self) -> None:
        """Close the transport, as too much is queued: the client is too slow.

        What is queued is dropped. A close frame would have to wait behind a message that is
        partly sent: if that is long, the connection is dropped instead, as is one that is being
        closed already.
        """
        logger.info("%r closed: too far behind", self)
        if self.outbox.stuck or self.reason is not None:
            self.lose("transport close")
        else:
            self.end("transport close", CloseCode.TRY_AGAIN_LATER, "too far behind", discard=True)

    def end(self, reason: str, code: int, text: str = "", *, discard: bool = False) -> None:
        """End the channel, then the transport. Does not block.

        :param reason: for disconnect handlers, and counted by the server.
        :param code: WebSocket close code.
        :param text: for the close frame.
        :param discard: whether to drop what is queued.
        """
        if self._end(reason):
            self.transport.close(self.outbox, code, text, discard=discard)

    def _end(self, reason: str) -> bool:
        if self.reason is not None:
            return False
        self.reason = reason
        self.ended(reason)
        if self._gate is not None:
            self._gate.set()
        self._on_end(reason)
        return True

    @abstractmethod
    def ended(self, reason: str) -> None:
        """Called once, when the channel has ended; must not block."""

    @abstractmethod
    async def run_disconnect_handlers(self) -> None:
        """End what the channel runs, in bounded time, shielded from cancellation.

        Called when the channel has ended, possibly twice.
        """

    # Back-pressure.

    @property
    def backlogged(self) -> bool:
        """Whether the application has not caught up with what was received; reading pauses then."""
        return False

    @property
    def may_start_events(self) -> bool:
        """Whether what was received may be handled, which may make more to send."""
        return not self.outbox.congested

    def resume_events(self) -> None:  # noqa: B027  (a probe has none)
        """Start the events that have waited until the outbox is not congested any more."""

    @property
    def paused(self) -> bool:
        """Whether reading is paused."""
        return self.reason is None and (self.outbox.congested or self.backlogged)

    async def wait_unpaused(self) -> None:
        """Return once reading may resume, or the channel has ended.

        Two tasks may wait: a POST from before an upgrade, and the WebSocket after it.
        """
        while self.paused:
            if self._gate is None or self._gate.is_set():  # else another task waits, too
                self._gate = trio.Event()
            await self._gate.wait()
        self._gate = None
        self._resumed_at = trio.current_time()

    def resume_reading(self) -> None:
        """Wake the tasks in :meth:`wait_unpaused`, if reading may resume."""
        if self._gate is not None and not self.paused:
            self._gate.set()

    # What the outbox calls.

    def outbox_drained(self) -> None:
        """Start events and resume reading, as the client has caught up."""
        self.resume_events()
        self.resume_reading()

    def outbox_overflowed(self) -> None:
        """Close the transport, as the client does not keep up."""
        self.overflow()

    def outbox_broken(self, error: BaseException) -> None:
        """Drop the connection, as it cannot be written to."""
        if self._end("transport error"):
            logger.debug("%r broke: %r", self, error)
            self.transport.abort()

    def start_writer(self, writer: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run the outbox' writer in the channel's nursery."""
        self.nursery.start_soon(writer)


MakeChannel = Callable[[Transport, trio.Nursery], Channel]


async def run_channel(make: MakeChannel, transport: Transport, close_timeout: float) -> None:
    """Make a channel and carry it until it has ended; its tasks have ended then, too.

    Cancelled, nothing more is written; the disconnect handlers run nevertheless.

    :param close_timeout: seconds until the peer must have received the end.
    """
    async with trio.open_nursery() as nursery:
        channel = make(transport, nursery)
        try:
            await transport.carry(channel)
            await channel.run_disconnect_handlers()
            with trio.move_on_after(close_timeout):
                # It has another one if the client has upgraded meanwhile.
                await channel.transport.finish(channel)
        except trio.Cancelled:
            channel.lose("server shutting down")
            raise
        finally:
            channel.lose("transport close")
            nursery.cancel_scope.cancel()
            await channel.run_disconnect_handlers()
