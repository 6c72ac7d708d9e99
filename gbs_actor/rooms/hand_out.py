"""How the outcome of a batch, and what was missed in a crash, reaches each subscriber."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain

import trio

from gbs_actor.lineup.changes import Change, Rejection
from gbs_actor.rooms.attendance import Attendance
from gbs_actor.rooms.batch import Batch, Repeat, Step
from gbs_actor.rooms.delivery import Accepted, EncodedRow
from gbs_actor.rooms.handle import RoomHandle
from gbs_actor.rooms.mailbox import Mark, Submission
from gbs_actor.rooms.observation import Moment, Observe
from gbs_actor.rooms.refusals import NO_SUCH_ROW, RESTARTED
from gbs_actor.rooms.row_sequence import RowSequence
from gbs_actor.rooms.rows import EncodedRows, encode
from gbs_actor.rooms.subscriber import Subscriber


class HandOut:
    """Sends rows and answers so that each connection gets them in revision order.

    :param handle: the room; its rows must be loaded.
    :param attendance: carries out the editing marks of a batch.
    """

    def __init__(self, handle: RoomHandle, attendance: Attendance, observe: Observe) -> None:
        self._handle = handle
        self._attendance = attendance
        self._observe = observe

    async def batch(self, batch: Batch) -> None:
        """Apply the changes and send everybody rows and answers in revision order."""
        handle = self._handle
        started = trio.current_time()
        changed: list[EncodedRow] = []
        ends: list[int] = []
        revisions: list[int] = []
        for step in batch.steps:
            if isinstance(step.outcome, Change):
                changed.extend(self._rows.apply(step.outcome))
            ends.append(len(changed))
            revisions.append(self._rows.board.revision)
        self._observe(Moment.APPLIED)
        rows = RowSequence(changed)
        latest = {row.id: row for row in changed}
        owed: dict[Subscriber, list[int]] = {}
        for number, step in enumerate(batch.steps):
            if isinstance(step.work, Submission) and step.work.subscriber is not None:
                owed.setdefault(step.work.subscriber, []).append(number)
        for count, subscriber in enumerate(tuple(handle.subscribers), start=1):
            if count % handle.config.deliveries_per_yield == 0:
                await trio.lowlevel.checkpoint()
            if subscriber.handle is not handle:
                continue  # it has moved on to another room
            self._observe(Moment.DELIVERING)
            position = 0
            for number in owed.get(subscriber, ()):
                rows.deliver(subscriber, position, ends[number])
                position = ends[number]
                subscriber.sent_revision = revisions[number]
                self._observe(Moment.REPLYING)
                self.answer(batch.steps[number], latest)
            rows.deliver(subscriber, position, len(rows))
            subscriber.sent_revision = self._rows.board.revision
        for step in batch.steps:
            if isinstance(step.work, Mark):
                self._attendance.mark(step.work)
            else:
                self.answer(step, latest)
        handle.hand_out_times.add(trio.current_time() - started)
        self._observe(Moment.HANDED_OUT)

    def answer(self, step: Step, changed: Mapping[int, EncodedRow]) -> None:
        """Answer one command of a batch that is durable, unless it was answered before."""
        handle, work, outcome = self._handle, step.work, step.outcome
        if work.answered or isinstance(work, Mark):
            return
        if isinstance(outcome, Change):
            handle.accepted += 1
            work.answer(_accepted(outcome, changed))
        elif isinstance(outcome, Repeat):
            handle.repeated += 1
            assert outcome.row is not None
            row = encode(outcome.row)
            work.answer(Accepted(outcome.revision, row, (row,), repeated=True))
        else:
            handle.rejected += 1
            assert outcome is not None
            work.answer(outcome)

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
                self._answer_late(step)
            missed.deliver(subscriber, position, len(missed))
            subscriber.sent_revision = rows.board.revision
        for step in chain.from_iterable(steps.values()):
            self._answer_late(step)

    def _answer_late(self, step: Step) -> None:
        """Answer a step of a batch that was committed before a crash."""
        work, outcome = step.work, step.outcome
        if isinstance(work, Mark) or outcome is None:
            work.answer(RESTARTED)
        elif isinstance(outcome, Rejection):
            work.answer(outcome)
        else:
            assert outcome.registration_id is not None
            row = self._rows.row(outcome.registration_id)
            if row is None:
                work.answer(NO_SUCH_ROW)
            else:
                work.answer(Accepted(outcome.revision, row, (row,), isinstance(outcome, Repeat)))

    @property
    def _rows(self) -> EncodedRows:
        assert self._handle.rows is not None
        return self._handle.rows


def _accepted(change: Change, changed: Mapping[int, EncodedRow]) -> Accepted:
    assert change.row is not None
    latest = changed.get(change.row.id)
    row = latest if latest and latest.revision == change.row.revision else encode(change.row)
    return Accepted(change.revision, row, tuple(encode(r) for r in change.rows))
