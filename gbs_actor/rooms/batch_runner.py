"""Carries out batches: decides one, makes it durable, sends what has changed, and replies."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from functools import partial
from math import inf
from typing import Final

import trio

from gbs_actor.lineup.board import Board
from gbs_actor.lineup.changes import LogEntry, Rejection
from gbs_actor.rooms.batch import Batch, Phase, Repeat
from gbs_actor.rooms.commits import Commits, Missed
from gbs_actor.rooms.decisions import Decisions
from gbs_actor.rooms.delivery import BUSY, INTERNAL, NOT_IN_ROOM, ROWS_HELD, STORE_DOWN
from gbs_actor.rooms.fan_out import FanOut
from gbs_actor.rooms.handle import RoomHandle
from gbs_actor.rooms.held_rows import HeldRows
from gbs_actor.rooms.loading import Loading
from gbs_actor.rooms.mailbox import MarkUpdate
from gbs_actor.rooms.rows import EncodedRows
from gbs_actor.rooms.subscriptions import Subscriptions
from gbs_actor.rooms.tracepoints import Tracepoint
from gbs_actor.store.protocol import (
    CommitRefused,
    LockedRetreat,
    LockLost,
    OutcomeUnknown,
    RepeatedCommands,
    RowsLocked,
    Store,
    StoreUnavailable,
)

log = logging.getLogger(__name__)

MAX_MISSES: Final = 2
"""How often others may be faster than a batch before it locks the retreat."""
MAX_ROUNDS: Final = 5
"""How often a batch is decided anew before its commands get ROOM_BUSY: others were faster, or had
accepted some of it, or the retreat had to be loaded under the lock, or the lock was lost."""
ROWS_TIMEOUT: Final = 1.0
"""Seconds for which a batch is tried, and then its commands one by one, while another program's
transaction holds rows that cannot be found."""


class BatchRunner:
    """Carries out the batches of a room, one after the other.

    :param handle: the room; its rows must be loaded.
    :param store: where the retreat is durable.
    """

    def __init__(
        self,
        handle: RoomHandle,
        store: Store,
        *,
        commits: Commits,
        loading: Loading,
        subscriptions: Subscriptions,
        fan_out: FanOut,
    ) -> None:
        self._handle = handle
        self._store = store
        self._commits = commits
        self._loading = loading
        self._subscriptions = subscriptions
        self._fan_out = fan_out
        self._decisions = Decisions(store, handle.config)
        self._held_rows = HeldRows(handle, store, loading)

    async def run(self, batch: Batch) -> None:
        """Carry out a batch, to the last reply; it is the handle's meanwhile.

        Cancellation takes effect before its commit is sent, and leaves it to the handle.

        :raises RoomEnded: the retreat is no more, or the store and with it the room's time.
        """
        handle = self._handle
        handle.batch = batch
        handle.batches += 1
        handle.commands += len(batch.steps)
        handle.batch_largest = max(handle.batch_largest, len(batch.steps))
        now = trio.current_time()
        batch.taken_at, batch.asked_at = now, handle.freshness.moment
        self._subscriptions.empty_since = handle.active_at = handle.progressed_at = now
        handle.observe(Tracepoint.TAKEN)
        submissions = batch.submissions()
        if submissions:
            handle.batch_sizes.add(len(submissions), now)
            handle.times.batch_sizes.add(len(submissions), now)
        for submission in submissions:
            subscriber = submission.subscriber
            inside = subscriber is None or subscriber.room is handle
            if not inside and not submission.command.outside_room:
                submission.reply(NOT_IN_ROOM)  # submitted behind a leave
        if await self._commit(batch):
            # No checkpoint lies between the commit's return and this, and its own are shielded:
            # commit, apply and fan-out are one section that cancellation does not divide.
            await self._fan_out.apply_and_send(batch)
        handle.batch = None
        handle.slow_commands.check(handle.slug, batch, submissions)

    async def _commit(self, batch: Batch) -> bool:
        """Decide the batch and make it durable.

        Where another writer was faster it is decided again, the third time while no other can
        write.

        :returns: whether it is durable; otherwise all of it has its reply or was put back.
        """
        handle = self._handle
        misses = rounds = 0
        rows_deadline = inf
        if batch.apart:
            rows_deadline = -inf
            if trio.current_time() >= handle.apart_until:
                self._reject(batch, ROWS_HELD)
                return False
        while rounds <= MAX_ROUNDS:
            batch.steps = [step for step in batch.steps if not step.work.replied]
            if not batch.steps:
                return False
            try:
                if batch.found and self._lacks_any(batch.found.values()):
                    await self._loading.catch_up()  # a repeat gets the row as it is
                if misses < MAX_MISSES:
                    missed = await self._decide_and_commit(batch)
                else:
                    missed = await self._commit_locked(batch)
                if missed is None and batch.phase is Phase.COMMITTING:
                    return self._committed(batch)
                if all(step.work.replied for step in batch.steps):
                    return False  # rejected meanwhile, at the end of the server
                if missed is None and not await self._has_to_decide_again(batch):
                    return self._committed(batch)  # it had nothing to commit
            except RepeatedCommands as repeated:
                batch.phase = Phase.DECIDING
                rounds += 1
                batch.found.update(repeated.entries)
                self._decisions.remember(repeated.entries.values())
            except RowsLocked:
                batch.phase = Phase.DECIDING
                rows_deadline = min(rows_deadline, trio.current_time() + ROWS_TIMEOUT)
                if trio.current_time() >= rows_deadline:
                    self._divide(batch, ROWS_HELD, until=trio.current_time() + ROWS_TIMEOUT)
                    return False
                self._held_rows.suspect(batch)
            except LockLost as lost:
                batch.phase = Phase.DECIDING
                rounds += 1
                log.warning("room %s: %s", handle.slug, lost, extra={"room": handle.slug})
            except StoreUnavailable:
                batch.phase = Phase.DECIDING
                self._reject(batch, STORE_DOWN)
                await self._loading.wait_for_store()
                return False
            except CommitRefused as refused:
                batch.phase = Phase.DECIDING
                self._handle_refused_commit(batch, refused)
                return False
            except OutcomeUnknown:
                if await self._resolve_outcome(batch):
                    return self._committed(batch)
            else:
                rounds += 1
                if missed is not None:
                    misses += 1
                    await self._install(batch, missed)
        log.warning(
            "room %s: a batch that was decided %d times is rejected",
            handle.slug,
            rounds,
            extra={"room": handle.slug},
        )
        self._reject(batch, BUSY)
        return False

    async def _decide_and_commit(self, batch: Batch) -> Missed | None:
        """Decide a batch and commit its changes, if there are any; its phase is COMMITTING then.

        :returns: what others were faster with, if they were.
        """
        rejected = True
        while rejected:
            await self._decisions.prepare(batch, self._rows.board)
            if not await self._decide(batch) or not batch.changes:
                return None
            rejected = await self._held_rows.reject(batch)
        missed = await self._commits.commit(batch)
        self._handle.stale_commits += missed is not None
        return missed

    async def _commit_locked(self, batch: Batch) -> Missed | None:
        """Do the same while no other server can change the retreat.

        :returns: what has to be loaded first, if anything has; nothing was decided then.
        """
        handle, board = self._handle, self._rows.board
        # As it was decided before.
        if await self._held_rows.reject(batch) and not batch.steps:
            return None
        await self._decisions.prepare(batch, board)
        handle.locks += 1
        begun = handle.freshness.begin()
        installed = False
        try:
            async with self._locked(board) as retreat:
                if retreat.delta is None:
                    handle.confirmed_at = begun
                elif retreat.delta.complete:
                    installed = self._loading.take_over(retreat.delta, begun)
                else:
                    return Missed(retreat.delta, begun)
                # As others wait for the lock, the subscribers are caught up behind it.
                if await self._decide(batch) and batch.changes:
                    await self._commits.commit(batch, retreat.commit)
        finally:
            if installed:
                with trio.CancelScope(shield=True):
                    await self._fan_out.catch_up()
        return None

    @asynccontextmanager
    async def _locked(self, board: Board) -> AsyncIterator[LockedRetreat]:
        """Keep other servers from changing the retreat within the block, and measure for how long.

        See :meth:`Store.locked() <gbs_actor.store.protocol.Store.locked>`.
        """
        async with self._store.locked(board.retreat_id, board.epoch, board.revision) as retreat:
            since = trio.current_time()
            try:
                yield retreat
            finally:
                now = trio.current_time()
                self._handle.times.locked.add(now - since, now)

    async def _decide(self, batch: Batch) -> bool:
        """Decide a batch that is prepared; return whether any of it waits for its reply."""
        handle = self._handle
        await self._decisions.decide(batch, self._rows.board, handle.environment.now())
        handle.observe(Tracepoint.DECIDED)
        return not all(step.work.replied for step in batch.steps)

    async def _has_to_decide_again(self, batch: Batch) -> bool:
        """Whether a batch without changes was decided on a board that is behind; it no longer is.

        :raises RepeatedCommands: some of it was accepted before.
        :raises StoreUnavailable: it is not known.
        """
        await self._commits.look_up(batch)
        asks = bool(batch.submissions()) and not self._handle.is_fresh(batch.asked_at)
        asks = asks or any(self._subscriptions.is_ahead(mark) for mark in batch.marks())
        return asks and await self._loading.confirm()

    def _lacks_any(self, entries: Iterable[LogEntry]) -> bool:
        revision = self._rows.board.revision
        return any(entry.revision > revision for entry in entries)

    async def _install(self, batch: Batch, missed: Missed) -> None:
        on_outage = partial(self._reject, batch, STORE_DOWN)
        await self._loading.install(missed.delta, missed.begun, on_outage)

    def _committed(self, batch: Batch) -> bool:
        batch.phase = Phase.COMMITTED
        batch.committed_at = trio.current_time()
        if batch.repeatable:
            self._decisions.remember(c for c in batch.changes if c.command_id in batch.repeatable)
        self._handle.note_changes(batch.changes)
        self._handle.observe(Tracepoint.COMMITTED)
        return True

    # -- what did not take effect -----------------------------------------------------------

    def _reject(self, batch: Batch, rejection: Rejection) -> None:
        """Reject a batch that did not take effect.

        Commands that were rejected get the same, since their rejection may rest on a change
        of the batch. Repeats of what was accepted before it get their OK, unless others may have
        changed the row since, and marks are carried out.
        """
        for step in batch.steps:
            outcome = step.outcome
            if isinstance(step.work, MarkUpdate):
                self._subscriptions.update_mark(step.work)
            elif (
                isinstance(outcome, Repeat)
                and outcome.revision <= batch.expected_revision
                and self._handle.is_fresh(batch.asked_at)
            ):
                self._fan_out.reply_to_repeat(step, outcome)
            elif not step.work.replied:
                step.work.reply(rejection)

    def _handle_refused_commit(self, batch: Batch, refused: CommitRefused) -> None:
        handle = self._handle
        log.error(
            "room %s: the store refused a commit: %s",
            handle.slug,
            refused,
            extra={"room": handle.slug},
        )
        if refused.data_error:
            self._divide(batch, INTERNAL)
        else:
            self._reject(batch, STORE_DOWN)

    def _divide(self, batch: Batch, rejection: Rejection, *, until: float = inf) -> None:
        """Let each command of a batch be committed apart; reject one that is alone already.

        :param until: Trio time from which on the rest gets ROOM_BUSY.
        """
        handle = self._handle
        if len(batch.steps) > 1:
            handle.apart = {step.work for step in batch.steps}
            handle.apart_until = until
            handle.mailbox.put_back(step.work for step in batch.steps)
        else:
            self._reject(batch, rejection)

    async def _resolve_outcome(self, batch: Batch) -> bool:
        """Resolve an unknown outcome while joins and leaves go on; whether it took effect."""
        handle = self._handle
        handle.unknown_outcomes += 1
        handle.resolving = True
        log.warning(
            "room %s: the outcome of a commit is unknown", handle.slug, extra={"room": handle.slug}
        )
        resolution = await self._loading.while_serving(partial(self._commits.resolve, batch))
        handle.resolving = False
        missed = resolution.missed
        if resolution.committed:
            ours = batch.expected_revision + len(batch.changes)
            if missed is not None and missed.delta.version.revision != ours:
                handle.outdated = True
            return True
        batch.phase = Phase.DECIDING
        batch.attempts += 1
        if missed is not None:
            await self._install(batch, missed)
        elif resolution.fence is not None:
            self._rows.apply(resolution.fence)
            await self._fan_out.catch_up()  # nobody lacks anything, at its revision
        if batch.attempts > self._handle.config.commit_retries:
            self._reject(batch, STORE_DOWN)
        return False

    @property
    def _rows(self) -> EncodedRows:
        assert self._handle.rows is not None
        return self._handle.rows
