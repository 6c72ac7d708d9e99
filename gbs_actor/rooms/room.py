"""The room: one actor that serialises every change of one retreat."""

from __future__ import annotations

import logging
import uuid
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from itertools import chain
from math import inf
from typing import TypeVar

import trio

from gbs_actor.lineup.board import Board
from gbs_actor.lineup.changes import Change, Kind, LogEntry, Rejection
from gbs_actor.lineup.codes import Code
from gbs_actor.lineup.commands import Command, CreateMemo
from gbs_actor.lineup.draft import Draft
from gbs_actor.lineup.records import Retreat
from gbs_actor.lineup.request import FENCE_REQUEST, request_bytes
from gbs_actor.rooms.batch import Batch, Outcome, Phase, Repeat, Step
from gbs_actor.rooms.config import RoomConfig
from gbs_actor.rooms.delivery import Accepted, Done, Editing, EncodedRow, Format
from gbs_actor.rooms.hand_out import RowSequence, broadcast
from gbs_actor.rooms.handle import (
    NO_SUCH_RETREAT,
    RESTARTED,
    STORE_DOWN,
    UNKNOWN_OUTCOME,
    RoomHandle,
)
from gbs_actor.rooms.mailbox import Item, Join, Leave, Mark, Submission
from gbs_actor.rooms.presence import present_users
from gbs_actor.rooms.rows import EncodedRows, encode
from gbs_actor.rooms.statistics import RoomState
from gbs_actor.rooms.subscriber import Subscriber
from gbs_actor.store.protocol import (
    CommitRefused,
    OutcomeUnknown,
    RepeatedCommands,
    StaleRevision,
    Store,
    StoreError,
    StoreUnavailable,
)

log = logging.getLogger(__name__)

T = TypeVar("T")

NOT_IN_ROOM = Rejection(Code.NOT_IN_ROOM, "Join a retreat first")
INTERNAL = Rejection(Code.INTERNAL, "The command could not be carried out")
OTHER_COMMAND = Rejection(
    Code.VALIDATION_FAILED, "commandId: it was used for another command already"
)
NO_SUCH_ROW = Rejection(Code.NOT_FOUND, "There is no such registration in this retreat")

# A batch that is stale or repeated again and again means that rows and store contradict
# each other: better to load anew than to go round for ever.
MAX_ROUNDS = 8


class Moment(StrEnum):
    """The steps of a room's loop, as an observer is told of them."""

    LOADING = "loading"
    SETTLING = "settling"
    LOADED = "loaded"
    CAUGHT_UP = "caught up"
    JOINING = "joining"
    LEAVING = "leaving"
    TAKEN = "taken"
    DECIDED = "decided"
    COMMITTING = "committing"
    ANSWERED = "answered by the store"
    COMMITTED = "committed"
    APPLIED = "applied"
    DELIVERING = "delivering"
    REPLYING = "replying"
    HANDED_OUT = "handed out"


Observer = Callable[[str, Moment], None]
"""Called with the slug at every step of a room's loop. What it raises crashes that room,
as a bug would: so supervision can be put to the proof."""


@dataclass(frozen=True, slots=True)
class _Remembered:
    """What a room knows of an accepted command id."""

    revision: int
    registration_id: int | None
    request: bytes


@dataclass(frozen=True, slots=True)
class _Settled:
    """How an unknown outcome turned out."""

    committed: bool
    fence: Change | None
    """The fence that made sure it did not take effect, where this was needed."""


class _Over(Exception):
    """The room cannot go on, and nobody needs it to."""


