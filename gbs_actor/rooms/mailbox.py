"""What is queued for a room: commands, editing marks, joins and leaves, in order of arrival."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from math import inf
from typing import Generic, Protocol, TypeVar

import trio

from gbs_actor.lineup.changes import Rejection
from gbs_actor.lineup.commands import PLANNED, Command
from gbs_actor.rooms.command_times import CommandTimes
from gbs_actor.rooms.delivery import (
    Accepted,
    CommandReply,
    Done,
    DoneReply,
    JoinReply,
    Snapshot,
)
from gbs_actor.rooms.subscriber import Subscriber

log = logging.getLogger(__name__)

T = TypeVar("T")


class MailboxItem(Generic[T]):
    """Something that a room is to do and to reply to once.

    :param subscriber: whose it is; ``None``: no connection's that could be in a room.
    :param reply: called with the outcome, at most once.
    """

    __slots__ = ("_reply", "subscriber")

    def __init__(self, subscriber: Subscriber | None, reply: Callable[[T], None] | None) -> None:
        self.subscriber = subscriber
        self._reply = reply

    @property
    def replied(self) -> bool:
        """Whether no reply is pending: it was called, withdrawn or never wanted."""
        return self._reply is None

    def log_fields(self) -> dict[str, object]:
        """Return whose it is, for a line of the log about it."""
        return {} if self.subscriber is None else {**self.subscriber.log_fields()}

    def reply(self, outcome: T) -> None:
        """Call the reply, unless it was called before.

        A reply that raises ends its connection and nothing else.
        """
        reply, self._reply = self._reply, None
        if reply is None:
            return
        try:
            reply(outcome)
        except Exception:
            log.exception("a reply failed; its connection is ended", extra=self.log_fields())
            if self.subscriber is not None:
                self.subscriber.sink.abort()


class RoomCounters(Protocol):
    """What a room counts of the replies to its commands."""

    times: CommandTimes
    rejected: int


class Submission(MailboxItem[Accepted | Rejection]):
    """A command.

    :param subscriber: the connection that submitted it, in this room or outside of it.
    :param received_at: Trio time at which it was read.
    :param counters: where its times, and that it was rejected, count; ``None``: nowhere.
    :param only_repeat: it is not carried out, but gets its reply if it was accepted before.
    """

    __slots__ = ("_counters", "command", "only_repeat", "received_at")

    def __init__(
        self,
        command: Command,
        reply: CommandReply,
        subscriber: Subscriber | None = None,
        received_at: float = inf,
        counters: RoomCounters | None = None,
        *,
        only_repeat: bool = False,
    ) -> None:
        super().__init__(subscriber, reply)
        self.command = command
        self.only_repeat = only_repeat
        self.received_at = received_at
        self._counters = counters
        if subscriber is not None:
            subscriber.in_flight += 1

    def log_fields(self) -> dict[str, object]:
        """Return whose it is, and its id."""
        return super().log_fields() | {"command_id": str(self.command.id)}

    def reply(self, outcome: Accepted | Rejection) -> None:
        """Call the reply, unless it was called before; its acknowledgement is out then."""
        if not self.replied:
            self.reply_held(outcome)
            if self._counters is not None:
                self._counters.times.acknowledged((self,), trio.current_time())

    def reply_held(self, outcome: Accepted | Rejection) -> None:
        """Call the reply while its connection holds what it sends; time it once that is out."""
        if not self.replied:
            if self.subscriber is not None:
                self.subscriber.count_reply()
            if self._counters is not None and type(outcome) is Rejection:
                self._counters.rejected += 1
        super().reply(outcome)


class MarkUpdate(MailboxItem[Done | Rejection]):
    """Sets, renews or ends a connection's editing mark."""

    __slots__ = ("_number", "asked_at", "editing", "field", "registration_id")

    subscriber: Subscriber

    def __init__(
        self,
        subscriber: Subscriber,
        registration_id: int,
        field: str | None,
        editing: bool,
        reply: DoneReply,
    ) -> None:
        super().__init__(subscriber, reply)
        self.registration_id = registration_id
        self.field = field
        self.editing = editing
        self.asked_at = 0
        """The :attr:`~gbs_actor.rooms.freshness.Freshness.moment` when it was queued."""
        subscriber.in_flight += 1
        subscriber.marks_submitted += 1
        self._number = subscriber.marks_submitted

    @property
    def outdated(self) -> bool:
        """Whether a later update of the same connection was rejected."""
        return self._number <= self.subscriber.marks_rejected

    @property
    def superseded(self) -> bool:
        """Whether a later update of the same connection was carried out."""
        return self._number < self.subscriber.marks_carried_out

    def note_carried_out(self) -> None:
        """Note that the mark is now as this update wants it."""
        self.subscriber.marks_carried_out = self._number

    def reply(self, outcome: Done | Rejection) -> None:
        """Call the reply, unless it was called before."""
        if not self.replied:
            self.subscriber.count_reply()
        super().reply(outcome)


