"""Joins, leaves, editing marks and presence: what a room does without its store."""

from __future__ import annotations

from collections import deque

import trio

from gbs_actor.rooms.broadcast import broadcast_marks, broadcast_presence
from gbs_actor.rooms.delivery import (
    NO_SUCH_ROW,
    NOT_IN_ROOM,
    STORE_DOWN,
    TOO_MUCH_MISSED,
    UNKNOWN_OUTCOME,
    Done,
)
from gbs_actor.rooms.handle import RoomHandle
from gbs_actor.rooms.mailbox import Control, Item, Join, Leave, MarkUpdate, Resume, Submission
from gbs_actor.rooms.recent_changes import MAX_RECENT_ROWS
from gbs_actor.rooms.rows import EncodedRows
from gbs_actor.rooms.subscriber import Subscriber
from gbs_actor.rooms.tracepoints import Tracepoint
from gbs_actor.rooms.work_budget import WorkBudget

_ENTRIES_PER_YIELD = 8
"""Joins and leaves after which other tasks run: each join may be sent half a megabyte."""
_LIKE_AN_ENTRY = 256
"""Rows of the room that count as another one: each join may be sent a list of its own."""
_TOGETHER = 65_536
"""Bytes of a list up to which it goes out with what is sent behind it, by one write."""