def utc_now() -> datetime:
    """Return the time in UTC to the millisecond, the precision that clients see."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1_000 * 1_000)


class Room:
    """One incarnation of a room: from loading to idleness, drain or crash.

    :param handle: mailbox, subscribers and the batch in hand; outlives this object.
    :param store: where the retreat is durable.
    :param clock: the wall clock, aware, UTC.
    :param observe: see :data:`Observer`.
    """

    def __init__(
        self,
        handle: RoomHandle,
        store: Store,
        *,
        clock: Callable[[], datetime] = utc_now,
        observe: Observer | None = None,
    ) -> None:
        self._handle = handle
        self._config: RoomConfig = handle.config
        self._store = store
        self._clock = clock
        self._observer = observe
        self._remembered: OrderedDict[uuid.UUID, _Remembered] = OrderedDict()
        self._memo_ids: Iterator[int] = iter(())
        self._memo_ids_left = 0
        self._rows: EncodedRows
        self._alone_since = trio.current_time()

    async def run(self) -> None:
        """Serve the room until it is idle, drained or found not to exist.

        Cancellation takes effect between commits. What it raises is a crash: the
        supervisor answers for what is left in the handle.
        """
        try:
            await self._start()
            self._handle.state = RoomState.RUNNING
            await self._serve()
        except* _Over:
            pass

    async def _serve(self) -> None:
        handle = self._handle
        while True:
            await trio.lowlevel.checkpoint()
            self._tick()
            self._control()
            work = handle.mailbox.take_work(1 if handle.one_by_one else self._config.batch_size)
            if work:
                handle.one_by_one = max(0, handle.one_by_one - 1)
                await self._run_batch(Batch.of(work))
            elif not len(handle.mailbox):
                if handle.draining or self._idle_deadline() <= trio.current_time():
                    return
                with trio.move_on_at(min(self._next_due(), self._idle_deadline())):
                    await handle.mailbox.wait()

    # -- starting -----------------------------------------------------------------------

    async def _start(self) -> None:
        """Load, settle what a crash left, and catch the subscribers up."""
        handle = self._handle
        batch = handle.batch
        if batch is not None and batch.phase is Phase.COMMITTING:
            settled = await self._settle(batch)
            if settled.committed:
                batch.phase = Phase.COMMITTED
            else:
                batch.answer_rest(RESTARTED)
                batch = handle.batch = None
        await self._load(batch)
        self._observe(Moment.LOADED)
        self._catch_up(batch)
        handle.batch = None
        self._observe(Moment.CAUGHT_UP)

    async def _load(self, batch: Batch | None) -> None:
        """Load the retreat; wait for the store only if somebody is in the room.

        :raises _Over: there is no such retreat, or nobody who would wait for it.
        """
        handle = self._handle
        pauses = self._pauses()
        while True:
            self._observe(Moment.LOADING)
            try:
                retreat = await self._store.load(handle.slug)
            except StoreUnavailable:
                handle.store_down = True
                handle.refuse_waiting(STORE_DOWN, joins=STORE_DOWN)
                if batch is not None and trio.current_time() >= self._patience_ends(batch):
                    batch.answer_rest(UNKNOWN_OUTCOME)
                if handle.draining or not handle.wanted:
                    raise _Over from None
                await trio.sleep(next(pauses))
                continue
            handle.store_down = False
            self._adopt(retreat)
            return

    def _adopt(self, retreat: Retreat | None) -> None:
        """Go on with the retreat as it was loaded.

        Connections that row updates cannot bring up to date (after a restored backup, or
        when a registration was removed) are ended: they come back, join, and get the
        full list.

        :raises _Over: there is no such retreat.
        """
        handle = self._handle
        if retreat is None:
            handle.refuse_waiting(NO_SUCH_RETREAT, joins=NO_SUCH_RETREAT)
            for subscriber in tuple(handle.subscribers):
                handle.carry_out(Leave(subscriber))
            raise _Over
        epoch = retreat.epoch if handle.rows is None else handle.rows.board.epoch
        self._rows = handle.rows = EncodedRows(Board(retreat))
        for subscriber in handle.subscribers:
            sent = subscriber.sent_revision
            if retreat.epoch != epoch or not retreat.removal_revision <= sent <= retreat.revision:
                subscriber.sink.abort()

    def _catch_up(self, owed: Batch | None) -> None:
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

    # -- joins, leaves and marks ----------------------------------------------------------

    def _control(self) -> None:
        """Carry out the joins and leaves at the front of the mailbox."""
        mailbox = self._handle.mailbox
        while (item := mailbox.front_control()) is not None:
            self._carry_out(item)
            mailbox.drop_front()

    def _carry_out(self, item: Join | Leave) -> None:
        if isinstance(item, Join):
            self._observe(Moment.JOINING)
            self._join(item)
        else:
            self._observe(Moment.LEAVING)
            self._tell(self._handle.marks.end(item.subscriber), item.subscriber)
            self._handle.carry_out(item)
            if not self._handle.subscribers:
                self._alone_since = trio.current_time()

    def _join(self, join: Join) -> None:
        handle, subscriber = self._handle, join.subscriber
        if join.answered or (subscriber is not None and subscriber.closed):
            join.abandon()
            return
        self._alone_since = trio.current_time()
        snapshot = self._rows.snapshot(join.since, join.epoch)
        if subscriber is not None:
            former = subscriber.handle
            if former is not handle:
                subscriber.handle = handle  # the former room's deliveries pass it by from here
                if former is not None:
                    former.leave(Leave(subscriber))
            handle.subscribers[subscriber] = None
            handle.presence.change()
            subscriber.sent_revision = snapshot.revision
        join.answer(snapshot)

    def _mark(self, mark: Mark) -> None:
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

    def _tell(self, editings: list[Editing], author: Subscriber) -> None:
        """Tell everybody but the author's connection."""
        for editing in editings:

            def encoded(form: Format, editing: Editing = editing) -> object:
                return form.editing(editing, author.number)

            broadcast(self._here(), encoded, apart_from=author)

    def _tick(self) -> None:
        """End the marks that have run out, and send presence if it is due."""
        handle, now = self._handle, trio.current_time()
        for subscriber in handle.marks.expired(now):
            self._tell(handle.marks.end(subscriber), subscriber)
            handle.presence.change()
        if handle.presence.due(len(handle.subscribers)) <= now:
            presence = present_users(handle.subscribers, handle.marks)
            broadcast(self._here(), lambda form: form.presence(presence))
            handle.presence.sent(now)

    def _next_due(self) -> float:
        handle = self._handle
        return min(handle.marks.next_expiry(), handle.presence.due(len(handle.subscribers)))

    def _idle_deadline(self) -> float:
        if self._handle.subscribers:
            return inf
        return self._alone_since + self._config.idle_timeout

    def _here(self) -> list[Subscriber]:
        return [s for s in self._handle.subscribers if s.handle is self._handle]

    # -- batches --------------------------------------------------------------------------

    async def _run_batch(self, batch: Batch) -> None:
        handle = self._handle
        handle.batch = batch
        handle.batches += 1
        handle.commands += len(batch.steps)
        handle.batch_largest = max(handle.batch_largest, len(batch.steps))
        self._alone_since = trio.current_time()
        self._observe(Moment.TAKEN)
        if await self._commit(batch):
            # No checkpoint lies between the commit's return and this shield: commit,
            # apply and hand-out are one section that cancellation does not divide.
            with trio.CancelScope(shield=True):
                await self._hand_out(batch)
        handle.batch = None

    async def _commit(self, batch: Batch) -> bool:
        """Decide the batch and make it durable.

        :returns: whether there is anything to hand out; otherwise all of it was answered
            or put back.
        """
        handle = self._handle
        for _ in range(MAX_ROUNDS):
            batch.steps = [step for step in batch.steps if not step.work.answered]
            if not batch.steps:
                return False
            try:
                await self._reserve_memo_ids(batch)
                self._decide(batch)
                self._observe(Moment.DECIDED)
                await self._send(batch)
            except RepeatedCommands as repeated:
                batch.phase = Phase.DECIDING
                for entry in repeated.entries.values():
                    self._remember(entry)
            except StaleRevision:
                batch.phase = Phase.DECIDING
                handle.stale_commits += 1
                await self._reload(batch)
            except StoreUnavailable:
                batch.phase = Phase.DECIDING
                self._refuse(batch, STORE_DOWN)
                await self._outlast_outage()
                return False
            except CommitRefused as refused:
                batch.phase = Phase.DECIDING
                self._commit_refused(batch, refused)
                return False
            except OutcomeUnknown:
                if await self._find_out(batch):
                    self._committed(batch)
                    return True
            else:
                self._committed(batch)
                return True
        raise RuntimeError(f"room {handle.slug}: the store contradicts the rows held in memory")

    async def _reserve_memo_ids(self, batch: Batch) -> None:
        needed = sum(isinstance(s.command.action, CreateMemo) for s in batch.submissions())
        if needed > self._memo_ids_left:
            count = max(needed, self._config.memo_id_block)
            self._memo_ids = iter(await self._store.reserve_memo_ids(count))
            self._memo_ids_left = count
        self._memo_ids_left -= needed

    def _decide(self, batch: Batch) -> None:
        """Decide every command on top of the outcomes of those before it."""
        board, at = self._rows.board, self._clock()
        draft = board.draft(self._memo_ids)
        known: dict[uuid.UUID, _Remembered] = {}
        changes: list[Change] = []
        repeatable: set[uuid.UUID] = set()
        for step in batch.steps:
            if isinstance(step.work, Mark):
                continue
            command = step.work.command
            former = known.get(command.id) or self._remembered.get(command.id)
            if former is not None:
                step.outcome = self._repeat(draft, command, former)
                continue
            if command.client_made_id:
                repeatable.add(command.id)
            step.outcome = self._decide_one(draft, command, at)
            if isinstance(step.outcome, Change):
                changes.append(step.outcome)
                known[command.id] = _remembered(step.outcome)
        batch.expected_revision = board.revision
        batch.changes = tuple(changes)
        batch.repeatable = frozenset(repeatable)

    def _decide_one(self, draft: Draft, command: Command, at: datetime) -> Outcome:
        try:
            return draft.decide(command, at)
        except Exception:
            log.exception("room %s: a command could not be decided", self._handle.slug)
            return INTERNAL

    def _repeat(self, draft: Draft, command: Command, former: _Remembered) -> Outcome:
        if former.request != request_bytes(command.action) or former.registration_id is None:
            return OTHER_COMMAND
        row = draft.row(former.registration_id)
        return NO_SUCH_ROW if row is None else Repeat(former.revision, former.registration_id, row)

    async def _send(self, batch: Batch) -> None:
        """Commit the batch's changes; without any, only look its ids up."""
        if batch.changes:
            batch.phase = Phase.COMMITTING
            batch.committing_since = trio.current_time()
            self._observe(Moment.COMMITTING)
            await self._store_commit(batch.expected_revision, batch.changes, batch.repeatable)
            self._handle.commit_times.add(trio.current_time() - batch.committing_since)
            self._observe(Moment.ANSWERED)
        elif batch.repeatable:
            entries = await self._store.find_commands(self._rows.board.retreat_id, batch.repeatable)
            if entries:
                raise RepeatedCommands(entries)

    async def _store_commit(
        self,
        expected_revision: int,
        changes: tuple[Change, ...],
        repeatable: frozenset[uuid.UUID] = frozenset(),
    ) -> None:
        """Commit, shielded, for at most the commit time-out and a little.

        :raises OutcomeUnknown: the store did not answer, and did not say so itself.
        """
        assert self._handle.rows is not None
        retreat_id = self._handle.rows.board.retreat_id
        # The store's own watchdog ends the wait first; this is the last resort.
        with trio.move_on_after(self._config.commit_timeout + 1.0) as scope:
            scope.shield = True
            await self._store.commit(retreat_id, expected_revision, changes, repeatable)
            return
        raise OutcomeUnknown("the store did not answer in time")

    def _committed(self, batch: Batch) -> None:
        batch.phase = Phase.COMMITTED
        for change in batch.changes:
            if change.command_id in batch.repeatable:
                self._remember(change)
        self._observe(Moment.COMMITTED)

    def _remember(self, accepted: Change | LogEntry) -> None:
        remembered = self._remembered
        remembered[accepted.command_id] = _remembered(accepted)
        remembered.move_to_end(accepted.command_id)
        while len(remembered) > self._config.remembered_commands:
            remembered.popitem(last=False)

    async def _hand_out(self, batch: Batch) -> None:
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
            if count % self._config.deliveries_per_yield == 0:
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
                self._answer(batch.steps[number], latest)
            rows.deliver(subscriber, position, len(rows))
            subscriber.sent_revision = self._rows.board.revision
        for step in batch.steps:
            if isinstance(step.work, Mark):
                self._mark(step.work)
            else:
                self._answer(step, latest)
        handle.hand_out_times.add(trio.current_time() - started)
        self._observe(Moment.HANDED_OUT)

    def _answer(self, step: Step, changed: Mapping[int, EncodedRow]) -> None:
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

    # -- when the store fails -------------------------------------------------------------

    def _refuse(self, batch: Batch, rejection: Rejection) -> None:
        """Refuse a batch that did not take effect.

        Rejections too, since they may rest on a change of the same batch; only repeats
        of what was accepted before the batch are answered as such, and marks carried out.
        """
        for step in batch.steps:
            outcome = step.outcome
            if isinstance(step.work, Mark):
                self._mark(step.work)
            elif isinstance(outcome, Repeat) and outcome.revision <= batch.expected_revision:
                self._answer(step, {})
            elif not step.work.answered:
                self._handle.rejected += 1
                step.work.answer(rejection)

    def _commit_refused(self, batch: Batch, refused: CommitRefused) -> None:
        handle = self._handle
        log.error("room %s: the store refused a commit: %s", handle.slug, refused)
        if not refused.data_error:
            self._refuse(batch, STORE_DOWN)
        elif len(batch.steps) > 1:
            handle.one_by_one = len(batch.steps)
            handle.mailbox.put_back(step.work for step in batch.steps)
        else:
            self._refuse(batch, INTERNAL)

    async def _find_out(self, batch: Batch) -> bool:
        """Settle an unknown outcome while joins and leaves go on; whether it took effect."""
        handle = self._handle
        handle.unknown_outcomes += 1
        handle.resolving = True
        log.warning("room %s: the outcome of a commit is unknown", handle.slug)
        settled = await self._while_serving(lambda: self._settle(batch))
        handle.resolving = False
        if settled.committed:
            return True
        batch.phase = Phase.DECIDING
        batch.attempts += 1
        if settled.fence is not None:
            self._rows.apply(settled.fence)
        else:
            await self._reload(batch)
        if batch.attempts > self._config.commit_retries:
            self._refuse(batch, STORE_DOWN)
        return False

    async def _settle(self, batch: Batch) -> _Settled:
        """Find out what became of a batch, however long it takes.

        Its commands are answered with OUTCOME_UNKNOWN when their patience ends.
        """
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._give_up_waiting, batch)
            settled = await self._fence_off(batch)
            nursery.cancel_scope.cancel()
        return settled

    async def _give_up_waiting(self, batch: Batch) -> None:
        await trio.sleep_until(self._patience_ends(batch))
        batch.answer_rest(UNKNOWN_OUTCOME)

    def _patience_ends(self, batch: Batch) -> float:
        return batch.committing_since + self._config.commit_resolve_timeout

    async def _fence_off(self, batch: Batch) -> _Settled:
        """Commit a fence in the place of the batch, then look the batch up in the log.

        A commit that is late, too, expects the revision that the batch expected. Once
        the retreat has another one, by the fence or because the batch took effect, what
        the log says of the batch is final.
        """
        handle = self._handle
        assert handle.rows is not None
        retreat_id = handle.rows.board.retreat_id
        ids = {change.command_id for change in batch.changes}
        pauses = self._pauses()
        fence: Change | None = None
        passed = False
        while True:
            self._observe(Moment.SETTLING)
            try:
                if not passed:
                    attempt = _fence(batch.expected_revision + 1, self._clock())
                    try:
                        await self._store_commit(batch.expected_revision, (attempt,))
                        fence = attempt
                    except StaleRevision:
                        pass
                    passed = True
                found = await self._store.find_commands(retreat_id, ids)
            except StoreError as error:
                log.warning("room %s: the outcome is still unknown: %s", handle.slug, error)
                handle.store_down = True
                handle.mailbox.wake()
                await trio.sleep(next(pauses))
            else:
                handle.store_down = False
                return _Settled(committed=bool(found), fence=fence)

    async def _reload(self, batch: Batch) -> None:
        """Load the retreat anew and catch the subscribers up.

        The batch in hand is refused where this takes long.

        :raises _Over: the retreat is no more.
        """
        while True:
            try:
                retreat = await self._store.load(self._handle.slug)
            except StoreUnavailable:
                self._refuse(batch, STORE_DOWN)
                await self._outlast_outage()
            else:
                self._adopt(retreat)
                self._catch_up(None)
                return

    async def _outlast_outage(self) -> None:
        """Refuse commands, and serve joins, until the store answers again.

        :raises _Over: the room is to stop and there is no store to wait for.
        """
        handle = self._handle
        handle.store_down = True
        await self._while_serving(self._store_is_back)
        handle.store_down = False

    async def _store_is_back(self) -> None:
        pauses = self._pauses()
        while True:
            try:
                await self._store.ping()
            except StoreUnavailable:
                if self._handle.draining:
                    raise _Over from None
                await trio.sleep(next(pauses))
            else:
                return

    async def _while_serving(self, work: Callable[[], Awaitable[T]]) -> T:
        """Await ``work`` while what needs no store goes on."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._serve_meanwhile)
            result = await work()
            nursery.cancel_scope.cancel()
        return result

    async def _serve_meanwhile(self) -> None:
        while True:
            self._tick()
            self._serve_waiting()
            with trio.move_on_at(self._next_due()):
                await self._handle.mailbox.wait()

    def _serve_waiting(self) -> None:
        """Carry out joins, leaves and marks; refuse commands if the store is down.

        Repeats of the commands in hand wait for the same outcome, and what waits holds
        back whatever the same connection asked for after it.
        """
        handle = self._handle
        in_hand = handle.ids_in_hand()
        items = deque(handle.mailbox.take_all())
        kept: list[Item] = []
        held: set[Subscriber] = set()
        try:
            while items:
                item = items[0]
                if item.subscriber in held:
                    kept.append(item)
                elif isinstance(item, Submission):
                    if handle.store_down and item.command.id not in in_hand:
                        handle.rejected += 1
                        item.answer(STORE_DOWN)
                    else:
                        kept.append(item)
                        if item.subscriber is not None:
                            held.add(item.subscriber)
                elif isinstance(item, Mark):
                    self._mark(item)
                else:
                    self._carry_out(item)
                items.popleft()
        finally:
            handle.mailbox.put_back([*kept, *items])

    def _pauses(self) -> Iterator[float]:
        pause = self._config.store_backoff
        while True:
            yield pause
            pause = min(2 * pause, self._config.store_backoff_max)

    def _observe(self, moment: Moment) -> None:
        if self._observer is not None:
            self._observer(self._handle.slug, moment)


def _remembered(accepted: Change | LogEntry) -> _Remembered:
    return _Remembered(accepted.revision, accepted.registration_id, accepted.request)


def _accepted(change: Change, changed: Mapping[int, EncodedRow]) -> Accepted:
    assert change.row is not None
    latest = changed.get(change.row.id)
    row = latest if latest and latest.revision == change.row.revision else encode(change.row)
    return Accepted(change.revision, row, tuple(encode(r) for r in change.rows))


def _fence(revision: int, at: datetime) -> Change:
    return Change(
        revision=revision,
        command_id=uuid.uuid4(),
        author=None,
        kind=Kind.FENCE,
        at=at,
        request=FENCE_REQUEST,
    )
