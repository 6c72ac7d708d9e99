"""The channels of one server: from the first message until all that they have run has ended."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from contextvars import Context
from typing import Generic, NamedTuple, TypeVar

import trio

from gbs_actor.socketio.channel.channel import TOO_FAR_BEHIND, Channel
from gbs_actor.socketio.channel.memory_limit import MemoryLimit
from gbs_actor.socketio.channel.tasks import ChannelTasks

logger = logging.getLogger(__name__)

Accepted = TypeVar("Accepted")
"""What a server knows about a client that it accepts, and counts for it."""


class Sent(NamedTuple):
    """What was sent on some channels so far."""

    messages: int
    bytes: int


class Channels(Generic[Accepted]):
    """Those that are open or about to end, with what is counted for each.

    :param memory_limit: bounds what is queued on all of them.
    :param close_timeout: seconds until a peer must have received the end.
    :param on_removed: called with a channel, when it is done with, and what is counted for it.
    """

    def __init__(
        self,
        memory_limit: MemoryLimit,
        close_timeout: float,
        on_removed: Callable[[Channel, Accepted], None],
    ) -> None:
        self._memory_limit = memory_limit
        self._close_timeout = close_timeout
        self._on_removed = on_removed
        self._channels: dict[Channel, Accepted] = {}
        self._nursery: trio.Nursery | None = None
        self.closes: Counter[str] = Counter()
        """Channels that have ended, per reason."""
        self.overflows = 0
        """Of these, because too much was queued."""
        self._sent_before = Sent(0, 0)
        """On channels that were removed."""

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._channels)

    def __iter__(self) -> Iterator[Channel]:
        """Iterate over those that there are now."""
        return iter(list(self._channels))

    def sent(self) -> Sent:
        """Return what was sent on all channels so far; reads each of them, once."""
        messages, size = self._sent_before
        for channel in self._channels:
            outbox = channel.outbox
            messages += outbox.sent_messages
            size += outbox.sent_bytes
        return Sent(messages, size)

    def use(self, nursery: trio.Nursery) -> None:
        """Run the tasks of channels in a nursery, which must outlive them."""
        self._nursery = nursery

    def new_tasks(self, context: Context) -> ChannelTasks:
        """Return what runs the tasks of a new channel, in copies of a context."""
        assert self._nursery is not None
        return ChannelTasks(self._nursery, context)

    def open(self, channel: Channel, accepted: Accepted) -> None:
        """Add a channel, and send its first message. It calls :meth:`ended` at its end."""
        self._channels[channel] = accepted
        channel.outbox.add_limit(self._memory_limit)
        try:
            channel.open()
        except Exception:
            logger.exception("%r failed to open", channel)
            channel.lose("transport error")

    def ended(self, channel: Channel, reason: str) -> None:
        """Count an end, and do what is left to do."""
        self.closes[reason] += 1
        self.overflows += channel.close_text == TOO_FAR_BEHIND
        self.end_later(channel)

    def end_later(self, channel: Channel) -> None:
        """End what a channel has run, in a task; then release its transport."""
        assert self._nursery is not None
        self._nursery.start_soon(self._end, channel)

    async def _end(self, channel: Channel) -> None:
        """End what a channel has run, and its transport.

        Cancelled, nothing more is written; the disconnect handlers run nevertheless.
        """
        try:
            await channel.run_disconnect_handlers()
            with trio.move_on_after(self._close_timeout):
                await channel.transport.finish(channel)
        except Exception:
            logger.exception("%r failed to end", channel)
        finally:
            channel.lose("transport close")
            await channel.tasks.cancel()
            self.remove(channel)
            channel.transport.release()

    def remove(self, channel: Channel) -> None:
        """Remove a channel that is done with; keep its counters."""
        accepted = self._channels.pop(channel)
        channel.outbox.remove_limit(self._memory_limit)
        messages, size = self._sent_before
        outbox = channel.outbox
        self._sent_before = Sent(messages + outbox.sent_messages, size + outbox.sent_bytes)
        self._on_removed(channel, accepted)
