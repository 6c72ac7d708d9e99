"""A room's batch in one transaction and one round trip, and what its errors mean."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import count
from uuid import UUID

import trio

from gbs_actor.store.limits import fault_in
from gbs_actor.store.postgres import queries
from gbs_actor.store.postgres.commit_statements import (
    COMMIT,
    PREVENTED,
    commit_arguments,
    commit_of_one_change,
)
from gbs_actor.store.postgres.connection import (
    ConnectionLost,
    DbConnection,
    Row,
    ServerRefused,
)
from gbs_actor.store.postgres.database import Database, refused
from gbs_actor.store.postgres.deltas import DELTA, Deltas, missing
from gbs_actor.store.postgres.outside import LOCK_NOT_AVAILABLE, Outside
from gbs_actor.store.protocol import (
    Attempt,
    CommitRefused,
    Delta,
    LockLost,
    OutcomeUnknown,
    RepeatedCommands,
    RowsLocked,
    StoreUnavailable,
)
from gbs_actor.store.writes import Writes, check_revisions, collapse

_CONTRADICTED = "GB001"
_REPEATED = "GB002"
_CHANGED_OUTSIDE = "GB004"
_COMMAND_ID = "lineup_change_command"
_ONE_LIVE_MEMO = "one_live_lineup_memo"
_TRY_AGAIN = frozenset({"40001", "40P01"})
"""serialization_failure and deadlock_detected: a retry may succeed."""
_ATTEMPTS = 4
_MANY = 256
"""Registrations of a batch whose arguments cost a step of the event loop of their own."""

_Fetch = Callable[[str, int, list[UUID]], Awaitable[Sequence[Row]]]


class Commits:
    """Commits batches, and counts the outcomes.

    :param timeout: seconds until a commit without a reply counts as unknown.
    """

    def __init__(
        self, database: Database, deltas: Deltas, outside: Outside, *, timeout: float
    ) -> None:
        self._database = database
        self._deltas = deltas
        self._outside = outside
        self._timeout = timeout
        self.succeeded = 0
        self.failed = 0
        """For any reason, unknown outcomes included."""
        self.unknown = 0

    async def run(self, attempt: Attempt) -> Delta | None:
        """Commit a batch; see :meth:`Store.commit() <gbs_actor.store.protocol.Store.commit>`.

        It ends within the timeout. Cancellation ends it at once, together with its connection;
        the commit may nevertheless take effect.
        """
        check_revisions(attempt.expected_revision, attempt.changes)
        deadline = trio.current_time() + self._timeout
        with self._counting_failures():
            delta = await self._run(attempt, _writes(attempt), deadline)
        if delta is None:
            self.succeeded += 1
        else:
            self.failed += 1
        return delta

    async def run_locked(self, connection: DbConnection, attempt: Attempt) -> None:
        """Commit a batch as the end of a transaction that has locked the retreat.

        See :meth:`~gbs_actor.store.protocol.LockedRetreat.commit`.

        :param attempt: based on what the retreat is, as read in this transaction.
        """
        check_revisions(attempt.expected_revision, attempt.changes)
        deadline = trio.current_time() + self._timeout
        with self._counting_failures():
            await self._write_locked(connection, attempt, _writes(attempt), deadline)
            try:
                await connection.execute("COMMIT", deadline=deadline)
            except ServerRefused as error:
                raise refused(error) from None
            except ConnectionLost as error:
                raise self._lost(error) from None
            except trio.Cancelled:
                self.unknown += connection.closed
                raise
        self.succeeded += 1

    @contextmanager
    def _counting_failures(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self.failed += 1
            raise

    async def _run(self, attempt: Attempt, writes: Writes, deadline: float) -> Delta | None:
        """Send a batch; again if it certainly had no effect and may have one then."""
        for retry in count(1):
            await self._database.wait_for_lease(deadline)
            try:
                async with self._database.connection(deadline) as connection:
                    try:
                        return await self._send(connection, attempt, writes, deadline)
                    except trio.Cancelled:
                        self.unknown += connection.closed
                        raise
            except ServerRefused as error:
                if error.sqlstate in _TRY_AGAIN and retry < _ATTEMPTS:
                    continue
                if error.sqlstate == _CHANGED_OUTSIDE:
                    return await self._absorb(attempt, writes)
                if _contradicts(error):
                    return await self._deltas.after_contradiction(attempt.retreat_id)
                raise await _meaning(error, attempt, self._database.fetch) from None
            except ConnectionLost as error:
                if error.sent or retry == _ATTEMPTS:
                    raise self._lost(error) from None
        raise AssertionError("count ends")  # pragma: no cover

    async def _absorb(self, attempt: Attempt, writes: Writes) -> Delta:
        """Absorb what a commit rests on; return what the retreat then has beyond its revision.

        :raises RowsLocked: nothing could be absorbed.
        """
        expected = attempt.expected_revision
        delta = await self._deltas.absorb(
            attempt.retreat_id, attempt.epoch, expected, _registration_ids(writes)
        )
        if delta.complete and delta.version.revision == expected:
            raise RowsLocked("another program has changed rows of a commit, and they are held")
        return delta

    async def _send(
        self, connection: DbConnection, attempt: Attempt, writes: Writes, deadline: float
    ) -> Delta | None:
        retreat_id, public = attempt.retreat_id, attempt.epoch
        epoch = self._deltas.stored_epoch(retreat_id, public, connection)
        if epoch is None:
            delta = await self._read(connection, attempt, deadline)
            if delta is None:
                return Delta(missing(retreat_id), complete=False)
            epoch = self._deltas.stored_epoch(retreat_id, public, connection)
            if epoch is None:
                return delta
        one = commit_of_one_change(attempt, epoch, writes)
        if one is not None and await self._take_effect(connection, *one, deadline):
            return None
        arguments = commit_arguments(attempt, epoch, writes)
        if len(writes.registrations) > _MANY:
            await trio.lowlevel.checkpoint()  # the driver encodes all of it in one step
        rows = await connection.fetch(COMMIT, *arguments, deadline=deadline)
        if not rows:
            return None
        delta = self._deltas.decode(rows, retreat_id, connection)
        return delta or Delta(missing(retreat_id), complete=False)

    @staticmethod
    async def _take_effect(
        connection: DbConnection, sql: str, arguments: tuple[object, ...], deadline: float
    ) -> bool:
        """Run the statement of one change; return whether it took effect as it is."""
        try:
            return bool(await connection.fetch(sql, *arguments, deadline=deadline))
        except ServerRefused as error:
            if not error.sqlstate.startswith(PREVENTED):
                raise
            return False

    async def _read(
        self, connection: DbConnection, attempt: Attempt, deadline: float
    ) -> Delta | None:
        """Read what a commit would return that finds another epoch."""
        key, epoch, revision = attempt.retreat_id, attempt.epoch, attempt.expected_revision
        try:
            return await self._deltas.fetch(
                connection, DELTA, key, epoch, revision, deadline=deadline
            )
        except ConnectionLost as error:
            raise ConnectionLost(str(error), sent=False) from None  # nothing of the commit

    async def _write_locked(
        self, connection: DbConnection, attempt: Attempt, writes: Writes, deadline: float
    ) -> None:
        """Write a batch in the transaction; after an error it has been rolled back."""
        epoch = self._deltas.stored_epoch(attempt.retreat_id, attempt.epoch, connection)

        async def fetch(sql: str, retreat_id: int, ids: list[UUID]) -> Sequence[Row]:
            return await connection.fetch(sql, retreat_id, ids, deadline=deadline)

        try:
            try:
                await connection.fetch(
                    COMMIT, *commit_arguments(attempt, epoch, writes), deadline=deadline
                )
            except ServerRefused as error:
                await roll_back(connection)
                if error.sqlstate == _CHANGED_OUTSIDE or _contradicts(error):
                    # Not in the transaction: the caller has its delta already.
                    ids = _registration_ids(writes)
                    absorbed = await self._outside.absorb_first(
                        attempt.retreat_id, ids, connection, deadline
                    )
                    if absorbed or error.sqlstate == _CHANGED_OUTSIDE:
                        raise RowsLocked(f"another program had rows of a commit: {error}") from None
                    raise CommitRefused(str(error)) from None
                raise await _meaning(error, attempt, fetch) from None
        except (ConnectionLost, ServerRefused) as error:
            raise LockLost(f"the lock of the retreat is lost: {error}") from None

    def _lost(self, error: ConnectionLost) -> OutcomeUnknown | StoreUnavailable:
        """Return the exception for a connection that was lost in a commit."""
        if not error.sent:
            return StoreUnavailable(f"the database cannot be reached: {error}")
        self.unknown += 1
        return OutcomeUnknown(f"the answer to a commit was lost: {error}")


async def roll_back(connection: DbConnection) -> None:
    """End a transaction without effect, within a second; otherwise by ending its connection."""
    with suppress(ServerRefused, ConnectionLost):
        await connection.execute("ROLLBACK", deadline=trio.current_time() + 1.0)


def _writes(attempt: Attempt) -> Writes:
    """Return the writes of an attempt.

    :raises CommitRefused: no database can store them.
    """
    writes = collapse(attempt.changes)
    if fault := fault_in(attempt.changes, writes):
        raise CommitRefused(fault, data_error=True)
    return writes


def _registration_ids(writes: Writes) -> set[int]:
    return {registration.id for registration in writes.registrations}


def _contradicts(error: ServerRefused) -> bool:
    """Return whether rows are not as the changes take them to be."""
    return error.sqlstate == _CONTRADICTED or error.constraint == _ONE_LIVE_MEMO


async def _meaning(
    error: ServerRefused, attempt: Attempt, fetch: _Fetch
) -> RowsLocked | RepeatedCommands | CommitRefused:
    """Return the exception for a server's error.

    :param fetch: looks up commands in the log.
    """
    ids: Collection[UUID]
    if error.sqlstate == LOCK_NOT_AVAILABLE:
        return RowsLocked(f"another program holds rows of a commit: {error}")
    if error.sqlstate == _REPEATED:
        ids = attempt.repeatable
    elif error.constraint == _COMMAND_ID:
        ids = [change.command_id for change in attempt.changes]
    else:
        return refused(error)
    rows = await fetch(queries.COMMANDS, attempt.retreat_id, list(ids))
    entries = [queries.log_entry(row) for row in rows]
    if not entries and error.sqlstate != _REPEATED:
        return refused(error)
    return RepeatedCommands({entry.command_id: entry for entry in entries})
