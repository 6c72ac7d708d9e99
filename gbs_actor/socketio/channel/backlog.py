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

from types import TracebackType

from gbs_actor.socketio.channel.channel import Channel
from gbs_actor.socketio.channel.dispatcher import NOBODY, Dispatcher, DispatcherOwner, Job
from gbs_actor.socketio.channel.options import ServerOptions


class Backlog:
    """The events of one channel that are queued, being handled, or not acknowledged.

    :param channel: resumes reading when the backlog shrinks.
    """

    __slots__ = ("_channel", "_dispatcher", "_kept_bytes", "_options", "_unacknowledged")

    def __init__(self, channel: Channel, options: ServerOptions) -> None:
        self._options = options
        self._channel: DispatcherOwner = channel
        self._dispatcher = Dispatcher(channel.tasks, channel)
        self._unacknowledged = 0
        self._kept_bytes = 0

    def submit(self, job: Job) -> None:
        """Run a job now if possible, else after those in the queue. After the end, do nothing."""
        self._dispatcher.submit(job)

    def submit_event(self, event: BacklogEvent, job: Job) -> None:
        """Run a job that handles an event, once it may start; its end is the event's."""
        self._kept_bytes += event.size
        if event.wants_ack:
            self._unacknowledged += 1
        self._dispatcher.submit(job, event.end_use, when_ready=True)

    def resume(self) -> None:
        """Start the events that have waited for the outbox."""
        self._dispatcher.resume()

    def remove_bytes(self, size: int) -> None:
        """Count ``size`` bytes less."""
        self._kept_bytes -= size
        self._channel.resume_reading()

    def remove_unacknowledged(self) -> None:
        """Count one unacknowledged event less."""
        self._unacknowledged -= 1
        self._channel.resume_reading()

    @property
    def full(self) -> bool:
        """Whether reading has to pause, as too much is not done."""
        return (
            self._unacknowledged > self._options.max_unanswered_events
            or len(self._dispatcher) >= self._options.max_waiting_events
            or self._kept_bytes > self._options.max_held_bytes
        )

    async def stop(self) -> None:
        """Cancel the running handler, drop the queue, and return once the handler has unwound.

        Shielded from cancellation; returns after ``disconnect_timeout`` at the latest.
        """
        await self._dispatcher.stop(self._options.disconnect_timeout)
        self._channel = NOBODY  # the connection can be freed


class BacklogEvent:
    """An event of a client, as it counts in a backlog; a subclass holds what was sent.

    :param size: bytes of memory that it takes, and counts.
    :param wants_ack: whether the client waits for an acknowledgement.
    """

    __slots__ = ("_ack_pending", "_backlog", "_users", "size", "wants_ack")

    def __init__(self, backlog: Backlog, size: int, *, wants_ack: bool) -> None:
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
            if not self._users:
                self._backlog.remove_bytes(self.size)
                self.size = 0
            self._backlog.remove_unacknowledged()

    def end_use(self) -> None:
        """Note the end of one use; after the last one drop what was sent."""
        self._users -= 1
        if not self._users:
            needed = self._drop()
            left = needed if self._ack_pending else 0
            self._backlog.remove_bytes(self.size - left)
            self.size = left

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
