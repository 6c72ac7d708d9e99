"""Commits, and how an unknown outcome of one is resolved."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from math import inf
from uuid import UUID

import trio

from gbs_actor.lineup.board import Board
from gbs_actor.lineup.changes import Change, fence
from gbs_actor.rooms.batch import Batch, Phase
from gbs_actor.rooms.delivery import STORE_DOWN, UNKNOWN_OUTCOME
from gbs_actor.rooms.handle import RoomHandle
from gbs_actor.rooms.statistics import RoomState
from gbs_actor.rooms.tracepoints import Tracepoint
from gbs_actor.store.protocol import (
    Attempt,
    Delta,
    OutcomeUnknown,
    RepeatedCommands,
    Store,
    StoreError,
)

log = logging.getLogger(__name__)


Commit = Callable[[Attempt], Awaitable[Delta | None]]
"""Commits an attempt, as :meth:`Store.commit` or :meth:`LockedRetreat.commit` do."""


@dataclass(frozen=True, slots=True)
class Missed:
    """What a retreat had beyond the revision of a commit, which therefore took no effect."""

    delta: Delta
    begun: int
    """The number of the commit among what is read; see :class:`Freshness`."""


@dataclass(frozen=True, slots=True)
class Resolution:
    """What an unknown outcome turned out to be."""

    committed: bool
    fence: Change | None = None
    """The fence that made sure it did not take effect, where this was needed."""
    missed: Missed | None = None
    """What had taken the fence's revision otherwise: the batch itself, or another writer."""


class Commits:
    """Commits batches, and resolves unknown outcomes.

    :param handle: the room; its rows must be loaded.
    """

    def __init__(self, handle: RoomHandle, store: Store) -> None:
        self._handle = handle
        self._store = store

    async def commit(self, batch: Batch, commit: Commit | None = None) -> Missed | None:
        """Commit the changes of a batch.

        :param commit: does it; by default the store.
        :returns: ``None``: they are durable.
        :raises StoreError: each kind of it; see :meth:`Store.commit`.
        """
        handle = self._handle
        attempt = self._attempt(batch.expected_revision, batch.changes, batch.repeatable)
        batch.attempt_id = attempt.id
        batch.phase = Phase.COMMITTING
        started = trio.current_time()
        if batch.attempts == 0:
            batch.committing_since = started
        handle.observe(Tracepoint.COMMITTING)
        begun = handle.freshness.begin()
        until = self._reply_deadline(batch)
        delta = await self._send(attempt, commit or self._store.commit, until)
        if delta is not None:
            batch.phase = Phase.DECIDING
            return Missed(delta, begun)
        handle.confirmed_at = begun
        replied = handle.progressed_at = trio.current_time()
        handle.commit_times.add(replied - started, replied)
        handle.times.commit.add(replied - started, replied)
        handle.observe(Tracepoint.STORE_REPLIED)
        return None

    async def look_up(self, batch: Batch) -> None:
        """Look up the ids of a batch without changes.

        :raises RepeatedCommands: there are entries for some of them.
        :raises StoreUnavailable: the log cannot be read.
        """
        if batch.repeatable:
            retreat_id = self._board.retreat_id
            entries = await self._store.find_commands(retreat_id, batch.repeatable)
            if entries:
                raise RepeatedCommands(entries)

    async def resolve(self, batch: Batch) -> Resolution:
        """Find out what became of a batch, however long it takes.

        Its commands get OUTCOME_UNKNOWN after ``commit_resolve_timeout``. Cancellation
        leaves the outcome unknown.
        """
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._reject_at_deadline, batch)
            resolution = await self._resolve_behind_fence(batch)
            nursery.cancel_scope.cancel()
        if resolution.fence is not None:
            self._handle.note_changes((resolution.fence,))
        return resolution

    @property
    def _board(self) -> Board:
        assert self._handle.rows is not None
        return self._handle.rows.board

    def _reply_deadline(self, batch: Batch) -> float:
        """Return the Trio time until which a batch's commands wait for their outcome."""
        return batch.committing_since + self._handle.config.commit_resolve_timeout

    async def _reject_at_deadline(self, batch: Batch) -> None:
        await trio.sleep_until(self._reply_deadline(batch))
        batch.reject_pending(UNKNOWN_OUTCOME)
        self._handle.mailbox.wake()

    def _attempt(
        self,
        expected_revision: int,
        changes: tuple[Change, ...],
        repeatable: frozenset[UUID] = frozenset(),
    ) -> Attempt:
        board = self._board
        return Attempt(
            self._handle.environment.uuid(),
            board.retreat_id,
            board.epoch,
            expected_revision,
            changes,
            repeatable,
        )

    async def _send(self, attempt: Attempt, commit: Commit, until: float = inf) -> Delta | None:
        # The store's own watchdog ends the wait first; this is the last resort.
        until = min(until, trio.current_time() + self._handle.config.commit_timeout + 1.0)
        with trio.CancelScope(deadline=until, shield=True):
            return await commit(attempt)
        raise OutcomeUnknown("the store did not reply in time")

    async def _resolve_behind_fence(self, batch: Batch) -> Resolution:
        """Commit a fence instead of the batch, then look the batch's attempt up in the log.

        A commit that is late, too, expects the revision that the batch expected. Once
        the retreat has another one, by the fence or because the batch took effect, what
        the log has of the attempt is final. Entries of its commands may be of other attempts.
        """
        handle, environment = self._handle, self._handle.environment
        assert batch.attempt_id is not None
        delays = handle.store_backoff.delays()
        fenced: Change | None = None
        missed: Missed | None = None
        passed = False
        while True:
            handle.observe(Tracepoint.RESOLVING)
            try:
                if not passed:
                    revision = batch.expected_revision
                    change = fence(revision + 1, environment.uuid(), environment.now())
                    begun = handle.freshness.begin()
                    attempt = self._attempt(revision, (change,))
                    delta = await self._send(attempt, self._store.commit)
                    if delta is None:
                        fenced = change
                    else:
                        missed = Missed(delta, begun)
                    passed = True
                retreat_id = self._board.retreat_id
                committed = await self._store.committed(retreat_id, batch.attempt_id)
            except StoreError as error:
                log.warning(
                    "room %s: the outcome is still unknown: %s",
                    handle.slug,
                    error,
                    extra={"room": handle.slug},
                )
                handle.store_down = handle.outdated = True
                if handle.state is RoomState.RUNNING:
                    handle.mailbox.wake()  # so that those who serve meanwhile reject commands
                else:
                    handle.reject_queued(STORE_DOWN, joins=STORE_DOWN)
                await trio.sleep(next(delays))
            else:
                handle.store_down = False
                return Resolution(committed, fenced, missed)
