"""The room: one actor that serialises every change of one retreat."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from math import inf
from typing import TypeVar

import trio

from gbs_actor.lineup.board import Board
from gbs_actor.lineup.changes import Rejection
from gbs_actor.lineup.records import Retreat
from gbs_actor.rooms.attendance import Attendance
from gbs_actor.rooms.batch import Batch, Phase, Repeat
from gbs_actor.rooms.decisions import Decisions
from gbs_actor.rooms.hand_out import HandOut
from gbs_actor.rooms.handle import RoomHandle
from gbs_actor.rooms.mailbox import Leave, Mark
from gbs_actor.rooms.observation import Moment, Observer, ignore
from gbs_actor.rooms.refusals import (
    INTERNAL,
    NO_SUCH_RETREAT,
    NOT_IN_ROOM,
    RESTARTED,
    STORE_DOWN,
    UNKNOWN_OUTCOME,
)
from gbs_actor.rooms.rows import EncodedRows
from gbs_actor.rooms.settlement import Settlement, pauses
from gbs_actor.rooms.statistics import RoomState
from gbs_actor.store.protocol import (
    CommitRefused,
    OutcomeUnknown,
    RepeatedCommands,
    StaleRevision,
    Store,
    StoreUnavailable,
)

log = logging.getLogger(__name__)

T = TypeVar("T")

# A batch that is stale or repeated again and again means that rows and store contradict
# each other: better to load anew than to go round for ever.
MAX_ROUNDS = 8


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
    :param observe: see :data:`~gbs_actor.rooms.observation.Observer`.
    """

    def __init__(
        self,
        handle: RoomHandle,
        store: Store,
        *,
        clock: Callable[[], datetime] = utc_now,
        observe: Observer = ignore,
    ) -> None:
        observe_here = partial(observe, handle.slug)
        self._handle = handle
        self._config = handle.config
        self._store = store
        self._clock = clock
        self._observe = observe_here
        self._decisions = Decisions(store, handle.config)
        self._settlement = Settlement(handle, store, clock, observe_here)
        self._attendance = Attendance(handle, observe_here)
        self._hand_out = HandOut(handle, self._attendance, observe_here)

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
        handle, attendance = self._handle, self._attendance
        while True:
            await trio.lowlevel.checkpoint()
            await attendance.carry_out_front()
            work = handle.mailbox.take_work(1 if handle.one_by_one else self._config.batch_size)
            if work:
                handle.one_by_one = max(0, handle.one_by_one - 1)
                await self._run_batch(Batch.of(work))
            await attendance.tick()  # behind the edits: it can wait, they cannot
            if not work and not len(handle.mailbox):
                idle_at = self._idle_deadline()
                if handle.draining or idle_at <= trio.current_time():
                    return
                with trio.move_on_at(min(attendance.next_due(), idle_at)):
                    await handle.mailbox.wait()

    def _idle_deadline(self) -> float:
        if self._handle.subscribers:
            return inf
        return self._attendance.alone_since + self._config.idle_timeout

    # -- starting -----------------------------------------------------------------------

    async def _start(self) -> None:
        """Load, settle what a crash left, and catch the subscribers up."""
        handle = self._handle
        batch = handle.batch
        if batch is not None and batch.phase is Phase.COMMITTING:
            settled = await self._settlement.settle(batch)
            if settled.committed:
                batch.phase = Phase.COMMITTED
            else:
                batch.answer_rest(RESTARTED)
                batch = handle.batch = None
        await self._load(batch)
        self._observe(Moment.LOADED)
        self._hand_out.catch_up(batch)
        self._attendance.end_orphaned_marks()
        handle.batch = None
        self._observe(Moment.CAUGHT_UP)

    async def _load(self, batch: Batch | None) -> None:
        """Load the retreat; wait for the store only if somebody is in the room.

        :raises _Over: there is no such retreat, or nobody who would wait for it.
        """
        handle = self._handle
        pause = pauses(self._config)
        while True:
            self._observe(Moment.LOADING)
            try:
                retreat = await self._store.load(handle.slug)
            except StoreUnavailable:
                handle.store_down = True
                handle.refuse_waiting(STORE_DOWN, joins=STORE_DOWN)
                patience_ends = inf if batch is None else self._settlement.patience_ends(batch)
                if batch is not None and trio.current_time() >= patience_ends:
                    batch.answer_rest(UNKNOWN_OUTCOME)
                if handle.draining or not handle.wanted:
                    raise _Over from None
                await trio.sleep(next(pause))
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
        handle.rows = EncodedRows(Board(retreat))
        for subscriber in handle.subscribers:
            sent = subscriber.sent_revision
            if retreat.epoch != epoch or not retreat.removal_revision <= sent <= retreat.revision:
                subscriber.sink.abort()

    @property
    def _rows(self) -> EncodedRows:
        assert self._handle.rows is not None
        return self._handle.rows

    # -- batches --------------------------------------------------------------------------

    async def _run_batch(self, batch: Batch) -> None:
        handle = self._handle
        handle.batch = batch
        handle.batches += 1
        handle.commands += len(batch.steps)
        handle.batch_largest = max(handle.batch_largest, len(batch.steps))
        self._attendance.alone_since = trio.current_time()
        self._observe(Moment.TAKEN)
        for submission in batch.submissions():
            if submission.subscriber is not None and submission.subscriber.handle is not handle:
                submission.answer(NOT_IN_ROOM)  # given behind a leave
        if await self._commit(batch):
            # No checkpoint lies between the commit's return and this shield: commit,
            # apply and hand-out are one section that cancellation does not divide.
            with trio.CancelScope(shield=True):
                await self._hand_out.batch(batch)
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
                await self._decisions.decide(batch, self._rows.board, self._clock())
                self._observe(Moment.DECIDED)
                await self._settlement.send(batch)
            except RepeatedCommands as repeated:
                batch.phase = Phase.DECIDING
                batch.found.update(repeated.entries)
                self._decisions.remember(repeated.entries.values())
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
                    return self._committed(batch)
            else:
                return self._committed(batch)
        raise RuntimeError(f"room {handle.slug}: the store contradicts the rows held in memory")

    def _committed(self, batch: Batch) -> bool:
        batch.phase = Phase.COMMITTED
        self._decisions.remember(c for c in batch.changes if c.command_id in batch.repeatable)
        self._observe(Moment.COMMITTED)
        return True

    # -- when the store fails -------------------------------------------------------------

    def _refuse(self, batch: Batch, rejection: Rejection) -> None:
        """Refuse a batch that did not take effect.

        Rejections too, since they may rest on a change of the same batch; only repeats
        of what was accepted before the batch are answered as such, and marks carried out.
        """
        for step in batch.steps:
            outcome = step.outcome
            if isinstance(step.work, Mark):
                self._attendance.mark(step.work)
            elif isinstance(outcome, Repeat) and outcome.revision <= batch.expected_revision:
                self._hand_out.answer_late(step)  # its row was decided on refused changes
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
        settled = await self._while_serving(lambda: self._settlement.settle(batch))
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

    async def _reload(self, batch: Batch) -> None:
        """Load the retreat anew and catch the subscribers up.

        The batch in hand is refused where the store cannot be reached.

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
                self._hand_out.catch_up(None)
                return

    async def _outlast_outage(self) -> None:
        """Refuse commands, and serve joins, until the store answers again.

        :raises _Over: the room is to stop and there is no store to wait for.
        """
        self._handle.store_down = True
        await self._while_serving(self._store_is_back)
        self._handle.store_down = False

    async def _store_is_back(self) -> None:
        pause = pauses(self._config)
        while True:
            try:
                await self._store.ping()
            except StoreUnavailable:
                if self._handle.draining:
                    raise _Over from None
                await trio.sleep(next(pause))
            else:
                return

    async def _while_serving(self, work: Callable[[], Awaitable[T]]) -> T:
        """Await ``work`` while what needs no store goes on."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._attendance.serve)
            result = await work()
            nursery.cancel_scope.cancel()
        return result
