"""The events of a client that are not done: handled in order, counted, and bounded.

An event counts in two ways. Its bytes count until its handler has ended, or until the event is
no longer kept (:meth:`BacklogEvent.keep`); the bytes that a reply needs, until that is sent. If
the client waits for an acknowledgement, the event also counts as unacknowledged until then: one
whose handler never replies counts until :meth:`BacklogEvent.release` or the end of the
connection. Above ``max_unanswered_events`` the connection is not read. Nothing depends on when
an object is collected.

While the outbox is congested no event is started, unless the client is upgrading: a client that
does not read what it asked for can ask for no more.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from types import TracebackType
from typing import Protocol, TypeVar

from gbs_actor.socketio.channel.channel import Channel
from gbs_actor.socketio.channel.dispatcher import Dispatcher, Job
from gbs_actor.socketio.channel.options import ServerOptions

By = TypeVar("By")
EventT = TypeVar("EventT", bound="BacklogEvent")


class BacklogOwner(Protocol):
    """The channel of a backlog."""

    backlogged: bool
    """Whether the backlog is full, and reading has to pause."""
    reading_stopped: bool
    """Whether it has to pause in any case."""
    received_at: float
    """Trio time at which the bytes of what it receives were read."""

    @property
    def may_start_events(self) -> bool:
        """Whether events may be handled."""
        ...

    def resume_reading(self) -> None:
        """Read on if reading may resume; must not block."""
        ...


class Backlog:
    """The events of one channel that are queued, being handled, or not acknowledged.

    :param channel: resumes reading when the backlog shrinks.
    """

    __slots__ = ("_channel", "_dispatcher", "_options", "full", "kept_bytes", "unacknowledged")

    def __init__(self, channel: Channel, options: ServerOptions) -> None:
        self._options = options
        self._channel: BacklogOwner = channel
        self._dispatcher = Dispatcher(channel.tasks, self)
        self.unacknowledged = 0
        """Events; they count themselves, and then call :meth:`check_full` if it was full."""
        self.kept_bytes = 0
        """Of events; as above."""
        self.full = False
        """Whether reading has to pause, as too much is not done."""

    def submit(self, job: Job) -> None:
        """Run a job now if possible, else after those in the queue. After the end, do nothing."""
        self._dispatcher.submit(job)
        self.check_full()

    def submit_event(
        self, event: EventT, handle: Callable[[By, EventT], Awaitable[None] | None], by: By
    ) -> None:
        """Handle an event by ``handle(by, event)``, once it may start; its end is the event's."""
        channel = self._channel
        event.received_at = channel.received_at
        self.kept_bytes += event.size
        if event.wants_ack:
            self.unacknowledged += 1
        options = self._options
        if (
            self.kept_bytes > options.max_held_bytes
            or self.unacknowledged > options.max_unanswered_events
        ):
            self.check_full()
        if not channel.may_start_events or not self._dispatcher.run(
            handle, by, event, event.end_use
        ):
            self._dispatcher.submit(partial(handle, by, event), event.end_use, when_ready=True)
            self.check_full()

    def resume(self) -> None:
        """Start the events that have waited for the outbox."""
        self._dispatcher.resume()
        self.check_full()

    def check_full(self) -> None:
        """Find out whether reading has to pause, and resume it if not any more."""
        former, options = self.full, self._options
        self.full = self._channel.backlogged = (
            self._channel.reading_stopped
            or self.unacknowledged > options.max_unanswered_events
            or len(self._dispatcher) >= options.max_waiting_events
            or self.kept_bytes > options.max_held_bytes
        )
        if former and not self.full:
            self._channel.resume_reading()

    @property
    def may_start_events(self) -> bool:
        """See :class:`~gbs_actor.socketio.channel.dispatcher.DispatcherOwner`."""
        return self._channel.may_start_events

    def resume_reading(self) -> None:
        """See :class:`~gbs_actor.socketio.channel.dispatcher.DispatcherOwner`."""
        self.check_full()

    async def stop(self) -> None:
        """Cancel the running handler, drop the queue, and return once the handler has unwound.

        Shielded from cancellation; returns after ``disconnect_timeout`` at the latest.
        """
        await self._dispatcher.stop(self._options.disconnect_timeout)
        self._channel = _NoChannel()  # the connection can be freed


class _NoChannel:
    """Owns a backlog that has ended."""

    may_start_events = False
    backlogged = False
    reading_stopped = False
    received_at = 0.0

    def resume_reading(self) -> None:
        """Nothing is read after the end."""


class BacklogEvent:
    """An event of a client, as it counts in a backlog; a subclass holds what was sent.

    Attributes:
        received_at: Trio time at which its last bytes were read; the backlog sets it.

    :param size: bytes of memory that it takes, and counts.
    :param wants_ack: whether the client waits for an acknowledgement.
    """

    __slots__ = ("_ack_pending", "_backlog", "_users", "received_at", "size", "wants_ack")

    received_at: float

    def __init__(self, backlog: Backlog, size: int, wants_ack: bool) -> None:
        self.size = size
        self.wants_ack = wants_ack
        self._backlog = backlog
        self._ack_pending = wants_ack
        self._users = 1  # the handler, and one for each KeptEvent

    def keep(self) -> KeptEvent:
        """Keep what was sent after the handler has ended; it counts until :meth:`KeptEvent.close`.

        :raises RuntimeError: the handler has ended, and what was sent is dropped.
        """
        if not self._users:
            raise RuntimeError("an event can be kept only until its handler has ended")
        self._users += 1
        return KeptEvent(self)

    def release(self) -> None:
        """Stop counting the event as unacknowledged, as there will be no reply.

        A handler that may end without a reply calls it, else the event counts until the end
        of the connection.
        """
        if self._ack_pending:
            self._ack_pending = False
            backlog = self._backlog
            backlog.unacknowledged -= 1
            if not self._users:
                backlog.kept_bytes -= self.size
                self.size = 0
            if backlog.full:
                backlog.check_full()

    def end_use(self) -> None:
        """Note the end of one use; after the last one drop what was sent."""
        self._users -= 1
        if not self._users:
            needed = self._drop()
            left = needed if self._ack_pending else 0
            backlog = self._backlog
            backlog.kept_bytes -= self.size - left
            self.size = left
            if backlog.full:
                backlog.check_full()

    def _drop(self) -> int:
        """Drop what was sent; return how many bytes are left, as a reply needs them."""
        return 0


class KeptEvent:
    """Keeps one event until it is closed, or until the end of a ``with`` block."""

    __slots__ = ("_event",)

    def __init__(self, event: BacklogEvent) -> None:
        self._event: BacklogEvent | None = event

    def close(self) -> None:
        """Stop keeping the event. Idempotent."""
        event, self._event = self._event, None
        if event is not None:
            event.end_use()

    def __enter__(self) -> KeptEvent:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
