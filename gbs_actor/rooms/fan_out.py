"""How the outcome of a batch, and what was missed in a crash, reaches each subscriber."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain

import trio

from gbs_actor.lineup.changes import Change, Rejection
from gbs_actor.rooms.batch import Batch, Repeat, Step
from gbs_actor.rooms.delivery import Accepted, EncodedRow
from gbs_actor.rooms.handle import RoomHandle
from gbs_actor.rooms.mailbox import MarkUpdate, Submission
from gbs_actor.rooms.refusals import NO_SUCH_ROW, RESTARTED
from gbs_actor.rooms.row_sequence import RowSequence
from gbs_actor.rooms.rows import EncodedRows, encode
from gbs_actor.rooms.subscriber import Subscriber
from gbs_actor.rooms.subscriptions import Subscriptions
from gbs_actor.rooms.tracepoints import Observe, Tracepoint


@dataclass(frozen=True, slots=True)
class _Reply:
    """An answer, and its place among the rows of a batch."""

    step: Step
    rows: tuple[EncodedRow, ...]
    """Those its own change made."""
    end: int
    """How many rows of the batch go before it."""
    revision: int


class FanOut:
    """Sends rows and answers so that each connection gets them in revision order.

    :param handle: the room; its rows must be loaded.
    :param attendance: carries out the editing marks of a batch.
    """

    def __init__(self, handle: RoomHandle, subscriptions: Subscriptions, observe: Observe) -> None:
        self._handle = handle
        self._subscriptions = subscriptions
        self._observe = observe

    async def batch(self, batch: Batch) -> None:
        """Apply the changes and send everybody rows and answers in revision order."""
        handle = self._handle
        started = trio.current_time()
        changed: list[EncodedRow] = []
        replies: list[_Reply] = []
        for step in batch.steps:
            rows: tuple[EncodedRow, ...] = ()
            if isinstance(step.outcome, Change):
                rows = self._rows.apply(step.outcome)
                changed.extend(rows)
            replies.append(_Reply(step, rows, len(changed), self._rows.board.revision))
        self._observe(Tracepoint.APPLIED)
        if batch.changes:
            await self._fan_out(RowSequence(changed), replies)
        for reply in replies:
            if isinstance(reply.step.work, MarkUpdate):
                self._subscriptions.mark(reply.step.work)
            else:
                self._reply(reply)
        handle.hand_out_times.add(trio.current_time() - started)
        self._observe(Tracepoint.FANNED_OUT)

    async def _fan_out(self, rows: RowSequence, replies: list[_Reply]) -> None:
        """Send every subscriber the rows, and the answers it is owed in between."""
        handle = self._handle
        owed: dict[Subscriber | None, list[_Reply]] = {}
        for reply in replies:
            if isinstance(reply.step.work, Submission):
                owed.setdefault(reply.step.work.subscriber, []).append(reply)
        work = 0
        for subscriber in tuple(handle.subscribers):
            if subscriber.handle is not handle:
                continue  # it has moved on to another room
            self._observe(Tracepoint.DELIVERING)
            position = 0
            for reply in owed.get(subscriber, ()):
                work += rows.deliver(subscriber, position, reply.end)
                position = reply.end
                subscriber.sent_revision = reply.revision
                self._observe(Tracepoint.REPLYING)
                self._reply(reply)
            work += 1 + rows.deliver(subscriber, position, len(rows))
            subscriber.sent_revision = self._rows.board.revision
            if work >= handle.config.deliveries_per_yield:
                work = 0
                await trio.lowlevel.checkpoint()

    def _reply(self, reply: _Reply) -> None:
        """Answer one command of a batch that is durable, unless it was answered before."""
        handle, work, outcome = self._handle, reply.step.work, reply.step.outcome
        if work.replied or isinstance(work, MarkUpdate):
            return
        if isinstance(outcome, Change):
            handle.accepted += 1
            work.reply(_accepted(outcome, reply.rows))
        elif isinstance(outcome, Repeat):
            handle.repeated += 1
            row = encode(outcome.row)
            work.reply(Accepted(outcome.revision, row, (row,), repeated=True))
        else:
            handle.rejected += 1
            assert outcome is not None
            work.reply(outcome)

    def catch_up(self, owed: Batch | None) -> None:
        """Give every subscriber what it missed, and the answers it is owed in between."""
        handle, rows = self._handle, self._rows
        steps: dict[Subscriber | None, list[Step]] = {}
        for step in [] if owed is None else owed.steps:
            steps.setdefault(step.work.subscriber, []).append(step)
        oldest = min((s.sent_revision for s in handle.subscribers), default=rows.board.revision)
        missed = RowSequence(rows.newer_than(oldest))
        for subscriber in tuple(handle.subscribers):
            if subscriber.handle is not handle:
                continue
            position = missed.first_above(subscriber.sent_revision)
            for step in steps.pop(subscriber, ()):
                if isinstance(step.outcome, Change):
                    end = max(position, missed.first_above(step.outcome.revision))
                    missed.deliver(subscriber, position, end)
                    position = end
                self.reply_from_board(step)
            missed.deliver(subscriber, position, len(missed))
            subscriber.sent_revision = rows.board.revision
        for step in chain.from_iterable(steps.values()):
            self.reply_from_board(step)

    def reply_from_board(self, step: Step) -> None:
        """Answer a step from the rows as they are: after a crash, or from a refused batch."""
        work, outcome = step.work, step.outcome
        if isinstance(work, MarkUpdate) or outcome is None:
            work.reply(RESTARTED)
        elif isinstance(outcome, Rejection):
            work.reply(outcome)
        else:
            assert outcome.registration_id is not None
            row = self._rows.row(outcome.registration_id)
            if row is None:
                work.reply(NO_SUCH_ROW)
            else:
                work.reply(Accepted(outcome.revision, row, (row,), isinstance(outcome, Repeat)))

    @property
    def _rows(self) -> EncodedRows:
        assert self._handle.rows is not None
        return self._handle.rows


def _accepted(change: Change, rows: tuple[EncodedRow, ...]) -> Accepted:
    assert change.row is not None
    addressed = change.row.id
    row = next((row for row in rows if row.id == addressed), None) or encode(change.row)
    return Accepted(change.revision, row, rows)
