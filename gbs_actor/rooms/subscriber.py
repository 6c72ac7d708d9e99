"""One connection's membership in rooms."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import trio

from gbs_actor.lineup.commands import Author
from gbs_actor.rooms.delivery import Sink, SinkStatistics

if TYPE_CHECKING:
    from gbs_actor.rooms.handle import RoomHandle

_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class SubscriberStatistics:
    """One subscriber as its room sees it."""

    number: int
    """Tells the connections of this process apart."""
    user_id: int
    user_name: str
    sent_revision: int
    """The revision up to which the room has handed everything to the connection."""
    lag: int
    """Revisions the room is ahead of that."""
    in_flight: int
    """Commands and marks without an answer."""
    sink: SinkStatistics


class Subscriber:
    """A connection that can be in one room at a time.

    It belongs to the connection, not to a room's task, so it outlives a room's crash:
    nobody has to rejoin.

    :param sink: where the room's messages go.
    :param author: who is connected; stands for them in presence and editing marks.
    """

    def __init__(self, sink: Sink, author: Author) -> None:
        self.sink = sink
        self.author = author
        self.number = next(_numbers)
        self.handle: RoomHandle | None = None
        """The room this connection is in. Rooms set it, by :meth:`enter`."""
        self.sent_revision = 0
        self.foreign_offset = -1
        """The highest revision the client may know of from anywhere but its room; -1: none."""
        self.closed = False
        self.in_flight = 0
        self.marks_submitted = 0
        """Editing marks it has given so far."""
        self.marks_rejected = 0
        """Of those, the first so many count no more: a newer one was refused."""
        self._settled = trio.lowlevel.ParkingLot()

    @property
    def room_slug(self) -> str | None:
        """The retreat of the room this connection is in, if any."""
        return None if self.handle is None else self.handle.slug

    def enter(self, handle: RoomHandle | None) -> None:
        """Be in a room, or in none, from here on; rooms call it."""
        if self.handle is not None:
            self.foreign_offset = max(self.foreign_offset, self.sent_revision)
        self.handle = handle

    def command_answered(self) -> None:
        """Count one command or mark as answered; rooms call it."""
        self.in_flight -= 1
        if self.in_flight == 0:
            self._settled.unpark_all()

    async def wait_replied(self) -> None:
        """Wait until no command or mark of this connection is without an answer.

        Cancellation ends the wait and changes nothing.
        """
        while self.in_flight:
            await self._settled.park()

    def statistics(self, room_revision: int) -> SubscriberStatistics:
        """Return how far the connection has followed a room at ``room_revision``."""
        return SubscriberStatistics(
            number=self.number,
            user_id=self.author.user_id,
            user_name=self.author.name,
            sent_revision=self.sent_revision,
            lag=max(0, room_revision - self.sent_revision),
            in_flight=self.in_flight,
            sink=self.sink.statistics(),
        )