class EntryItem(MailboxItem[T | Rejection]):
    """Brings a subscriber into the room; whoever wants that waits for it.

    :param epoch: of the revision from which on the rows are wanted.
    """

    __slots__ = ("asked_at", "done", "epoch")

    def __init__(
        self,
        subscriber: Subscriber | None,
        epoch: str | None,
        reply: Callable[[T | Rejection], None],
    ) -> None:
        super().__init__(subscriber, reply)
        self.epoch = epoch
        self.asked_at = 0
        """The :attr:`~gbs_actor.rooms.freshness.Freshness.moment` when it was queued."""
        self.done = trio.Event()
        """Set once the reply was called or withdrawn."""

    def reply(self, outcome: T | Rejection) -> None:
        """Call the reply, unless it was called before or withdrawn."""
        super().reply(outcome)
        self.done.set()

    def withdraw(self) -> None:
        """Take it back: unless the reply was called, it will not be carried out."""
        self._reply = None
        self.done.set()


class Join(EntryItem[Snapshot]):
    """A subscriber joins the room; without a subscriber: somebody reads it once.

    :param known: revisions that whoever reads knows of, by epoch, apart from ``since``.
    """

    __slots__ = ("known", "since")

    def __init__(
        self,
        subscriber: Subscriber | None,
        since: int | None,
        epoch: str | None,
        reply: JoinReply,
        known: Mapping[str, int] | None = None,
    ) -> None:
        super().__init__(subscriber, epoch, reply)
        self.since = since
        self.known = known or {}


class Resume(EntryItem[Done]):
    """A subscriber whose client has come back gets the rows it missed, and joins again."""

    __slots__ = ("since",)

    subscriber: Subscriber

    def __init__(self, subscriber: Subscriber, since: int, epoch: str, reply: DoneReply) -> None:
        super().__init__(subscriber, epoch, reply)
        self.since = since


class Leave(MailboxItem[Done | Rejection]):
    """A subscriber leaves the room, or its connection has ended: then no reply is wanted."""

    __slots__ = ()

    subscriber: Subscriber

    def __init__(self, subscriber: Subscriber, reply: DoneReply | None = None) -> None:
        super().__init__(subscriber, reply)


Work = Submission | MarkUpdate
"""What shares batches."""
Control = Join | Resume | Leave
"""What does not wait for the store."""
Item = Work | Control


class Mailbox:
    """A queue bounded in commands and in marks, put to without waiting.

    They are counted apart, so that no number of marks keeps a command out. Joins and leaves
    are not counted: a connection has at most one of each in flight.

    :param size: commands that may be queued, and likewise marks.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.high_water = 0
        """The most items that were queued at once."""
        self._items: deque[Item] = deque()
        self._commands = 0
        self._marks = 0
        self._lot = trio.lowlevel.ParkingLot()

    def __len__(self) -> int:
        return len(self._items)

    def put_work(self, item: Work) -> bool:
        """Queue a command or mark, or return False where there are too many of its kind."""
        queued = self._marks if isinstance(item, MarkUpdate) else self._commands
        if queued >= self.size:
            return False
        self._count(item, 1)
        self._append(item)
        return True

    def put(self, item: Control) -> None:
        """Queue a join or a leave."""
        self._append(item)

    def put_back(self, items: Iterable[Item]) -> None:
        """Put items that were taken back to the front, in their order."""
        items = list(items)
        for item in items:
            self._count(item, 1)
        self._items.extendleft(reversed(items))

    def wake(self) -> None:
        """Wake the room although nothing was put."""
        if self._lot:  # most of what is put meets a room that is awake
            self._lot.unpark_all()

    async def wait(self) -> None:
        """Wait for something to be put, or for :meth:`wake`. Cancellation loses nothing."""
        await self._lot.park()

    def front_control(self) -> Control | None:
        """Return the front item if it is a join or a leave; it stays until dropped."""
        if self._items:
            item = self._items[0]
            if not isinstance(item, Work):
                return item
        return None

    def drop_front(self) -> None:
        """Remove the front item, a join or a leave that was carried out."""
        item = self._items.popleft()
        assert not isinstance(item, Work)

    def take_work(self, limit: int) -> list[Work]:
        """Take the commands and marks at the front, at most ``limit``.

        A command that may change many rows is taken alone.
        """
        items = self._items
        taken: list[Work] = []
        while items and len(taken) < limit:
            item = items[0]
            if not isinstance(item, (Submission, MarkUpdate)):
                break
            if isinstance(item, Submission) and type(item.command.action) in PLANNED:
                if taken:
                    break
                limit = 1
            taken.append(item)
            items.popleft()
            self._count(item, -1)
        return taken

    def take_all(self) -> list[Item]:
        """Take everything."""
        items = list(self._items)
        self._items.clear()
        self._commands = self._marks = 0
        return items

    def _append(self, item: Item) -> None:
        self._items.append(item)
        self.high_water = max(self.high_water, len(self._items))
        self.wake()

    def _count(self, item: Item, change: int) -> None:
        if isinstance(item, MarkUpdate):
            self._marks += change
        elif isinstance(item, Submission):
            self._commands += change
