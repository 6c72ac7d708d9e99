"""A room's address: what of it survives the crash of its task."""

from __future__ import annotations

from collections import deque

import trio

from gbs_actor.lineup.changes import Rejection
from gbs_actor.rooms.batch import Batch
from gbs_actor.rooms.config import RoomConfig
from gbs_actor.rooms.delivery import Done
from gbs_actor.rooms.mailbox import Join, Leave, Mailbox, MarkUpdate, Resume, Work
from gbs_actor.rooms.presence import EditingMarks, PresenceThrottle
from gbs_actor.rooms.refusals import BUSY, RESTARTED, SHUTTING_DOWN, UNAVAILABLE
from gbs_actor.rooms.rows import EncodedRows
from gbs_actor.rooms.statistics import DurationWindow, RoomState, RoomStatistics
from gbs_actor.rooms.subscriber import Subscriber


class RoomHandle:
    """The mailbox, the subscribers and the batch in hand of one room.

    Its supervisor owns it, the room's task works on it. What connections call is
    synchronous and answers at once where the room cannot take it.

    :param slug: the retreat.
    :param config: limits and times.
    """

    def __init__(self, slug: str, config: RoomConfig) -> None:
        self.slug = slug
        self.config = config
        self.state = RoomState.STARTING
        self.draining = False
        self.mailbox = Mailbox(config.mailbox_size)
        self.subscribers: dict[Subscriber, None] = {}
        """In the order of joining."""
        self.marks = EditingMarks(config)
        self.presence = PresenceThrottle(config)
        self.batch: Batch | None = None
        self.rows: EncodedRows | None = None
        """The rows of the running, or last, incarnation."""
        self.one_by_one = 0
        """So many of the next commands are committed alone: one of them is poisonous."""
        self.resolving = False
        self.store_down = False
        self.wake_paused = trio.lowlevel.ParkingLot()
        """Wakes a room that pauses after a crash: for an operator's restart, or to drain."""
        self.crash_times: deque[float] = deque(maxlen=config.max_crashes + 1)
        self.last_error: str | None = None
        self.failed_until: float | None = None
        self.restarts = 0
        self.batches = 0
        self.commands = 0
        self.batch_largest = 0
        self.accepted = 0
        self.rejected = 0
        self.repeated = 0
        self.refused_busy = 0
        self.unknown_outcomes = 0
        self.stale_commits = 0
        self.commit_times = DurationWindow()
        self.hand_out_times = DurationWindow()

    def submit(self, work: Work) -> None:
        """Queue a command or mark, or answer at once why not."""
        rejection = self._rejection()
        if rejection is None and not self.mailbox.put_work(work):
            self.refused_busy += 1
            rejection = BUSY
        if rejection is None:
            return
        if isinstance(work, MarkUpdate):
            self.reject_mark(work.subscriber)
        work.reply(rejection)

    def reject_mark(self, subscriber: Subscriber) -> None:
        """Note that an editing mark of a connection was refused.

        Where it edits is not known any more, so its mark ends, and what waits here of
        older ones sets none.
        """
        subscriber.marks_rejected = subscriber.marks_submitted
        if self.marks.end(subscriber):
            self.presence.change()
            self.mailbox.wake()

    def join(self, join: Join | Resume) -> None:
        """Queue a join; it waits while the room starts or restarts."""
        if self.draining:
            join.reply(SHUTTING_DOWN)
        elif self.state is RoomState.FAILED:
            join.reply(UNAVAILABLE)
        else:
            self.mailbox.put(join)

    def leave(self, leave: Leave) -> None:
        """Queue a leave behind what the connection asked for before."""
        if self.state in (RoomState.BACKOFF, RoomState.FAILED, RoomState.STOPPED):
            self.remove(leave)  # its earlier commands were answered when the room crashed
        else:
            self.mailbox.put(leave)

    def remove(self, leave: Leave) -> None:
        """Take a subscriber out of the room; its mark is left for the caller to end."""
        subscriber = leave.subscriber
        if subscriber.handle is self:
            subscriber.enter(None)
        if self.subscribers.pop(subscriber, self) is None:
            self.presence.change()
        leave.reply(Done(None))

    def reject_queued(self, work: Rejection, joins: Rejection | None = None) -> None:
        """Answer what waits: commands and marks, with ``joins`` also the joins.

        Leaves are carried out. Joins without an answer stay where they are.
        """
        kept: list[Join | Resume] = []
        for item in self.mailbox.take_all():
            if isinstance(item, (Join, Resume)):
                if joins is None:
                    kept.append(item)
                else:
                    item.reply(joins)
            elif isinstance(item, Leave):
                self.remove(item)
            else:
                item.reply(work)
        self.mailbox.put_back(kept)

    def _rejection(self) -> Rejection | None:
        if self.draining:
            return SHUTTING_DOWN
        if self.state is RoomState.FAILED:
            return UNAVAILABLE
        if self.state in (RoomState.BACKOFF, RoomState.RESTARTING):
            return RESTARTED
        return None

    def drain(self) -> None:
        """Refuse what comes from now on; the room stops once it has answered the rest."""
        self.draining = True
        self.wake_paused.unpark_all()
        self.mailbox.wake()

    @property
    def wanted(self) -> bool:
        """Whether anybody is in the room or waits for it."""
        return bool(self.subscribers or len(self.mailbox) or self.batch is not None)

    def statistics(self) -> RoomStatistics:
        """Return the room as it is now; never blocks."""
        board = None if self.rows is None else self.rows.board
        revision = 0 if board is None else board.revision
        return RoomStatistics(
            slug=self.slug,
            state=self.state,
            revision=None if board is None else revision,
            epoch=None if board is None else board.epoch,
            rows=0 if board is None else len(board),
            subscribers=tuple(s.statistics(revision) for s in self.subscribers),
            editing_marks=len(self.marks),
            mailbox_depth=len(self.mailbox),
            mailbox_size=self.mailbox.size,
            in_hand=0 if self.batch is None else len(self.batch.steps),
            phase=None if self.batch is None else self.batch.phase.value,
            resolving=self.resolving,
            batches=self.batches,
            batch_mean=self.commands / self.batches if self.batches else 0.0,
            batch_largest=self.batch_largest,
            commit=self.commit_times.summary(),
            hand_out=self.hand_out_times.summary(),
            accepted=self.accepted,
            rejected=self.rejected,
            repeated=self.repeated,
            refused_busy=self.refused_busy,
            unknown_outcomes=self.unknown_outcomes,
            stale_commits=self.stale_commits,
            restarts=self.restarts,
            last_error=self.last_error,
            failed_until=self.failed_until,
        )
