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
from gbs_actor.rooms.batch import Batch, Phase, Repeat
from gbs_actor.rooms.commits import Commits, pauses
from gbs_actor.rooms.decisions import Decisions
from gbs_actor.rooms.fan_out import FanOut
from gbs_actor.rooms.handle import RoomHandle
from gbs_actor.rooms.mailbox import Leave, MarkUpdate
from gbs_actor.rooms.refusals import (
    INTERNAL,
    NO_SUCH_RETREAT,
    NOT_IN_ROOM,
    RESTARTED,
    STORE_DOWN,
    UNKNOWN_OUTCOME,
)
from gbs_actor.rooms.rows import EncodedRows
from gbs_actor.rooms.statistics import RoomState
from gbs_actor.rooms.subscriptions import Subscriptions
from gbs_actor.rooms.tracepoints import Observer, Tracepoint, ignore
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


class _RoomEnded(Exception):
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
    :param observe: see :data:`~gbs_actor.rooms.tracepoints.Observer`.
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
        self._commits = Commits(handle, store, clock, observe_here)
        self._subscriptions = Subscriptions(handle, observe_here)
        self._fan_out = FanOut(handle, self._subscriptions, observe_here)

    async def run(self) -> None:
        """Serve the room until it is idle, drained or found not to exist.

        Cancellation takes effect between commits. What it raises is a crash: the
        supervisor answers for what is left in the handle.
        """
        try:
            await self._start()
            self._handle.state = RoomState.RUNNING
            await self._serve()
        except* _RoomEnded:
            pass

    async def _serve(self) -> None:
        handle, subscriptions = self._handle, self._subscriptions
        while True:
            await trio.lowlevel.checkpoint()
            await subscriptions.process_controls()
            work = handle.mailbox.take_work(1 if handle.one_by_one else self._config.batch_size)
            if work:
                handle.one_by_one = max(0, handle.one_by_one - 1)
                await self._run_batch(Batch.of(work))
            await subscriptions.tick()  # behind the edits: it can wait, they cannot
            if not work and not len(handle.mailbox):
                idle_at = self._idle_deadline()
                if handle.draining or idle_at <= trio.current_time():
                    return
                with trio.move_on_at(min(subscriptions.next_due(), idle_at)):
                    await handle.mailbox.wait()

    def _idle_deadline(self) -> float:
        if self._handle.subscribers:
            return inf
        return self._subscriptions.empty_since + self._config.idle_timeout

    # -- starting -----------------------------------------------------------------------

    async def _start(self) -> None:
        """Load, settle what a crash left, and catch the subscribers up."""
        handle = self._handle
        batch = handle.batch
        if batch is not None and batch.phase is Phase.COMMITTING:
            settled = await self._commits.resolve(batch)
            if settled.committed:
                batch.phase = Phase.COMMITTED
            else:
                batch.reject_pending(RESTARTED)
                batch = handle.batch = None
        await self._load(batch)
        self._observe(Tracepoint.LOADED)
        self._fan_out.catch_up(batch)
        self._subscriptions.end_orphaned_marks()
        handle.batch = None
        self._observe(Tracepoint.CAUGHT_UP)

    async def _load(self, batch: Batch | None) -> None:
        """Load the retreat; wait for the store only if somebody is in the room.

        :raises _Over: there is no such retreat, or nobody who would wait for it.
        """
        handle = self._handle
        pause = pauses(self._config)
        while True:
            self._observe(Tracepoint.LOADING)
            try:
                retreat = await self._store.load(handle.slug)
            except StoreUnavailable:
                handle.store_down = True
                handle.reject_queued(STORE_DOWN, joins=STORE_DOWN)
                reply_deadline = inf if batch is None else self._commits.reply_deadline(batch)
                if batch is not None and trio.current_time() >= reply_deadline:
                    batch.reject_pending(UNKNOWN_OUTCOME)
                if handle.draining or not handle.wanted:
                    raise _RoomEnded from None
                await trio.sleep(next(pause))
                continue
            handle.store_down = False
            self._replace_board(retreat)
            return

    def _replace_board(self, retreat: Retreat | None) -> None:
        """Go on with the retreat as it was loaded.

        Connections that row updates cannot bring up to date (after a restored backup, or
        when a registration was removed) are ended: they come back, join, and get the
        full list.

        :raises _Over: there is no such retreat.
        """
        handle = self._handle
        if retreat is None:
            handle.reject_queued(NO_SUCH_RETREAT, joins=NO_SUCH_RETREAT)
            for subscriber in tuple(handle.subscribers):
                handle.remove(Leave(subscriber))
            raise _RoomEnded
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
        self._subscriptions.empty_since = trio.current_time()
        self._observe(Tracepoint.TAKEN)
        for submission in batch.submissions():
            if submission.subscriber is not None and submission.subscriber.handle is not handle:
                submission.reply(NOT_IN_ROOM)  # given behind a leave
        if await self._commit(batch):
            # No checkpoint lies between the commit's return and this shield: commit,
            # apply and hand-out are one section that cancellation does not divide.
            with trio.CancelScope(shield=True):
                await self._fan_out.batch(batch)
        handle.batch = None

    async def _commit(self, batch: Batch) -> bool:
        """Decide the batch and make it durable.

        :returns: whether there is anything to hand out; otherwise all of it was answered
            or put back.
        """
        handle = self._handle
        for _ in range(MAX_ROUNDS):
            batch.steps = [step for step in batch.steps if not step.work.replied]
            if not batch.steps:
                return False
            try:
                await self._decisions.decide(batch, self._rows.board, self._clock())
                self._observe(Tracepoint.DECIDED)
                await self._commits.send(batch)
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
                self._reject(batch, STORE_DOWN)
                await self._wait_for_store()
                return False
            except CommitRefused as refused:
                batch.phase = Phase.DECIDING
                self._handle_refused_commit(batch, refused)
                return False
            except OutcomeUnknown:
                if await self._resolve_outcome(batch):
                    return self._committed(batch)
            else:
                return self._committed(batch)
        raise RuntimeError(f"room {handle.slug}: the store contradicts the rows held in memory")

    def _committed(self, batch: Batch) -> bool:
        batch.phase = Phase.COMMITTED
        self._decisions.remember(c for c in batch.changes if c.command_id in batch.repeatable)
        self._observe(Tracepoint.COMMITTED)
        return True

    # -- when the store fails -------------------------------------------------------------

    def _reject(self, batch: Batch, rejection: Rejection) -> None:
        """Refuse a batch that did not take effect.

        Rejections too, since they may rest on a change of the same batch; only repeats
        of what was accepted before the batch are answered as such, and marks carried out.
        """
        for step in batch.steps:
            outcome = step.outcome
            if isinstance(step.work, MarkUpdate):
                self._subscriptions.mark(step.work)
            elif isinstance(outcome, Repeat) and outcome.revision <= batch.expected_revision:
                self._fan_out.reply_from_board(step)  # its row was decided on refused changes
            elif not step.work.replied:
                self._handle.rejected += 1
                step.work.reply(rejection)

    def _handle_refused_commit(self, batch: Batch, refused: CommitRefused) -> None:
        handle = self._handle
        log.error("room %s: the store refused a commit: %s", handle.slug, refused)
        if not refused.data_error:
            self._reject(batch, STORE_DOWN)
        elif len(batch.steps) > 1:
            handle.one_by_one = len(batch.steps)
            handle.mailbox.put_back(step.work for step in batch.steps)
        else:
            self._reject(batch, INTERNAL)

    async def _resolve_outcome(self, batch: Batch) -> bool:
        """Settle an unknown outcome while joins and leaves go on; whether it took effect."""
        handle = self._handle
        handle.unknown_outcomes += 1
        handle.resolving = True
        log.warning("room %s: the outcome of a commit is unknown", handle.slug)
        settled = await self._while_serving(lambda: self._commits.resolve(batch))
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
            self._reject(batch, STORE_DOWN)
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
                self._reject(batch, STORE_DOWN)
                await self._wait_for_store()
            else:
                self._replace_board(retreat)
                self._fan_out.catch_up(None)
                return

    async def _wait_for_store(self) -> None:
        """Refuse commands, and serve joins, until the store answers again.

        :raises _Over: the room is to stop and there is no store to wait for.
        """
        self._handle.store_down = True
        await self._while_serving(self._ping_until_up)
        self._handle.store_down = False

    async def _ping_until_up(self) -> None:
        pause = pauses(self._config)
        while True:
            try:
                await self._store.ping()
            except StoreUnavailable:
                if self._handle.draining:
                    raise _RoomEnded from None
                await trio.sleep(next(pause))
            else:
                return

    async def _while_serving(self, work: Callable[[], Awaitable[T]]) -> T:
        """Await ``work`` while what needs no store goes on."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._subscriptions.serve)
            result = await work()
            nursery.cancel_scope.cancel()
        return result
