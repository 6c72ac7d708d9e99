"""A room's batch in one transaction and one round trip, and what its errors mean."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import count
from uuid import UUID

import trio

from gbs_actor.lineup.changes import Change
from gbs_actor.store.postgres import queries
from gbs_actor.store.postgres.commit_statements import (
    COMMIT,
    PREVENTED,
    commit_arguments,
    commit_of_one_change,
)
from gbs_actor.store.postgres.connection import ConnectionLost, ServerRefused
from gbs_actor.store.postgres.database import Database, refused
from gbs_actor.store.protocol import (
    CommitRefused,
    OutcomeUnknown,
    RepeatedCommands,
    StoreError,
    StoreUnavailable,
)
from gbs_actor.store.writes import Writes

_STALE = "GB001"
_REPEATED = "GB002"
_COMMAND_ID = "lineup_change_command"
_ONE_LIVE_MEMO = "one_live_lineup_memo"
_TRY_AGAIN = frozenset({"40001", "40P01"})
"""serialization_failure and deadlock_detected: a retry may succeed."""
_ATTEMPTS = 4
_MANY = 256
"""Registrations of a batch whose arguments cost a step of the event loop of their own."""


class StaleRevision(StoreError):
    """The retreat is no longer at the expected revision; nothing took effect."""


class Commits:
    """Commits batches, and counts the outcomes.

    :param timeout: seconds until a commit without a reply counts as unknown.
    """

    def __init__(self, database: Database, *, timeout: float) -> None:
        self._database = database
        self._timeout = timeout
        self.succeeded = 0
        self.failed = 0
        """For any reason, unknown outcomes included."""
        self.unknown = 0

    async def run(
        self,
        retreat_id: int,
        expected_revision: int,
        changes: Sequence[Change],
        writes: Writes,
        repeatable: Collection[UUID],
    ) -> None:
        """Commit a batch; see :meth:`Store.commit() <gbs_actor.store.protocol.Store.commit>`.

        It ends within the timeout. Cancellation ends it at once, together with its connection;
        the commit may nevertheless take effect.
        """
        deadline = trio.current_time() + self._timeout
        one = commit_of_one_change(retreat_id, changes, writes, repeatable)
        try:
            if one is None or not await self._run_one(one, deadline):
                batch = commit_arguments(retreat_id, expected_revision, repeatable, changes, writes)
                if len(writes.registrations) > _MANY:
                    await trio.lowlevel.checkpoint()  # the driver encodes all of it in one step
                await self._run(COMMIT, batch, deadline)
        except BaseException as error:
            self.failed += 1
            if isinstance(error, ServerRefused):
                raise await self._meaning(error, retreat_id, changes, repeatable) from None
            raise
        self.succeeded += 1

    async def _run_one(self, one: tuple[str, tuple[object, ...]], deadline: float) -> bool:
        """Run the statement of one change; return whether it took effect as it is."""
        try:
            await self._run(*one, deadline)
        except ServerRefused as error:
            if not error.sqlstate.startswith(PREVENTED):
                raise
            return False
        return True

    async def _run(self, sql: str, arguments: tuple[object, ...], deadline: float) -> None:
        """Run a statement; retry if it certainly had no effect."""
        for attempt in count(1):
            await self._database.wait_for_lease(deadline)
            try:
                async with self._database.connection(deadline) as connection:
                    try:
                        await connection.fetch(sql, *arguments, deadline=deadline)
                    except trio.Cancelled:
                        self.unknown += connection.closed
                        raise
            except ServerRefused as error:
                if error.sqlstate not in _TRY_AGAIN or attempt == _ATTEMPTS:
                    raise
            except ConnectionLost as error:
                if error.sent:
                    self.unknown += 1
                    raise OutcomeUnknown(f"the answer to a commit was lost: {error}") from None
                if attempt == _ATTEMPTS:
                    raise StoreUnavailable(f"the database cannot be reached: {error}") from None
            else:
                return

    async def _meaning(
        self,
        error: ServerRefused,
        retreat_id: int,
        changes: Sequence[Change],
        repeatable: Collection[UUID],
    ) -> StaleRevision | RepeatedCommands | CommitRefused:
        """Return the exception for a server's error."""
        if error.sqlstate == _STALE or error.constraint == _ONE_LIVE_MEMO:
            return StaleRevision(str(error))
        if error.sqlstate == _REPEATED:
            ids = repeatable
        elif error.constraint == _COMMAND_ID:
            ids = [change.command_id for change in changes]
        else:
            return refused(error)
        rows = await self._database.fetch(queries.COMMANDS, retreat_id, list(ids))
        entries = [queries.log_entry(row) for row in rows]
        if not entries and error.sqlstate != _REPEATED:
            return refused(error)
        return RepeatedCommands({entry.command_id: entry for entry in entries})
