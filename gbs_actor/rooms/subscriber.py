"""A client's place in a room."""

from __future__ import annotations

import logging
from typing import Any, Protocol

import msgspec
import trio

from gbs_actor.lineup.commands import Author, Command
from gbs_actor.observability import LogFields
from gbs_actor.rooms.delivery import CommandReply, DoneReply, Sink, SinkStatistics

log = logging.getLogger(__name__)


class JoinedRoom(Protocol):
    """The room a subscriber is in, as its connection reaches it. No method blocks."""

    @property
    def slug(self) -> str:
        """The retreat."""
        ...

    @property
    def revision(self) -> int:
        """Of its last change; 0 while nothing is loaded."""
        ...

    def submit(
        self,
        command: Command,
        reply: CommandReply,
        subscriber: Subscriber,
        received_at: float | None = None,
    ) -> None:
        """Queue a command, or reply at once why not."""
        ...

    def mark_editing(
        self,
        subscriber: Subscriber,
        registration_id: int,
        field: str | None,
        editing: bool,
        reply: DoneReply,
    ) -> None:
        """Queue an update of the subscriber's editing mark, or reply at once why not."""
        ...

    def reject_mark(self, subscriber: Subscriber) -> None:
        """End the subscriber's editing mark, since a later update of it was rejected."""
        ...

    def leave(self, subscriber: Subscriber, reply: DoneReply | None = None) -> None:
        """Queue a leave behind what the subscriber submitted before."""
        ...


class SubscriberStatistics(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One subscriber as its room sees it."""

    number: int
    """Unique among the subscribers of this server."""
    sid: str | None
    """The id by which operators know the connection."""
    user_id: int
    user_name: str
    connected_for: float
    """Seconds since the client was admitted."""
    sent_revision: int
    """The revision up to which the room has handed everything to the connection."""
    lag: int
    """Revisions the room is ahead of that."""
    under_way: int
    """Commands and marks without a reply."""
    sink: SinkStatistics


class Subscriber:
    """A connection that can be in one room at a time.

    It belongs to the connection, not to a room's task, so it outlives a room's crash:
    nobody has to rejoin.

    :param sink: where the room's messages go.
    :param author: who is connected; stands for them in presence and editing marks.
    :param wants_presence: whether it is sent who is there each time that changes, and not
        only when it joins.
    :param sid: the id by which operators know the connection.
    """

    __slots__ = (
        "_changes",
        "author",
        "closed",
        "commands_slug",
        "connected_at",
        "in_flight",
        "known_elsewhere",
        "last_slug",
        "leaving",
        "marks_carried_out",
        "marks_rejected",
        "marks_submitted",
        "number",
        "room",
        "sent_revision",
        "sid",
        "sink",
        "wants_presence",
    )

    def __init__(
        self,
        sink: Sink,
        author: Author,
        *,
        wants_presence: bool = True,
        sid: str | None = None,
    ) -> None:
        self.sink = sink
        self.author = author
        self.sid = sid
        self.wants_presence = wants_presence
        self.number = 0
        """Unique among those of a supervisor, which sets it at the first join."""
        self.connected_at = trio.current_time()
        self.room: JoinedRoom | None = None
        """The room this connection is in. Rooms set it, by :meth:`enter`."""
        self.last_slug: str | None = None
        """The retreat of that room; outside of rooms, of the one that it was in last."""
        self.sent_revision = 0
        self.known_elsewhere = -1
        """The highest offset the client may know from outside its room; -1: none."""
        self.closed = False
        self.leaving = False
        """Whether a leave of its room is queued."""
        self.in_flight = 0
        """Commands and mark updates without a reply."""
        self.commands_slug: str | None = None
        """The retreat that its last command was submitted to."""
        self.marks_submitted = 0
        self.marks_rejected = 0
        """Of the mark updates submitted, the first so many no longer count: a later one
        was rejected."""
        self.marks_carried_out = 0
        """The number of the last mark update that was carried out: one that was in hand
        with a commit may come behind a later one, and then changes nothing."""
        self._changes: trio.Event | None = None
        """Set when the last reply was sent, or a room was entered or left; made by who waits."""

    @property
    def room_slug(self) -> str | None:
        """The retreat of the room this connection is in, if any."""
        return None if self.room is None else self.room.slug

    @property
    def lag(self) -> int:
        """Revisions that its room is ahead of what it was sent; 0 outside of rooms."""
        return 0 if self.room is None else max(0, self.room.revision - self.sent_revision)

    def enter(self, room: JoinedRoom | None) -> None:
        """Be in a room, or in none, from here on; rooms call it."""
        if self.room is not None:
            self.known_elsewhere = max(self.known_elsewhere, self.sent_revision)
        self.room = room
        if room is not None:
            self.last_slug = room.slug
        self.leaving = False
        self._wake()

    def log_fields(self) -> LogFields:
        """Return who it is, for an event or a line of the log about it."""
        return {"room": self.room_slug, "user_id": self.author.user_id, "sid": self.sid}

    def deliver(self, message: Any) -> None:
        """Pass a message to the sink; a sink that raises loses its connection."""
        try:
            self.sink.deliver(message)
        except Exception:
            log.exception("a delivery failed; its connection is ended", extra=self.log_fields())
            self.sink.abort()

    def release(self) -> None:
        """Let the sink send what it has held; a sink that raises loses its connection."""
        try:
            self.sink.release()
        except Exception:
            log.exception("a delivery failed; its connection is ended", extra=self.log_fields())
            self.sink.abort()

    def send_away(self) -> None:
        """Close the connection so that the client comes back, and joins again."""
        try:
            self.sink.close_restarting()
        except Exception:
            log.exception("a connection that could not be closed is aborted")
            self.sink.abort()

    def count_reply(self) -> None:
        """Count one command or mark update as replied to; rooms call it."""
        self.in_flight -= 1
        if self.in_flight == 0:
            self._wake()

    async def wait_replied(self) -> None:
        """Wait until every command and mark update of this connection has its reply.

        Cancellation ends the wait and changes nothing.
        """
        while self.in_flight:
            await self._change()

    def waits_elsewhere(self, slug: str) -> bool:
        """Whether commands of another retreat than this one may have no reply yet."""
        return self.in_flight > 0 and self.commands_slug != slug

    async def wait_replied_elsewhere(self, slug: str) -> None:
        """Wait until commands of other retreats than this one have their replies.

        Cancellation ends the wait and changes nothing.
        """
        if self.waits_elsewhere(slug):
            await self.wait_replied()

    async def wait_left(self) -> None:
        """Wait until a queued leave was carried out, or another room was joined.

        Cancellation ends the wait and changes nothing.
        """
        while self.leaving:
            await self._change()

    def _wake(self) -> None:
        if self._changes is not None:
            self._changes.set()
            self._changes = None

    async def _change(self) -> None:
        if self._changes is None:
            self._changes = trio.Event()
        await self._changes.wait()

    def statistics(self) -> SubscriberStatistics:
        """Return how far the connection has followed its room."""
        return SubscriberStatistics(
            number=self.number,
            sid=self.sid,
            user_id=self.author.user_id,
            user_name=self.author.name,
            connected_for=trio.current_time() - self.connected_at,
            sent_revision=self.sent_revision,
            lag=self.lag,
            under_way=self.in_flight,
            sink=self.sink.statistics(),
        )
