"""A channel: one peer's messages both ways, with back-pressure and an end."""

from __future__ import annotations

import logging
import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Final, Protocol

import trio

from gbs_actor.socketio.channel.outbox import Outbox
from gbs_actor.socketio.channel.outbox_limits import OutboxLimits
from gbs_actor.socketio.channel.tasks import ChannelTasks
from gbs_actor.socketio.channel.wire import Wire
from gbs_actor.socketio.websocket.close_code import CloseCode, ProtocolViolation

logger = logging.getLogger(__name__)
TOO_FAR_BEHIND: Final = "too far behind"
"""Why a client is disconnected for which too much is queued."""
_NEVER: Final = -math.inf  # one object for all

OnEnd = Callable[["Channel", str], None]
"""Called once with a channel and the reason, when it has ended; must not block."""


class Transport(Protocol):
    """What carries a channel: one WebSocket, or the polls of a session."""

    @property
    def wire(self) -> Wire:
        """What the channel's outbox writes to."""
        ...

    @property
    def name(self) -> str:
        """``"polling"`` or ``"websocket"``."""
        ...

    @property
    def upgrades(self) -> tuple[str, ...]:
        """Transports that a client may change to from this one."""
        ...

    @property
    def pings(self) -> bool:
        """Whether WebSocket pings can be sent over it, and pongs received."""
        ...

    def write_queued(self, channel: Channel) -> None:
        """Write what is in the channel's outbox when the peer takes it."""
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

    def release(self) -> None:
        """Close the stream, as all that the channel has run is done; does not block."""
        ...


class UpgradeTransport(Transport, Protocol):
    """A transport whose channel can be replaced by another one."""

    channel: Channel | None
    """Receives the messages."""


class Channel(ABC):
    """One peer's messages, in both directions, over any transport.

    :param tasks: run its handlers that await, and its writer if it has one.
    """

    __slots__ = (
        "__weakref__",
        "_on_end",
        "_resumed_at",
        "_when_unpaused",
        "backlogged",
        "close_text",
        "outbox",
        "reading_stopped",
        "reason",
        "received_at",
        "tasks",
        "transport",
    )

    def __init__(
        self, transport: Transport, tasks: ChannelTasks, limits: OutboxLimits, on_end: OnEnd
    ) -> None:
        self.transport = transport
        self.tasks = tasks
        tasks.owner = self
        self.outbox = Outbox(transport.wire, self, limits)
        self.reason: str | None = None
        """Why the channel has ended; ``None`` while it is open."""
        self.close_text = ""
        """If the server has closed it, why in more words: the text of the close frame."""
        self._on_end = on_end
        self.received_at = _NEVER
        """Trio time at which the bytes of what it receives were read; its transport sets it."""
        self.backlogged = False
        """Whether the application has not caught up with what was received; reading pauses then."""
        self.reading_stopped = False
        """Whether reading stays paused until the end."""
        self._when_unpaused: tuple[Callable[[], None], ...] = ()
        self._resumed_at = _NEVER

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
            logger.debug("%r closed: %s", self, violation.reason)
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
        logger.debug("%r closed: %s", self, TOO_FAR_BEHIND)
        if self.reason is not None:
            self.lose("transport close")
        elif self.outbox.stuck:
            self.close_text = TOO_FAR_BEHIND  # which the client is not sent
            self.lose("transport close")
        else:
            self.end("transport close", CloseCode.TRY_AGAIN_LATER, TOO_FAR_BEHIND, discard=True)

    def end(self, reason: str, code: int, text: str = "", *, discard: bool = False) -> None:
        """End the channel, then the transport. Does not block.

        :param reason: for disconnect handlers, and counted by the server.
        :param code: WebSocket close code.
        :param text: for the close frame.
        :param discard: whether to drop what is queued.
        """
        if self.reason is None:
            self.close_text = text
        if self._end(reason):
            self.transport.close(self.outbox, code, text, discard=discard)

    def _end(self, reason: str) -> bool:
        if self.reason is not None:
            return False
        self.reason = reason
        try:
            self.ended(reason)
        except Exception:
            logger.exception("%r failed to end", self)
        finally:
            self.resume_reading()
            self._on_end(self, reason)
        return True

    def task_failed(self) -> None:
        """See :class:`~gbs_actor.socketio.channel.tasks.TasksOwner`."""
        self.lose("transport error")

    @abstractmethod
    def ended(self, reason: str) -> None:
        """Called once, when the channel has ended; must not block. An exception is logged."""

    @abstractmethod
    async def run_disconnect_handlers(self) -> None:
        """End what the channel runs, in bounded time, shielded from cancellation.

        Called once, when the channel has ended.
        """

    # Back-pressure.

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

    def stop_reading(self) -> None:
        """Pause reading until the channel has ended; what was received is handled."""
        self.reading_stopped = self.backlogged = True

    def when_unpaused(self, resume: Callable[[], None]) -> None:
        """Call ``resume`` once reading may resume, or the channel has ended.

        Two may wait: a POST from before an upgrade, and the WebSocket after it.

        :param resume: must not block; does nothing if it waits already.
        """
        if resume not in self._when_unpaused:
            self._when_unpaused = (*self._when_unpaused, resume)

    async def wait_unpaused(self) -> None:
        """Return once reading may resume, or the channel has ended."""
        while self.paused:
            resumed = trio.Event()
            self.when_unpaused(resumed.set)
            await resumed.wait()

    def resume_reading(self) -> None:
        """Call what waits in :meth:`when_unpaused`, if reading may resume."""
        if self._when_unpaused and not self.paused:
            waiting, self._when_unpaused = self._when_unpaused, ()
            self._resumed_at = trio.current_time()
            for resume in waiting:
                resume()

    # What the outbox calls.

    def outbox_congested(self) -> None:  # noqa: B027  (reading pauses by itself)
        """Note that the client does not keep up."""

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

    def start_writer(self) -> None:
        """See :class:`~gbs_actor.socketio.channel.outbox.OutboxOwner`."""
        self.transport.write_queued(self)
