"""How the changes and replies of a batch reach each subscriber, and what one has missed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

import msgspec
import trio

from gbs_actor.lineup.changes import Change, result_of
from gbs_actor.rooms.batch import Batch, Repeat, Step
from gbs_actor.rooms.changed import Changed
from gbs_actor.rooms.delivery import NO_SUCH_ROW, RESTARTED, Accepted
from gbs_actor.rooms.encoded import EncodedRow
from gbs_actor.rooms.handle import RoomHandle
from gbs_actor.rooms.mailbox import MarkUpdate, Submission
from gbs_actor.rooms.part_sequence import PartSequence
from gbs_actor.rooms.row_sequence import RowSequence
from gbs_actor.rooms.rows import EncodedRows
from gbs_actor.rooms.subscriber import Subscriber
from gbs_actor.rooms.subscriptions import Subscriptions
from gbs_actor.rooms.tracepoints import Tracepoint
from gbs_actor.rooms.work_budget import WorkBudget

_MANY: Final = 256
"""Rows and groups that a message may have for the price of one delivery."""
_MORE_PER_UNIT: Final = 8
"""Further ones for the price of another: they are queued one by one at who does not read."""


class _Reply(msgspec.Struct, frozen=True, gc=False):
    """What a step of a durable batch gets, and where among the rows of the batch."""

    step: Step
    rows: tuple[EncodedRow, ...]
    """Those its own change made."""
    row: EncodedRow | None
    """The one that its command addressed, as it is then."""
    end: int
    """How many rows of the batch go before it."""
    revision: int
    own_revision: int | None = None
    """That of the addressed row's own fields, for a client in the batch form, which gets the row
    in this one; ``None``: it is the row's."""


