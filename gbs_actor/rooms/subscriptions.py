"""Who is in a room: joins, leaves, editing marks and presence."""

from __future__ import annotations

from collections import deque

import trio

from gbs_actor.rooms.broadcast import broadcast_marks, broadcast_presence
from gbs_actor.rooms.delivery import Done
from gbs_actor.rooms.handle import RoomHandle
from gbs_actor.rooms.mailbox import Item, Join, Leave, MarkUpdate, Resume, Submission
from gbs_actor.rooms.presence import present_users
from gbs_actor.rooms.refusals import (
    NO_SUCH_ROW,
    NOT_IN_ROOM,
    STORE_DOWN,
    TOO_MUCH_MISSED,
    UNKNOWN_OUTCOME,
)
from gbs_actor.rooms.row_sequence import RowSequence
from gbs_actor.rooms.rows import EncodedRows
from gbs_actor.rooms.subscriber import Subscriber
from gbs_actor.rooms.tracepoints import Observe, Tracepoint

# Joins and leaves after which others may run: with an answer of half a megabyte for each,
# a join is a matter of some tenths of a millisecond.
_ENTRIES_PER_YIELD = 8


class Subscriptions:
    """What a room does that needs no store.

    Nothing here waits for anything, apart from :meth:`serve`; what is many things to do
    lets others run in between.

    :param handle: the room; its rows must be loaded.
    """

    def __init__(self, handle: RoomHandle, observe: Observe) -> None:
        self._handle = handle
        self._observe = observe
        self.empty_since = trio.current_time()
        """Trio time since which nobody is in the room, where nobody is."""

    async def process_controls(self) -> None:
        """Carry out the joins and leaves at the front of the mailbox.

        Cancelled, it has carried out some of them and leaves the others where they are.
        """
        mailbox = self._handle.mailbox
        done = 0
        while (item := mailbox.front_control()) is not None:
            self._process(item)
            mailbox.drop_front()
            done += 1
            if done % _ENTRIES_PER_YIELD == 0:
                await trio.lowlevel.checkpoint()

    async def serve(self) -> None:
        """Do without the store what can be done, until cancelled."""
        while True:
            await self.tick()
            if self._process_queued():
                await trio.lowlevel.checkpoint()
                continue
            with trio.move_on_at(self.next_due()):
                await self._handle.mailbox.wait()

    def mark(self, mark: MarkUpdate) -> None:
        """Set, renew or end a connection's mark, and answer; :meth:`tick` tells the others."""
        handle, subscriber = self._handle, mark.subscriber
        if subscriber.handle is not handle:
            mark.reply(NOT_IN_ROOM)
            return
        board = self._rows.board
        if board.registration(mark.registration_id) is None:
            mark.reply(NO_SUCH_ROW)
            return
        before = handle.marks.place(subscriber)
        if mark.editing and not mark.outdated:
            handle.marks.begin(subscriber, mark.registration_id, mark.field, trio.current_time())
        else:
            handle.marks.end(subscriber)
        if handle.marks.place(subscriber) != before:
            handle.presence.change()
        mark.reply(Done(board.revision))

    def end_orphaned_marks(self) -> None:
        """End the marks of those who left while the room was not running."""
        for subscriber in self._handle.marks.subscribers():
            if subscriber not in self._handle.subscribers:
                self._handle.marks.end(subscriber)

    async def tick(self) -> None:
        """End the marks that have run out; tell of marks and presence what is due.

        Cancellation takes effect once everybody has been told.
        """
        handle, now = self._handle, trio.current_time()
        for subscriber in handle.marks.expired(now):
            handle.marks.end(subscriber)
            handle.presence.change()
        if handle.marks.due(len(handle.subscribers)) <= now:
            changes = handle.marks.changes()
            if changes:
                self._observe(Tracepoint.SENDING_MARKS)
                await broadcast_marks(handle, changes, self._rows.board.revision)
                handle.marks.sent(changes, now)
        if handle.presence.due(len(handle.subscribers)) <= now:
            presence = present_users(handle.subscribers, handle.marks)
            handle.presence.sent(now)  # first, as it may change while others run
            await broadcast_presence(handle, presence, self._rows.board.revision)

    def next_due(self) -> float:
        """Return the Trio time at which :meth:`tick` has something to do next."""
        handle = self._handle
        subscribers = len(handle.subscribers)
        return min(
            handle.marks.next_expiry(),
            handle.marks.due(subscribers),
            handle.presence.due(subscribers),
        )

    def _enter(self, item: Join | Resume) -> None:
        if item.replied or (item.subscriber is not None and item.subscriber.closed):
            item.withdraw()
            return
        self.empty_since = trio.current_time()
        if isinstance(item, Join):
            self._join(item)
        else:
            self._resume(item)

    def _join(self, join: Join) -> None:
        subscriber = join.subscriber
        snapshot = self._rows.snapshot(join.since, join.epoch)
        if subscriber is not None:
            self._take_in(subscriber)
            subscriber.sent_revision = snapshot.revision
        join.reply(snapshot)

    def _resume(self, resume: Resume) -> None:
        subscriber, board = resume.subscriber, self._rows.board
        if board.needs_full(resume.since, resume.epoch):
            resume.reply(TOO_MUCH_MISSED)
            return
        missed = RowSequence(self._rows.newer_than(resume.since - 1))
        self._take_in(subscriber)
        missed.deliver(subscriber, 0, len(missed))
        subscriber.sent_revision = board.revision
        resume.reply(Done(board.revision))

    def _take_in(self, subscriber: Subscriber) -> None:
        handle, former = self._handle, subscriber.handle
        if former is handle:
            return
        subscriber.enter(handle)  # the former room's deliveries pass it by from here
        if former is not None:
            former.leave(Leave(subscriber))
        handle.subscribers[subscriber] = None
        handle.presence.change()

    def _process(self, item: Join | Resume | Leave) -> None:
        if not isinstance(item, Leave):
            self._observe(Tracepoint.JOINING)
            self._enter(item)
        else:
            self._observe(Tracepoint.LEAVING)
            self._handle.marks.end(item.subscriber)
            self._handle.remove(item)
            if not self._handle.subscribers:
                self.empty_since = trio.current_time()

    def _process_queued(self) -> bool:
        """Carry out joins, leaves and marks; refuse commands if the store is down.

        Repeats of the commands in hand wait for the same outcome, as long as those wait
        themselves. What waits holds back whatever the same connection asked for after it,
        unless that connection has ended.

        :returns: whether there is more to do, for which others may have to run first.
        """
        handle = self._handle
        in_hand = [] if handle.batch is None else handle.batch.submissions()
        waiting = [submission for submission in in_hand if not submission.replied]
        awaited = {submission.command.id for submission in waiting}
        given_up = {submission.command.id for submission in in_hand} - awaited
        held = {submission.subscriber for submission in waiting}
        held.discard(None)
        items = deque(handle.mailbox.take_all())
        kept: list[Item] = []
        entries = 0
        try:
            while items and entries < _ENTRIES_PER_YIELD:
                item = items[0]
                gone = isinstance(item, Leave) and item.subscriber.closed
                if item.subscriber in held and not gone:
                    kept.append(item)
                elif isinstance(item, Submission):
                    rejection = STORE_DOWN if handle.store_down else None
                    if item.command.id in given_up:
                        rejection = UNKNOWN_OUTCOME
                    if rejection is None or item.command.id in awaited:
                        kept.append(item)
                        if item.subscriber is not None:
                            held.add(item.subscriber)
                    else:
                        handle.rejected += 1
                        item.reply(rejection)
                elif isinstance(item, MarkUpdate):
                    self.mark(item)
                else:
                    self._process(item)
                    entries += 1
                items.popleft()
        finally:
            handle.mailbox.put_back([*kept, *items])
        return bool(items)

    @property
    def _rows(self) -> EncodedRows:
        assert self._handle.rows is not None
        return self._handle.rows
