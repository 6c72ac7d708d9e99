"""A room's batch in one transaction and one round trip, and what its errors mean."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import count
from typing import Final
from uuid import UUID

import msgspec
import trio

from gbs_actor.lineup.changes import Change, FieldValue
from gbs_actor.lineup.records import Registration
from gbs_actor.store.postgres import queries
from gbs_actor.store.postgres.connection import ConnectionLost, ServerRefused
from gbs_actor.store.postgres.database import Database, refused
from gbs_actor.store.protocol import (
    CommitRefused,
    OutcomeUnknown,
    RepeatedCommands,
    StaleRevision,
    StoreUnavailable,
)
from gbs_actor.store.writes import MemoWrite, Writes

COMMIT: Final = "SELECT lineup_commit($1, $2, $3, $4, $5, $6, $7)"
"""Arguments from :func:`commit_arguments`. To be prepared: that reads its types."""

_STALE = "GB001"
_REPEATED = "GB002"
_COMMAND_ID = "lineup_change_command"
_ONE_LIVE_MEMO = "one_live_lineup_memo"
_TRY_AGAIN = frozenset({"40001", "40P01"})
"""serialization_failure and deadlock_detected: a retry may succeed."""
_ATTEMPTS = 4


def commit_arguments(
    retreat_id: int,
    expected_revision: int,
    repeatable: Collection[UUID],
    changes: Sequence[Change],
    writes: Writes,
) -> tuple[object, ...]:
    """Return the arguments of :data:`COMMIT`: an array of rows for each table.

    The members of a row are in the order of the attributes of its type, see the migrations.
    """
    return (
        retreat_id,
        expected_revision,
        list(repeatable),
        [(group.number, group.memo, group.revision) for group in writes.groups],
        [_registration_write(registration) for registration in writes.registrations],
        [_memo_write(memo) for memo in writes.memos],
        [_log_write(change) for change in changes],
    )


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
        arguments = commit_arguments(retreat_id, expected_revision, repeatable, changes, writes)
        try:
            await self._run(arguments)
        except BaseException as error:
            self.failed += 1
            if isinstance(error, ServerRefused):
                raise await self._meaning(error, retreat_id, changes, repeatable) from None
            raise
        self.succeeded += 1

    async def _run(self, arguments: tuple[object, ...]) -> None:
        """Run the statement; retry if it certainly had no effect."""
        deadline = trio.current_time() + self._timeout
        for attempt in count(1):
            await self._database.wait_for_lease(deadline)
            try:
                async with self._database.connection(deadline) as connection:
                    try:
                        await connection.fetch(COMMIT, *arguments, deadline=deadline)
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


def _registration_write(registration: Registration) -> tuple[object, ...]:
    number, memo = registration.number_stamp, registration.memo_stamp
    return (
        registration.id,
        registration.gbs_number,
        number.revision,
        number.author_id,
        number.author_name,
        number.at,
        memo.revision,
        memo.author_id,
        memo.author_name,
        memo.at,
        registration.row_revision,
        registration.updated_at,
    )


def _memo_write(memo: MemoWrite) -> tuple[object, ...]:
    return (
        memo.id,
        memo.registration_id,
        memo.text,
        memo.color,
        memo.created,
        memo.deleted,
        memo.author_id,
        memo.at,
    )


def _log_write(change: Change) -> tuple[object, ...]:
    author = change.author
    return (
        change.command_id,
        None if author is None else author.user_id,
        "" if author is None else author.name,
        change.kind.value,
        change.registration_id,
        change.request,
        _json(change.before),
        _json(change.after),
        change.at,
    )


def _json(value: FieldValue | None) -> str | None:
    return None if value is None else msgspec.json.encode(value).decode()