class FanOut:
    """Sends rows and replies so that each connection gets them in revision order.

    Work is in the size of the groups touched, and of the room: other tasks run in between.

    :param handle: the room.
    :param subscriptions: carries out the editing marks of a batch.
    :param observe: called at the tracepoints.
    """

    def __init__(
        self,
        handle: RoomHandle,
        subscriptions: Subscriptions,
        observe: Callable[[Tracepoint], None],
    ) -> None:
        self._handle = handle
        self._subscriptions = subscriptions
        self._observe = observe

    async def apply_and_send(self, batch: Batch) -> None:
        """Apply a durable batch to the board; send everybody the rows, and the replies.

        Then the editing marks of the batch. Cancellation has no effect.
        """
        started = trio.current_time()
        budget = self._budget(shielded=True)
        changed: list[EncodedRow] = []
        replies: list[_Reply] = []
        accepted: list[Submission] = []
        for step in batch.steps:
            rows: tuple[EncodedRow, ...] = ()
            row = None
            if isinstance(step.outcome, Change):
                assert isinstance(step.work, Submission)
                accepted.append(step.work)
                rows = self._rows.apply(step.outcome)
                if step.outcome.row is not None:
                    row = self._rows.row(step.outcome.row.id)
                changed.extend(rows)
                if budget.take(1 + len(rows)):
                    await budget.checkpoint()
            own = None if rows else _shown_revision(step, step.own_revision)
            replies.append(_Reply(step, rows, row, len(changed), self._rows.board.revision, own))
        self._observe(Tracepoint.APPLIED)
        if batch.changes:
            revision = self._rows.board.revision
            sent = Changed(RowSequence(changed), self._parts_of, replies)
            await self._send_all(sent, replies, revision, budget)
        for reply in replies:
            if isinstance(reply.step.work, MarkUpdate):
                self._subscriptions.update_mark(reply.step.work)
            else:
                self._reply_alone(reply)
            if budget.take():
                await budget.checkpoint()
        ended = self._handle.progressed_at = trio.current_time()
        if batch.changes:
            self._handle.fan_out_times.add(ended - started, ended)
            self._handle.times.handed_out(accepted, ended)
        self._observe(Tracepoint.FANNED_OUT)

    async def send_without_board(self, batch: Batch) -> None:
        """Send everybody the rows of a durable batch, and the replies, from the batch alone.

        For a room that has crashed behind its commit: the state of its board is unknown.
        Marks get ROOM_RESTARTED. The connection of one that lacks what went before the batch is
        ended: its client comes back. Not to be cancelled half-way: shield it.
        """
        budget = self._budget()
        for subscriber in self._handle.subscribers:
            if subscriber.sent_revision < batch.expected_revision:
                subscriber.sink.abort()
        changed: list[EncodedRow] = []
        replies: list[_Reply] = []
        revision = batch.expected_revision
        for step in batch.steps:
            rows: tuple[EncodedRow, ...] = ()
            row = None
            if isinstance(step.outcome, Change):
                addressed = step.outcome.row
                rows = tuple(EncodedRow.of(each) for each in step.outcome.rows)
                if addressed is not None:
                    row = next((each for each in rows if each.id == addressed.id), None)
                    row = row or EncodedRow.of(addressed)
                changed.extend(rows)
                revision = step.outcome.revision
                await budget.spend(1 + len(rows))
            own = None if rows else _shown_revision(step, step.own_revision)
            replies.append(_Reply(step, rows, row, len(changed), revision, own))
        sent = Changed(RowSequence(changed), self._parts_of, replies)
        await self._send_all(sent, replies, revision, budget)
        for reply in replies:
            if isinstance(reply.step.work, MarkUpdate):
                reply.step.work.reply(RESTARTED)
            else:
                self._reply_alone(reply)
            await budget.spend()

    async def catch_up(self) -> None:
        """Send every subscriber the rows that it missed.

        Cancelled, it has sent some of them all, and others none.
        """
        handle, rows = self._handle, self._rows
        if not handle.subscribers:
            return
        oldest = min(subscriber.sent_revision for subscriber in handle.subscribers)
        missed = Changed(rows.changed_after(oldest), rows.parts_changed_after, oldest)
        subscribers, revision = tuple(handle.subscribers), rows.board.revision
        await self._send_rest(subscribers, missed, revision, self._budget())

    def reply_to_repeat(self, step: Step, repeat: Repeat) -> None:
        """Reply to a repeat in a batch that came to nothing: with the row as it is."""
        rows = tuple(row for each in repeat.rows if (row := self._rows.row(each.id)) is not None)
        row = None if repeat.row is None else self._rows.row(repeat.row.id)
        if row is None and repeat.row is not None:
            step.work.reply(NO_SUCH_ROW)
        elif isinstance(step.work, Submission):
            own = None if row is None else self._rows.own_revision(row.id)
            own = _shown_revision(step, own)
            step.work.reply(self._accepted(step, repeat, row, rows, own))

    async def _send_all(
        self, changed: Changed, replies: list[_Reply], revision: int, budget: WorkBudget
    ) -> None:
        """Send every subscriber the changes up to ``revision``, and its replies in between.

        What one of them gets goes out together. Those with replies come first: they wait.
        """
        pending: dict[Subscriber, list[_Reply]] = {}
        for reply in replies:
            work = reply.step.work
            if isinstance(work, Submission) and work.subscriber is not None and not work.replied:
                pending.setdefault(work.subscriber, []).append(reply)
        others = [each for each in self._handle.subscribers if each not in pending]
        for subscriber, own in pending.items():
            if subscriber.room is self._handle:  # it may have joined another room meanwhile
                self._observe(Tracepoint.DELIVERING)
                await self._send_with_replies(subscriber, changed, own, revision, budget)
        await self._send_rest(others, changed, revision, budget)

    async def _send_with_replies(
        self,
        subscriber: Subscriber,
        changed: Changed,
        replies: Sequence[_Reply],
        revision: int,
        budget: WorkBudget,
    ) -> None:
        """Send a subscriber the changes up to ``revision``, each reply behind those of its own.

        They go out together, unless they are too many to go without a checkpoint.
        """
        form, limit = subscriber.sink.format, self._handle.config.deliveries_per_yield
        sequence = changed.of(form)
        position = start = sequence.first_above(subscriber.sent_revision)
        together: list[tuple[Any, _Reply | None]] = []
        for reply in (*replies, None):
            if reply is None:
                end = len(sequence)
            else:
                end = sequence.first_above(reply.revision) if form.batched else reply.end
            piece = None
            if end > position:
                piece = sequence.piece(form, position, end)
                if piece is None:
                    piece = await sequence.build(form, position, end, budget)
                position = end
            together.append((piece, reply))
            if reply is not None and position - start + len(together) < limit:
                continue
            if subscriber.room is not self._handle:
                return  # only once it has its replies: a join elsewhere waits for them
            self._send_together(subscriber, together)
            if reply is None:
                subscriber.sent_revision = max(subscriber.sent_revision, revision)
            if budget.take(len(together) + _extra_work(position - start)):
                await budget.checkpoint()
            together, start = [], position

    def _send_together(
        self, subscriber: Subscriber, together: Sequence[tuple[Any, _Reply | None]]
    ) -> None:
        """Send pieces of the changes, and the reply behind each, if there is one."""
        handle = self._handle
        replied: list[Submission] = []
        subscriber.sink.hold()
        try:
            for piece, reply in together:
                if piece is not None:
                    subscriber.deliver(piece)
                    handle.deliveries += 1
                if reply is not None:
                    subscriber.sent_revision = max(subscriber.sent_revision, reply.revision)
                    self._observe(Tracepoint.REPLYING)
                    if (command := self._reply(reply)) is not None:
                        replied.append(command)
        finally:
            subscriber.release()
            if replied:
                handle.times.acknowledged(replied, trio.current_time())

    async def _send_rest(
        self,
        subscribers: Sequence[Subscriber],
        changed: Changed,
        revision: int,
        budget: WorkBudget,
    ) -> None:
        """Send each subscriber the changes behind those it was sent, up to ``revision``."""
        handle, observe = self._handle, self._observe
        sent_revision, form, piece, work = -1, None, None, 1  # of the one before: most are alike
        for subscriber in subscribers:
            if subscriber.room is not handle:
                continue  # it has joined another room meanwhile
            observe(Tracepoint.DELIVERING)
            if subscriber.sent_revision != sent_revision or subscriber.sink.format is not form:
                sent_revision, form = subscriber.sent_revision, subscriber.sink.format
                sequence = changed.of(form)
                start, end = sequence.first_above(sent_revision), len(sequence)
                work = 1 + _extra_work(end - start)
                piece = sequence.piece(form, start, end) if start < end else None
                if piece is None and start < end:
                    piece = await sequence.build(form, start, end, budget)
                    if subscriber.room is not handle:
                        continue
            if piece is not None:
                subscriber.deliver(piece)
                handle.deliveries += 1
            if sent_revision < revision:
                subscriber.sent_revision = revision
            if budget.take(work):
                await budget.checkpoint()

    def _reply_alone(self, reply: _Reply) -> None:
        """Reply to a command as :meth:`_reply` does, to a connection that holds nothing."""
        if (command := self._reply(reply)) is not None:
            self._handle.times.acknowledged((command,), trio.current_time())

    def _reply(self, reply: _Reply) -> Submission | None:
        """Reply to one command of a durable batch; return it unless that was done before."""
        handle, work, outcome = self._handle, reply.step.work, reply.step.outcome
        if work.replied or isinstance(work, MarkUpdate):
            return None
        if isinstance(outcome, Change):
            handle.accepted += 1
            if outcome.row is None:
                rows = _own_rows(outcome, reply)
                work.reply_held(Accepted(outcome.revision, None, rows, result=result_of(outcome)))
            else:
                row = reply.row
                if row is not None and reply.own_revision is not None:
                    row = row.in_revision(reply.own_revision)
                work.reply_held(Accepted(outcome.revision, row, reply.rows))
        elif isinstance(outcome, Repeat):
            handle.repeated += 1
            row = None if outcome.row is None else EncodedRow.of(outcome.row)
            rows = tuple(EncodedRow.of(each) for each in outcome.rows)
            work.reply_held(self._accepted(reply.step, outcome, row, rows, reply.own_revision))
        else:
            assert outcome is not None
            if outcome.row is not None and reply.own_revision is not None:
                row_shown = msgspec.structs.replace(outcome.row, revision=reply.own_revision)
                outcome = replace(outcome, row=row_shown)
            work.reply_held(outcome)
        return work

    def _accepted(
        self,
        step: Step,
        repeat: Repeat,
        row: EncodedRow | None,
        rows: tuple[EncodedRow, ...],
        own_revision: int | None,
    ) -> Accepted:
        """Return the reply to a repeat; in the batch form rows have their own fields' revision.

        :param own_revision: of the row that is addressed; see :attr:`_Reply.own_revision`.
        """
        subscriber, known = step.work.subscriber, self._handle.rows
        if row is not None and own_revision is not None:
            row = row.in_revision(own_revision)
        if subscriber is not None and known is not None and subscriber.sink.format.batched:
            rows = tuple(each.in_revision(known.own_revision(each.id)) for each in rows)
        return Accepted(repeat.revision, row, rows, repeated=True, result=repeat.result)

    def _parts_of(self, replies: Sequence[_Reply]) -> PartSequence:
        """Return what the steps of a batch have changed, for the batch form."""
        return PartSequence.of(
            self._handle.slug,
            (
                (reply.step.outcome, reply.rows, reply.step.work.command.client_made_id)
                for reply in replies
                if isinstance(reply.step.outcome, Change)
                and isinstance(reply.step.work, Submission)
                and (reply.step.outcome.registrations or reply.step.outcome.groups)
            ),
        )

    def _budget(self, *, shielded: bool = False) -> WorkBudget:
        return WorkBudget(self._handle.config.deliveries_per_yield, shielded=shielded)

    @property
    def _rows(self) -> EncodedRows:
        assert self._handle.rows is not None
        return self._handle.rows


def _extra_work(items: int) -> int:
    """Return the units of work that a message takes on top of one, for its rows and groups."""
    return max(0, items - _MANY) // _MORE_PER_UNIT


def _shown_revision(step: Step, own_revision: int | None) -> int | None:
    """Return the revision of a row's own fields if a step's client is in the batch form."""
    subscriber = step.work.subscriber
    return None if subscriber is None or not subscriber.sink.format.batched else own_revision


def _own_rows(change: Change, reply: _Reply) -> tuple[EncodedRow, ...]:
    """Return the rows that who asked for a change of many fields is sent in the reply.

    In the batch form only those whose own fields it has changed: the others have the revision of
    their group here, and what changed of that one comes apart.
    """
    subscriber = reply.step.work.subscriber
    if subscriber is None or not subscriber.sink.format.batched:
        return reply.rows
    own = {each.id for each in change.registrations}
    return tuple(row for row in reply.rows if row.id in own)
