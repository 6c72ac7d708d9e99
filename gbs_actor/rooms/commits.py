"""Commits, and how an unknown outcome of one is resolved."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from math import inf
from uuid import UUID

import trio

from gbs_actor.lineup.changes import Change, fence
from gbs_actor.rooms.batch import Batch, Phase
from gbs_actor.rooms.delivery import STORE_DOWN, UNKNOWN_OUTCOME
from gbs_actor.rooms.handle import RoomHandle
from gbs_actor.rooms.statistics import RoomState
from gbs_actor.rooms.tracepoints import Tracepoint
from gbs_actor.store.protocol import (
    OutcomeUnknown,
    RepeatedCommands,
    StaleRevision,
    Store,
    StoreError,
)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Resolution:
    """What an unknown outcome turned out to be."""

    committed: bool
    fence: Change | None
    """The fence that made sure it did not take effect, where this was needed."""


class Commits:
    """Commits batches, and resolves unknown outcomes.

    :param handle: the room; its rows must be loaded.
    """

    def __init__(self, handle: RoomHandle, store: Store) -> None:
        self._handle = handle
        self._store = store

    async def commit(self, batch: Batch) -> None:
        """Commit a batch's changes; without any, only look its ids up.

        :raises StoreError: each kind of it; see :meth:`Store.commit`.
        """
        if batch.changes:
            batch.phase = Phase.COMMITTING
            started = trio.current_time()
            if batch.attempts == 0:
                batch.committing_since = started
            self._handle.observe(Tracepoint.COMMITTING)
            await self._commit(
                batch.expected_revision,
                batch.changes,
                batch.repeatable,
                until=self._reply_deadline(batch),
            )
            replied = self._handle.progressed_at = trio.current_time()
            self._handle.commit_times.add(replied - started, replied)
            self._handle.times.commit.add(replied - started, replied)
            self._handle.observe(Tracepoint.STORE_REPLIED)
        elif batch.repeatable:
            entries = await self._store.find_commands(self._retreat_id, batch.repeatable)
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
    def _retreat_id(self) -> int:
        assert self._handle.rows is not None
        return self._handle.rows.board.retreat_id

    def _reply_deadline(self, batch: Batch) -> float:
        """Return the Trio time until which a batch's commands wait for their outcome."""
        return batch.committing_since + self._handle.config.commit_resolve_timeout

    async def _reject_at_deadline(self, batch: Batch) -> None:
        await trio.sleep_until(self._reply_deadline(batch))
        batch.reject_pending(UNKNOWN_OUTCOME)
        self._handle.mailbox.wake()

    async def _commit(
        self,
        expected_revision: int,
        changes: tuple[Change, ...],
        repeatable: frozenset[UUID] = frozenset(),
        until: float = inf,
    ) -> None:
        # The store's own watchdog ends the wait first; this is the last resort.
        until = min(until, trio.current_time() + self._handle.config.commit_timeout + 1.0)
        with trio.CancelScope(deadline=until, shield=True):
            await self._store.commit(self._retreat_id, expected_revision, changes, repeatable)
            return
        raise OutcomeUnknown("the store did not reply in time")

    async def _resolve_behind_fence(self, batch: Batch) -> Resolution:
        """Commit a fence instead of the batch, then look the batch up in the log.

        A commit that is late, too, expects the revision that the batch expected. Once
        the retreat has another one, by the fence or because the batch took effect, what
        the log has of the batch is final.
        """
        handle, environment = self._handle, self._handle.environment
        ids = frozenset(change.command_id for change in batch.changes)
        delays = handle.store_backoff.delays()
        fenced: Change | None = None
        passed = False
        while True:
            handle.observe(Tracepoint.RESOLVING)
            try:
                if not passed:
                    revision = batch.expected_revision + 1
                    attempt = fence(revision, environment.uuid(), environment.now())
                    try:
                        await self._commit(batch.expected_revision, (attempt,))
                        fenced = attempt
                    except StaleRevision:
                        pass
                    passed = True
                found = await self._store.find_commands(self._retreat_id, ids)
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
                # An older entry is no sign of this batch: a repeat that the room no longer
                # remembers was accepted long before.
                committed = any(e.revision > batch.expected_revision for e in found.values())
                return Resolution(committed, fenced)
