"""Retreats that one server keeps to itself for the time of a commit."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from gbs_actor.store.postgres.commit import Commits, roll_back
from gbs_actor.store.postgres.connection import ConnectionLost, DbConnection, ServerRefused
from gbs_actor.store.postgres.database import Database
from gbs_actor.store.postgres.deltas import LOCK, Deltas
from gbs_actor.store.postgres.outside import LOCK_NOT_AVAILABLE
from gbs_actor.store.protocol import (
    Attempt,
    Delta,
    LockedRetreat,
    LockLost,
    RetreatVersion,
    RowsLocked,
    StoreUnavailable,
)


class Locks:
    """Locks retreats, each by a transaction on a connection of its own.

    If nothing is sent for :data:`~gbs_actor.store.protocol.LOCK_TIMEOUT`, the server ends it.

    :param most: how many retreats may be locked at once; others wait.
    :param timeout: seconds to wait for a lock, and for a commit.
    """

    def __init__(
        self,
        database: Database,
        deltas: Deltas,
        commits: Commits,
        *,
        most: int,
        timeout: float,
    ) -> None:
        self._database = database
        self._deltas = deltas
        self._commits = commits
        self._timeout = timeout
        self._slots = trio.Semaphore(most)

    @asynccontextmanager
    async def hold(
        self, retreat_id: int, epoch: str, revision: int
    ) -> AsyncIterator[LockedRetreat]:
        """See :meth:`Store.locked() <gbs_actor.store.protocol.Store.locked>`.

        However the block ends, no lock is left behind: the pool ends a connection that is in a
        transaction.
        """
        deadline = trio.current_time() + self._timeout
        await self._database.wait_for_lease(deadline)
        async with self._slot(deadline), self._database.connection(deadline) as connection:
            try:
                await connection.execute("BEGIN", deadline=deadline)
                delta = await self._deltas.fetch(
                    connection, LOCK, retreat_id, epoch, revision, deadline=deadline
                )
            except (ServerRefused, ConnectionLost) as error:
                if isinstance(error, ServerRefused) and error.sqlstate == LOCK_NOT_AVAILABLE:
                    message = f"another program holds the row of retreat {retreat_id}"
                    raise RowsLocked(message) from None
                raise StoreUnavailable(f"the retreat cannot be locked: {error}") from None
            if delta is None:
                raise StoreUnavailable(f"there is no retreat {retreat_id}")
            yield _LockedRetreat(connection, self._commits, delta, epoch, revision)
            if connection.in_transaction:
                await roll_back(connection)

    @asynccontextmanager
    async def _slot(self, deadline: float) -> AsyncIterator[None]:
        with trio.CancelScope(deadline=deadline) as scope:
            await self._slots.acquire()
        if scope.cancelled_caught:
            raise StoreUnavailable("too many retreats are locked at once")
        try:
            yield
        finally:
            self._slots.release()


class _LockedRetreat:
    """Implements :class:`~gbs_actor.store.protocol.LockedRetreat`."""

    def __init__(
        self,
        connection: DbConnection,
        commits: Commits,
        delta: Delta,
        epoch: str,
        revision: int,
    ) -> None:
        self._connection = connection
        self._commits = commits
        self._version: RetreatVersion = delta.version
        is_at = (delta.version.epoch, delta.version.revision) == (epoch, revision)
        self.delta = None if is_at else delta

    async def commit(self, attempt: Attempt) -> None:
        """See :class:`~gbs_actor.store.protocol.LockedRetreat`."""
        version = self._version
        if (version.id, version.epoch, version.revision) != (
            attempt.retreat_id,
            attempt.epoch,
            attempt.expected_revision,
        ):
            raise ValueError(f"the retreat is at revision {version.revision}")
        if not self._connection.in_transaction:
            raise LockLost("the lock of the retreat is lost")
        await self._commits.run_locked(self._connection, attempt)
