"""The locations of recoverable sessions in PostgreSQL."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import trio

from gbs_actor.store.postgres.connection import DbConnection, Row
from gbs_actor.store.postgres.database import Database
from gbs_actor.store.protocol import SessionLocation, SessionRecord

UPDATE = "SELECT session_location_update($1, $2, $3, $4, $5, $6) AS session"
"""Arguments from :func:`update_arguments`."""

# The commit need not be waited for: whatever is written later, and durably, is behind it.
TAKE_OVER = """
WITH setting AS MATERIALIZED (
    SELECT set_config('synchronous_commit', 'off', true)
)
INSERT INTO session_place AS place (session, generation) SELECT $1, 1 FROM setting
    ON CONFLICT (session) DO UPDATE SET
        generation = place.generation + 1, noted_at = excluded.noted_at
    RETURNING generation, slug, epoch, joined, doubtful
"""

_FIND = "SELECT generation, slug, epoch, joined, doubtful FROM session_place WHERE session = $1"

_TAKEN_OVER = """
SELECT known.session
    FROM unnest($1::bytea[], $2::bigint[]) AS known (session, generation)
    JOIN session_place AS place ON place.session = known.session
    WHERE place.generation > known.generation
"""

_PRUNE = """
WITH pruned AS (
    DELETE FROM session_place WHERE noted_at < now() - make_interval(secs => $1) RETURNING 1
)
SELECT count(*) AS pruned FROM pruned
"""


class SessionLocationTable:
    """Implements what :class:`~gbs_actor.store.protocol.Store` has for session locations.

    :param timeout: seconds for each of its transactions.
    """

    def __init__(self, database: Database, *, timeout: float) -> None:
        self._database = database
        self._timeout = timeout

    async def update(self, records: Mapping[str, SessionRecord]) -> set[str]:
        """See :class:`~gbs_actor.store.protocol.Store`. One transaction."""
        refused = await self._write(UPDATE, *update_arguments(records))
        return _named(records, refused)

    async def find(self, sid: str) -> SessionRecord:
        """See :class:`~gbs_actor.store.protocol.Store`."""
        rows = await self._database.fetch(_FIND, session_key(sid))
        return _record(rows[0]) if rows else SessionRecord(None)

    async def take_over(self, sid: str) -> SessionRecord:
        """See :class:`~gbs_actor.store.protocol.Store`."""
        (row,) = await self._write(TAKE_OVER, session_key(sid))
        return _record(row)

    async def taken_over(self, generations: Mapping[str, int]) -> set[str]:
        """See :class:`~gbs_actor.store.protocol.Store`."""
        keys = [session_key(sid) for sid in generations]
        rows = await self._database.fetch(_TAKEN_OVER, keys, list(generations.values()))
        return _named(generations, rows)

    async def prune(self, age: float) -> int:
        """See :class:`~gbs_actor.store.protocol.Store`."""
        (row,) = await self._write(_PRUNE, age)
        return int(row["pruned"])

    async def _write(self, sql: str, *arguments: object) -> Sequence[Row]:
        async def change(connection: DbConnection) -> Sequence[Row]:
            deadline = trio.current_time() + self._timeout
            return await connection.fetch(sql, *arguments, deadline=deadline)

        return await self._database.write(change)


def session_key(sid: str) -> bytes:
    """Return the hash of a session's id that the database stores."""
    return hashlib.sha256(sid.encode()).digest()


def update_arguments(records: Mapping[str, SessionRecord]) -> tuple[object, ...]:
    """Return the arguments of :data:`UPDATE`: an array for each column."""
    # Always in the same order: two that update the same rows must not deadlock.
    keyed = sorted(
        ((session_key(sid), record) for sid, record in records.items()), key=lambda pair: pair[0]
    )
    found = [record.location for _, record in keyed]
    return (
        [key for key, _ in keyed],
        [record.generation for _, record in keyed],
        [None if location is None else location.slug for location in found],
        [None if location is None else location.epoch for location in found],
        [None if location is None else location.joined_revision for location in found],
        [None if location is None else location.known_elsewhere for location in found],
    )


def _record(row: Row) -> SessionRecord:
    location = None
    if row["slug"] is not None:
        location = SessionLocation(row["slug"], row["epoch"], row["joined"], row["doubtful"])
    return SessionRecord(location, row["generation"])


def _named(sids: Mapping[str, object], rows: Sequence[Row]) -> set[str]:
    """Return those of the sessions whose keys are in the rows; mostly there are none."""
    keys = {row["session"] for row in rows}
    return {sid for sid in sids if session_key(sid) in keys} if keys else set()
