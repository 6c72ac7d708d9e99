"""The nodes of a PostgreSQL database: two tables that no room ever waits for."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from uuid import UUID

import trio

from gbs_actor.store.nodes import KEPT_FOR, REQUEST_KEPT_FOR, NodeReport, NodeRequest
from gbs_actor.store.postgres.connection import DbConnection, Row
from gbs_actor.store.postgres.database import Database

_REPORT = """
WITH old_nodes AS (
    DELETE FROM lineup_node
        WHERE name <> $1 AND reported_at < clock_timestamp() - make_interval(secs => $5)
), old_requests AS (
    DELETE FROM lineup_node_action
        WHERE deadline < clock_timestamp() - make_interval(secs => $6)
)
INSERT INTO lineup_node AS node (name, run_id, reported_at, status, rooms)
    VALUES ($1, $2::uuid, clock_timestamp(), $3::bytea, coalesce($4::bytea, ''))
    ON CONFLICT (name) DO UPDATE SET
        run_id = excluded.run_id,
        reported_at = excluded.reported_at,
        status = excluded.status,
        rooms = CASE WHEN $4 IS NULL THEN node.rooms ELSE excluded.rooms END
"""
_REMOVE = "DELETE FROM lineup_node WHERE run_id = $1"
_REPORTS = """
SELECT name, run_id, status,
       greatest(0, extract(epoch FROM clock_timestamp() - reported_at))::float8 AS age
    FROM lineup_node ORDER BY name
"""
_ROOMS = "SELECT run_id, rooms FROM lineup_node WHERE run_id = ANY($1::uuid[])"
_ASK = """
INSERT INTO lineup_node_action (id, run_id, request, asked_at, deadline)
    SELECT $1, $2, $3, at, at + make_interval(secs => $4) FROM clock_timestamp() AS at
"""
_TAKE = """
UPDATE lineup_node_action SET taken_at = clock_timestamp()
    WHERE id IN (
        SELECT id FROM lineup_node_action
            WHERE run_id = $1 AND taken_at IS NULL AND deadline > clock_timestamp()
            ORDER BY asked_at LIMIT $2 FOR UPDATE SKIP LOCKED
    )
    RETURNING id, request, asked_at,
              extract(epoch FROM deadline - clock_timestamp())::float8 AS timeout
"""
_ANSWER = "UPDATE lineup_node_action SET answer = $2 WHERE id = $1 AND taken_at IS NOT NULL"
_TAKE_ANSWER = (
    "DELETE FROM lineup_node_action WHERE id = $1 AND answer IS NOT NULL RETURNING answer"
)
_DISCARD = "DELETE FROM lineup_node_action WHERE id = $1"
_WITHDRAW = "DELETE FROM lineup_node_action WHERE id = $1 AND taken_at IS NULL RETURNING 1"


class PostgresNodes:
    """Implements :class:`~gbs_actor.store.nodes.NodeDirectory`, by the database's clock.

    :param timeout: seconds that a statement may take.
    """

    def __init__(self, database: Database, timeout: float) -> None:
        self._database = database
        self._timeout = timeout

    async def report(self, name: str, run_id: UUID, status: bytes, rooms: bytes | None) -> None:
        """See :class:`~gbs_actor.store.nodes.NodeDirectory`."""
        ages = (KEPT_FOR, REQUEST_KEPT_FOR)
        await self._write(_REPORT, name, run_id, status, rooms, *ages)

    async def remove(self, run_id: UUID) -> None:
        """See :class:`~gbs_actor.store.nodes.NodeDirectory`."""
        await self._write(_REMOVE, run_id)

    async def reports(self) -> list[NodeReport]:
        """See :class:`~gbs_actor.store.nodes.NodeDirectory`."""
        return [
            NodeReport(row["name"], row["run_id"], row["age"], row["status"])
            for row in await self._database.fetch(_REPORTS)
        ]

    async def rooms(self, run_ids: Collection[UUID]) -> dict[UUID, bytes]:
        """See :class:`~gbs_actor.store.nodes.NodeDirectory`."""
        rows = await self._database.fetch(_ROOMS, list(run_ids))
        return {row["run_id"]: row["rooms"] for row in rows}

    async def ask(self, request_id: UUID, run_id: UUID, request: bytes, time_limit: float) -> None:
        """See :class:`~gbs_actor.store.nodes.NodeDirectory`."""
        await self._write(_ASK, request_id, run_id, request, time_limit)

    async def take(self, run_id: UUID, limit: int) -> list[NodeRequest]:
        """See :class:`~gbs_actor.store.nodes.NodeDirectory`."""
        rows = await self._write(_TAKE, run_id, limit)
        return [
            NodeRequest(row["id"], row["request"], row["timeout"])
            for row in sorted(rows, key=lambda row: row["asked_at"])
        ]

    async def answer(self, request_id: UUID, answer: bytes) -> None:
        """See :class:`~gbs_actor.store.nodes.NodeDirectory`."""
        await self._write(_ANSWER, request_id, answer)

    async def take_answer(self, request_id: UUID) -> bytes | None:
        """See :class:`~gbs_actor.store.nodes.NodeDirectory`."""
        rows = await self._write(_TAKE_ANSWER, request_id)
        return rows[0]["answer"] if rows else None

    async def discard(self, request_id: UUID) -> None:
        """See :class:`~gbs_actor.store.nodes.NodeDirectory`."""
        await self._write(_DISCARD, request_id)

    async def withdraw(self, request_id: UUID) -> bool:
        """See :class:`~gbs_actor.store.nodes.NodeDirectory`."""
        return bool(await self._write(_WITHDRAW, request_id))

    async def _write(self, sql: str, *arguments: object) -> Sequence[Row]:
        async def change(connection: DbConnection) -> Sequence[Row]:
            deadline = trio.current_time() + self._timeout
            return await connection.fetch(sql, *arguments, deadline=deadline)

        return await self._database.write(change)
