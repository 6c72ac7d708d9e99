"""One connection of a simulated client: what waits on it, and the events that it sends in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

import trio

from gbs_actor.lineup.commands import Author
from gbs_actor.rooms import Format, RoomSupervisor, SinkStatistics, Subscriber
from gbs_actor.testing.simulation.history import Json
from gbs_actor.testing.simulation.rooms.messages import Bundle, Message

Handler = Callable[[], Awaitable[None] | None]
"""Handles one event of a client; returns what is left to await, if anything."""


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to an invocation."""

    invocation: int
    json: Json


class Taker(Protocol):
    """A client, as its connection reaches it. No method blocks."""

    def take(self, connection: Connection, item: Message | Reply) -> None:
        """Take what arrives next."""
        ...

    def sent_away(self, connection: Connection, *, orderly: bool) -> None:
        """Learn that the server has ended the connection.

        :param orderly: behind what it was sent; else at once.
        """
        ...


class Connection:
    """Implements :class:`~gbs_actor.rooms.Sink`; handles events in the order of arrival.

    While its client does not read, a newer message replaces the waiting one of its slot, as in an
    outbox.

    :param number: unique in the run.
    :param nursery: of the server.
    """

    def __init__(
        self,
        number: int,
        taker: Taker,
        format_: Format,
        author: Author,
        *,
        rooms: RoomSupervisor,
        nursery: trio.Nursery,
        reading: bool,
    ) -> None:
        self.number = number
        self.rooms = rooms
        self.is_open = True
        self.opened = False
        """Whether the client knows of it: it has been answered how it goes on."""
        self.reading = reading
        self.waiting: dict[object, Message | Reply] = {}
        """By slot; each reply has its own."""
        self._taker = taker
        self._format = format_
        self._nursery = nursery
        self._inbox: deque[Handler] = deque()
        self._handling: trio.CancelScope | None = None
        self.subscriber = Subscriber(self, author, sid=str(number))

    # -- what the client sends

    def send(self, handler: Handler) -> None:
        """Let the server handle an event, behind those before it."""
        self._inbox.append(handler)
        if self._handling is None:
            self._handle()

    def _handle(self) -> None:
        while self._inbox and self.is_open:
            rest = self._inbox.popleft()()
            if rest is not None:
                self._handling = trio.CancelScope()
                self._nursery.start_soon(self._finish, rest, self._handling)
                return

    async def _finish(self, rest: Awaitable[None], scope: trio.CancelScope) -> None:
        with scope:
            await rest
        self._handling = None
        self._handle()

    # -- what it is sent

    @property
    def format(self) -> Format:
        """See :class:`~gbs_actor.rooms.Sink`."""
        return self._format

    def deliver(self, message: Message | Bundle) -> None:
        """See :class:`~gbs_actor.rooms.Sink`."""
        for each in message.messages if isinstance(message, Bundle) else (message,):
            self.queue(each)

    def queue(self, item: Message | Reply) -> None:
        """Send something, behind what waits."""
        if not self.is_open:
            return
        if self.reading and self.opened and not self.waiting:
            self._taker.take(self, item)
        elif isinstance(item, Message):
            for part in item.divided():
                self._replace(part)
        else:
            self.waiting[object()] = item

    def _replace(self, message: Message) -> None:
        self.waiting.pop(message.slot, None)
        self.waiting[message.slot] = message

    def read(self, count: int | None = None) -> None:
        """Let the client take what waits, in its order.

        :param count: so many of it, at most; ``None``: all.
        """
        waiting = list(self.waiting.items())
        self.waiting = {} if count is None else dict(waiting[count:])
        for _, item in waiting[:count]:
            self._taker.take(self, item)

    def hold(self) -> None:
        """See :class:`~gbs_actor.rooms.Sink`; here each message is taken by itself anyway."""

    def release(self) -> None:
        """See :meth:`hold`."""

    # -- its end

    def cut(self) -> None:
        """End at once: nothing that waits is taken, and nothing that comes."""
        self.is_open = False
        self._inbox.clear()
        self.waiting.clear()

    def leave(self) -> None:
        """Let the server learn that it has ended."""
        if self._handling is not None:
            self._handling.cancel()
        self.rooms.disconnect(self.subscriber)

    def close_restarting(self) -> None:
        """See :class:`~gbs_actor.rooms.Sink`."""
        if self.is_open:
            self._taker.sent_away(self, orderly=True)

    def abort(self) -> None:
        """See :class:`~gbs_actor.rooms.Sink`."""
        if self.is_open:
            self._taker.sent_away(self, orderly=False)

    def statistics(self) -> SinkStatistics:
        """See :class:`~gbs_actor.rooms.Sink`."""
        return SinkStatistics(len(self.waiting), 0, 0, 0.0)
