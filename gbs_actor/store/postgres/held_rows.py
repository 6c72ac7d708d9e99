"""Which rows of a retreat the transactions of other programs hold."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from gbs_actor.store.postgres.connection import DbConnection, ServerRefused
from gbs_actor.store.postgres.database import Database
from gbs_actor.store.postgres.outside import LOCK_NOT_AVAILABLE, Outside
from gbs_actor.store.rows import RETREAT, RowKey, Table

_HELD: Final = """
WITH head AS (
    -- What other servers commit is no other program's: none of them can, meanwhile. One that has
    -- stopped with the lock in hand loses it sooner than it is waited for.
    SELECT id FROM retreat
        WHERE id = $1 AND set_config('lock_timeout', '500ms', true) IS NOT NULL
            -- Nothing of it has to last.
            AND set_config('synchronous_commit', 'off', true) IS NOT NULL
        FOR NO KEY UPDATE
), people AS (
    SELECT person.id
        FROM head JOIN user_retreat_registration AS person ON person.retreat_id = head.id
        WHERE person.id = ANY ($2)
        FOR NO KEY UPDATE OF person SKIP LOCKED
), groups AS (
    SELECT gbs.number FROM head JOIN gbs ON gbs.retreat_id = head.id
        WHERE gbs.number = ANY ($3)
        FOR NO KEY UPDATE OF gbs SKIP LOCKED
), memos AS (
    SELECT memo.id FROM head CROSS JOIN user_retreat_registration_memo AS memo
        WHERE memo.id = ANY ($4)
        FOR NO KEY UPDATE OF memo SKIP LOCKED
)
SELECT 'registration' AS origin, id FROM user_retreat_registration
    WHERE retreat_id = $1 AND id = ANY ($2) AND (
        id NOT IN (SELECT id FROM people)
        -- As nobody could absorb what has changed of it.
        OR id IN (SELECT registration_id FROM lineup_outside WHERE retreat_id = $1)
    )
UNION ALL
SELECT 'group', number FROM gbs
    WHERE retreat_id = $1 AND number = ANY ($3) AND number NOT IN (SELECT number FROM groups)
UNION ALL
SELECT 'memo', id FROM user_retreat_registration_memo
    WHERE id = ANY ($4) AND id NOT IN (SELECT id FROM memos)
"""


async def held_rows(
    database: Database, outside: Outside, retreat_id: int, rows: Collection[RowKey]
) -> frozenset[RowKey]:
    """See :meth:`Store.held_rows() <gbs_actor.store.protocol.Store.held_rows>`."""
    tables = (Table.REGISTRATION, Table.GROUP, Table.MEMO)
    wanted = [[key.id for key in rows if key.table is table] for table in tables]

    async def read(connection: DbConnection, deadline: float) -> frozenset[RowKey]:
        await outside.absorb_first(retreat_id, wanted[0], connection, deadline)
        try:
            found = await connection.fetch(_HELD, retreat_id, *wanted, deadline=deadline)
        except ServerRefused as error:
            if error.sqlstate != LOCK_NOT_AVAILABLE:
                raise
            return frozenset((RETREAT,))
        return frozenset(RowKey(Table(row["origin"]), row["id"]) for row in found)

    return await database.read(read)