class Subscriptions:
    """Who is in a room, and what they are editing.

    Nothing here waits for anything, apart from :meth:`serve`; long work lets other tasks
    run in between.

    :param handle: the room; its rows must be loaded.
    """

    def __init__(self, handle: RoomHandle) -> None:
        self._handle = handle
        self.empty_since = trio.current_time()
        """Trio time since which nobody is in the room, where nobody is."""

    async def process_controls(self) -> None:
        """Carry out the joins and leaves at the front of the mailbox; see :attr:`waits_for_store`.

        Cancelled, it has carried out some of them and leaves the others where they are.
        """
        mailbox = self._handle.mailbox
        budget = WorkBudget(_ENTRIES_PER_YIELD)
        while (item := mailbox.front_control()) is not None and self._may_process(item):
            if self._has_to_encode(item):
                await self._rows.encode(WorkBudget(self._handle.config.deliveries_per_yield))
                continue  # it may have been rejected meanwhile, with all that was queued
            self._process(item)
            mailbox.drop_front()
            await budget.spend(1 + len(self._rows.board) // _LIKE_AN_ENTRY)

    @property
    def waits_for_store(self) -> bool:
        """Whether one at the front of the mailbox may enter only once the board is confirmed."""
        item = self._handle.mailbox.front_control()
        return item is not None and not self._may_process(item)

    async def serve(self) -> None:
        """Carry out what needs no store, until cancelled."""
        while True:
            await self.send_due()
            if self._process_queued():
                await trio.lowlevel.checkpoint()
                continue
            with trio.move_on_at(self.next_due()):
                await self._handle.mailbox.wait()

    def join(self, join: Join) -> None:
        """Carry out a join that nothing else is queued before, unless it takes long."""
        if not self._has_to_encode(join):
            self._process(join)

    def is_ahead(self, update: MarkUpdate) -> bool:
        """Whether a mark is of a row that the board lacks and may be too old for."""
        handle = self._handle
        if update.subscriber.room is not handle or handle.is_fresh(update.asked_at):
            return False
        return self._rows.board.registration(update.registration_id) is None

    def update_mark(self, update: MarkUpdate) -> None:
        """Set, renew or end a connection's mark, and reply; :meth:`send_due` sends it."""
        handle, subscriber = self._handle, update.subscriber
        if subscriber.room is not handle:
            update.reply(NOT_IN_ROOM)
            return
        board = self._rows.board
        if board.registration(update.registration_id) is None:
            update.reply(STORE_DOWN if self.is_ahead(update) else NO_SUCH_ROW)
            return
        if update.superseded:
            update.reply(Done(board.revision))
            return
        update.note_carried_out()
        before = handle.marks.edited_field(subscriber)
        if update.editing and not update.outdated:
            now = trio.current_time()
            handle.marks.begin(subscriber, update.registration_id, update.field, now)
        else:
            handle.marks.end(subscriber)
        if handle.marks.edited_field(subscriber) != before:
            handle.presence.change()
        update.reply(Done(board.revision))

    def end_orphaned_marks(self) -> None:
        """End the marks of those who left while the room was not running."""
        for editor in self._handle.marks.editors():
            if isinstance(editor, Subscriber) and editor not in self._handle.subscribers:
                self._handle.marks.end(editor)

    async def send_due(self) -> None:
        """End the marks that have expired; send the marks and the presence that are due.

        Cancellation takes effect once everybody was sent the same.
        """
        handle, now = self._handle, trio.current_time()
        for editor in handle.marks.expired(now):
            handle.marks.end(editor)
            handle.presence.change()
        if handle.marks.due(len(handle.subscribers)) <= now:
            changes = handle.marks.changes()
            if changes:
                handle.observe(Tracepoint.SENDING_MARKS)
                if handle.other_servers is not None:
                    handle.other_servers.marks_changed(handle.slug, changes)
                await broadcast_marks(handle, changes, self._rows.board.revision)
                handle.marks.sent(changes, now)
        if handle.presence.due(len(handle.subscribers)) <= now:
            handle.presence.build(handle.subscribers, handle.marks, now)
            handle.presence.sent(now)  # first, as it may change while others run
            await broadcast_presence(handle, self._rows.board.revision)

    def next_due(self) -> float:
        """Return the Trio time at which :meth:`send_due` has something to do next."""
        handle = self._handle
        subscribers = len(handle.subscribers)
        return min(
            handle.marks.next_expiry(),
            handle.marks.due(subscribers),
            handle.presence.due(subscribers),
        )

    def _may_process(self, item: Control | MarkUpdate) -> bool:
        """Whether the board is not older than what who enters, or edits, may know."""
        if isinstance(item, MarkUpdate):
            return not self.is_ahead(item)
        return isinstance(item, Leave) or self._handle.is_fresh(item.asked_at)

    def _process(self, item: Control) -> None:
        """Carry out a join or a leave."""
        if not isinstance(item, Leave):
            self._handle.observe(Tracepoint.JOINING)
            self._enter(item)
        else:
            self._handle.observe(Tracepoint.LEAVING)
            self._handle.marks.end(item.subscriber)
            self._handle.remove(item)
            if not self._handle.subscribers:
                self.empty_since = trio.current_time()

    def _has_to_encode(self, item: Control) -> bool:
        """Whether an item wants the full list, and no row of it may be encoded yet."""
        rows = self._rows
        wanted = isinstance(item, Join) and rows.board.needs_full(item.since, item.epoch)
        return wanted and not rows.encoded

    def _enter(self, item: Join | Resume) -> None:
        if item.replied or (item.subscriber is not None and item.subscriber.closed):
            item.withdraw()
            return
        if self._knows_more(item):
            item.reply(STORE_DOWN)
            return
        self.empty_since = trio.current_time()
        if isinstance(item, Join):
            self._join(item)
        else:
            self._resume(item)

    def _knows_more(self, item: Join | Resume) -> bool:
        """Whether one who enters in an outage knows what the board may be too old for."""
        if self._handle.is_fresh(item.asked_at):
            return False
        board = self._rows.board
        known = item.known if isinstance(item, Join) else {}
        # Which epoch is the latest is not known: any other one may be.
        if known and (known.keys() != {board.epoch} or known[board.epoch] > board.revision):
            return True
        return item.since is not None and (
            item.since > board.revision or item.epoch not in (None, board.epoch)
        )

    def _join(self, join: Join) -> None:
        subscriber = join.subscriber
        batched = subscriber is not None and subscriber.sink.format.batched
        snapshot = self._rows.snapshot(join.since, join.epoch, batched=batched)
        if subscriber is None:
            join.reply(snapshot)
            return
        self._take_in(subscriber)
        subscriber.sent_revision = snapshot.revision
        # A long list is not copied to go out with what is behind it: all are sent the same bytes.
        together = len(snapshot.rows) <= _TOGETHER
        if together:
            subscriber.sink.hold()
        try:
            join.reply(snapshot)
            if join.since is None and subscriber.sink.format.repeats_recent:
                self._send_recent(subscriber)
            self._send_presence(subscriber)
        finally:
            if together:
                subscriber.release()

    def _resume(self, resume: Resume) -> None:
        subscriber, board = resume.subscriber, self._rows.board
        if board.needs_full(resume.since, resume.epoch):
            resume.reply(TOO_MUCH_MISSED)
            return
        form, after = subscriber.sink.format, resume.since - 1
        rows = self._rows
        missed = rows.parts_changed_after(after) if form.batched else rows.changed_after(after)
        self._handle.times.recovered_rows.add(len(missed), trio.current_time())
        self._take_in(subscriber)
        if len(missed):
            subscriber.deliver(missed.build_at_once(form, 0, len(missed)))
        subscriber.sent_revision = board.revision
        self._send_presence(subscriber)
        resume.reply(Done(board.revision))

    def _send_recent(self, subscriber: Subscriber) -> None:
        """Send the rows that changed lately once more, as changes; ascending by revision.

        All are in the reply to the join, too, but a page may have its list from HTTP.
        """
        rows = self._rows.changed_lately()
        if len(rows):
            start = max(0, len(rows) - MAX_RECENT_ROWS)
            subscriber.deliver(rows.build_at_once(subscriber.sink.format, start, len(rows)))

    def _send_presence(self, subscriber: Subscriber) -> None:
        """Send a subscriber that has joined who is there; the others get it when it is due.

        It is the first event with an offset, without which a client cannot resume.
        """
        handle, now = self._handle, trio.current_time()
        if handle.presence.outdated(len(handle.subscribers), now):
            handle.presence.build(handle.subscribers, handle.marks, now)
        form = subscriber.sink.format
        subscriber.deliver(handle.presence.message(form, self._rows.board.revision))

    def _take_in(self, subscriber: Subscriber) -> None:
        handle, former = self._handle, subscriber.room
        if former is handle:
            return
        subscriber.enter(handle)  # from here on the former room delivers nothing to it
        if former is not None:
            former.leave(subscriber)
        handle.subscribers[subscriber] = None
        handle.note_people()

    def _process_queued(self) -> bool:
        """Carry out joins, leaves and marks; reject commands if the store is down.

        Repeats of the commands in hand wait for the same outcome, as long as those wait
        themselves. A command that waits holds back what the same connection submitted
        after it, unless that connection has ended.

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
                ended = isinstance(item, Leave) and item.subscriber.closed
                if item.subscriber in held and not ended:
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
                        item.reply(rejection)
                elif not (handle.store_down or self._may_process(item)):
                    kept.append(item)
                    if item.subscriber is not None:
                        held.add(item.subscriber)
                elif isinstance(item, MarkUpdate):
                    self.update_mark(item)
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
