"""Who is in a room: joins, leaves, editing marks and presence."""

from __future__ import annotations

from collections import deque

import trio

from gbs_actor.rooms.delivery import Done, Editing, Format
from gbs_actor.rooms.handle import RoomHandle
from gbs_actor.rooms.mailbox import Item, Join, Leave, Mark, Resume, Submission
from gbs_actor.rooms.observation import Moment, Observe
from gbs_actor.rooms.presence import present_users
from gbs_actor.rooms.refusals import (
    NO_SUCH_ROW,
    NOT_IN_ROOM,
    STORE_DOWN,
    TOO_MUCH_MISSED,
    UNKNOWN_OUTCOME,
)
from gbs_actor.rooms.row_sequence import RowSequence, broadcast
from gbs_actor.rooms.rows import EncodedRows
from gbs_actor.rooms.subscriber import Subscriber


class Attendance:
    """What a room does that needs no store. Nothing here waits, apart from :meth:`serve`.

    :param handle: the room; its rows must be loaded.
    """

    def __init__(self, handle: RoomHandle, observe: Observe) -> None:
        self._handle = handle
        self._observe = observe
        self.alone_since = trio.current_time()
        """Trio time since which nobody is in the room, where nobody is."""

    def carry_out_front(self) -> None:
        """Carry out the joins and leaves at the front of the mailbox."""
        mailbox = self._handle.mailbox
        while (item := mailbox.front_control()) is not None:
            self._carry_out(item)
            mailbox.drop_front()

    async def serve(self) -> None:
        """Do without the store what can be done, until cancelled."""
        while True:
            self.tick()
            self._carry_out_waiting()
            with trio.move_on_at(self.next_due()):
                await self._handle.mailbox.wait()

    def mark(self, mark: Mark) -> None:
        """Set, renew or end a connection's mark, tell the others, and answer."""
        handle, subscriber = self._handle, mark.subscriber
        if subscriber.handle is not handle:
            mark.answer(NOT_IN_ROOM)
            return
        board = self._rows.board
        if board.registration(mark.registration_id) is None:
            mark.answer(NO_SUCH_ROW)
            return
        before = handle.marks.place(subscriber)
        if mark.editing:
            told = handle.marks.begin(
                subscriber, mark.registration_id, mark.field, trio.current_time()
            )
        else:
            told = handle.marks.end(subscriber)
        self._tell(told, subscriber)
        if handle.marks.place(subscriber) != before:
            handle.presence.change()
        mark.answer(Done(board.revision))

    def end_orphaned_marks(self) -> None:
        """End the marks of those who left while there was no room to tell the others."""
        for subscriber in self._handle.marks.subscribers():
            if subscriber not in self._handle.subscribers:
                self._tell(self._handle.marks.end(subscriber), subscriber)

    def tick(self) -> None:
        """End the marks that have run out, and send presence if it is due."""
        handle, now = self._handle, trio.current_time()
        for subscriber in handle.marks.expired(now):
            self._tell(handle.marks.end(subscriber), subscriber)
            handle.presence.change()
        if handle.presence.due(len(handle.subscribers)) <= now:
            presence = present_users(handle.subscribers, handle.marks)
            revision = self._rows.board.revision
            broadcast(self._here(), lambda form: form.presence(presence, revision))
            handle.presence.sent(now)

    def next_due(self) -> float:
        """Return the Trio time at which :meth:`tick` has something to do next."""
        handle = self._handle
        return min(handle.marks.next_expiry(), handle.presence.due(len(handle.subscribers)))

    def _enter(self, item: Join | Resume) -> None:
        if item.answered or (item.subscriber is not None and item.subscriber.closed):
            item.abandon()
            return
        self.alone_since = trio.current_time()
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
        join.answer(snapshot)

    def _resume(self, resume: Resume) -> None:
        subscriber, board = resume.subscriber, self._rows.board
        if board.needs_full(resume.since, resume.epoch):
            resume.answer(TOO_MUCH_MISSED)
            return
        missed = RowSequence(self._rows.newer_than(resume.since - 1))
        self._take_in(subscriber)
        missed.deliver(subscriber, 0, len(missed))
        subscriber.sent_revision = board.revision
        resume.answer(Done(board.revision))

    def _take_in(self, subscriber: Subscriber) -> None:
        handle, former = self._handle, subscriber.handle
        if former is handle:
            return
        subscriber.enter(handle)  # the former room's deliveries pass it by from here
        if former is not None:
            former.leave(Leave(subscriber))
        handle.subscribers[subscriber] = None
        handle.presence.change()

    def _tell(self, editings: list[Editing], author: Subscriber) -> None:
        """Tell everybody but the author's connection."""
        revision = self._rows.board.revision
        for editing in editings:

            def encoded(form: Format, editing: Editing = editing) -> object:
                return form.editing(editing, author.number, revision)

            broadcast(self._here(), encoded, apart_from=author)

    def _here(self) -> list[Subscriber]:
        return [s for s in self._handle.subscribers if s.handle is self._handle]

    def _carry_out(self, item: Join | Resume | Leave) -> None:
        if not isinstance(item, Leave):
            self._observe(Moment.JOINING)
            self._enter(item)
        else:
            self._observe(Moment.LEAVING)
            self._tell(self._handle.marks.end(item.subscriber), item.subscriber)
            self._handle.carry_out(item)
            if not self._handle.subscribers:
                self.alone_since = trio.current_time()

    def _carry_out_waiting(self) -> None:
        """Carry out joins, leaves and marks; refuse commands if the store is down.

        Repeats of the commands in hand wait for the same outcome, as long as those wait
        themselves. What waits holds back whatever the same connection asked for after it,
        unless that connection has ended.
        """
        handle = self._handle
        in_hand = [] if handle.batch is None else handle.batch.submissions()
        waiting = [submission for submission in in_hand if not submission.answered]
        awaited = {submission.command.id for submission in waiting}
        given_up = {submission.command.id for submission in in_hand} - awaited
        held = {submission.subscriber for submission in waiting}
        held.discard(None)
        items = deque(handle.mailbox.take_all())
        kept: list[Item] = []
        try:
            while items:
                item = items[0]
                gone = isinstance(item, Leave) and item.subscriber.closed
                if item.subscriber in held and not gone:
                    kept.append(item)
                elif isinstance(item, Submission):
                    refusal = STORE_DOWN if handle.store_down else None
                    if item.command.id in given_up:
                        refusal = UNKNOWN_OUTCOME
                    if refusal is None or item.command.id in awaited:
                        kept.append(item)
                        if item.subscriber is not None:
                            held.add(item.subscriber)
                    else:
                        handle.rejected += 1
                        item.answer(refusal)
                elif isinstance(item, Mark):
                    self.mark(item)
                else:
                    self._carry_out(item)
                items.popleft()
        finally:
            handle.mailbox.put_back([*kept, *items])

    @property
    def _rows(self) -> EncodedRows:
        assert self._handle.rows is not None
        return self._handle.rows
