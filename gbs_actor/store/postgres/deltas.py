"""Versions of retreats, and what they have beyond a revision."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from gbs_actor.lineup.commands import Kind
from gbs_actor.store.postgres import queries
from gbs_actor.store.postgres.connection import DbConnection, Row
from gbs_actor.store.postgres.database import Database
from gbs_actor.store.postgres.outside import Outside
from gbs_actor.store.protocol import Delta, DeltaEntry, RetreatVersion

DELTA: Final = "SELECT * FROM lineup_delta($1, $2, $3)"
"""Arguments: the retreat, the epoch as the database has it, the revision."""
LOCK: Final = "SELECT * FROM lineup_lock($1, $2, $3)"
"""The same, as of when the retreat is locked."""

_VERSIONS: Final = """
SELECT id, revision, removal_revision, epoch,
       id IN (SELECT retreat_id FROM lineup_outside)
           OR EXISTS (SELECT FROM lineup_outside_profile) AS outside
    FROM retreat
    WHERE id = ANY ($1 || ARRAY(SELECT DISTINCT retreat_id FROM lineup_outside))
"""
"""Versions, and what other programs have changed, also in retreats that no room is open for."""


@dataclass(frozen=True, slots=True)
class _Epoch:
    """The epoch of a retreat, as seen on a connection to ``cluster``."""

    stored: UUID
    cluster: str
    public: str
    """The hash of both: another one in a restored copy, or behind a failover that loses changes."""


class Deltas:
    """Reads versions and deltas, and knows which stored epochs are behind the public ones."""

    def __init__(self, database: Database, outside: Outside) -> None:
        self._database = database
        self._outside = outside
        self._epochs: dict[int, _Epoch] = {}
        """The last one of each retreat that was read."""

    def version(self, head: Row, connection: DbConnection) -> RetreatVersion:
        """Build a version from the head of a retreat that was read on a connection."""
        retreat_id, stored = head["id"], head["epoch"]
        epoch = self._epochs.get(retreat_id)
        if epoch is None or (epoch.stored, epoch.cluster) != (stored, connection.cluster):
            identity = f"{stored}:{connection.cluster}"
            public = hashlib.sha256(identity.encode()).hexdigest()[:32]
            epoch = self._epochs[retreat_id] = _Epoch(stored, connection.cluster, public)
        return RetreatVersion(retreat_id, head["revision"], epoch.public, head["removal_revision"])

    async def head(
        self, connection: DbConnection, slug: str, *, deadline: float
    ) -> RetreatVersion | None:
        """Read the version of a retreat, once what other programs have changed is absorbed."""
        rows = await connection.fetch(queries.RETREAT, slug, deadline=deadline)
        noted = {row["id"] for row in rows if row["outside"]}
        if noted and await self._outside.absorb_all(noted, connection, deadline):
            rows = await connection.fetch(queries.RETREAT, slug, deadline=deadline)
        return self.version(rows[0], connection) if rows else None

    def stored_epoch(self, retreat_id: int, public: str, connection: DbConnection) -> UUID | None:
        """Return what the database has of a public epoch; ``None``: not known.

        It is not known, either, if the connection is to another cluster than it was read from.
        """
        epoch = self._epochs.get(retreat_id)
        if epoch is None or (epoch.public, epoch.cluster) != (public, connection.cluster):
            return None
        return epoch.stored

    async def versions(self, retreat_ids: Collection[int]) -> dict[int, RetreatVersion]:
        """See :meth:`Store.versions() <gbs_actor.store.protocol.Store.versions>`."""
        ids = list(retreat_ids)

        async def read(connection: DbConnection, deadline: float) -> dict[int, RetreatVersion]:
            rows = await connection.fetch(_VERSIONS, ids, deadline=deadline)
            noted = [row["id"] for row in rows if row["outside"]]
            if noted and await self._outside.absorb_briefly(noted, connection, deadline):
                rows = await connection.fetch(_VERSIONS, ids, deadline=deadline)
            return {row["id"]: self.version(row, connection) for row in rows}

        return await self._database.read(read)

    async def delta(self, retreat_id: int, epoch: str, revision: int) -> Delta | None:
        """See :meth:`Store.delta() <gbs_actor.store.protocol.Store.delta>`."""

        async def read(connection: DbConnection, deadline: float) -> Delta | None:
            return await self.fetch(
                connection, DELTA, retreat_id, epoch, revision, deadline=deadline
            )

        return await self._database.read(read)

    async def absorb(
        self, retreat_id: int, epoch: str, revision: int, registration_ids: Collection[int]
    ) -> Delta:
        """Absorb what other programs have changed in a retreat, and return the delta then.

        :param registration_ids: those that matter; what has changed of others may stay noted.
        """

        async def read(connection: DbConnection, deadline: float) -> Delta | None:
            await self._outside.absorb_first(retreat_id, registration_ids, connection, deadline)
            return await self.fetch(
                connection, DELTA, retreat_id, epoch, revision, deadline=deadline
            )

        return await self._database.read(read) or Delta(missing(retreat_id), complete=False)

    async def fetch(
        self,
        connection: DbConnection,
        sql: str,
        retreat_id: int,
        epoch: str,
        revision: int,
        *,
        deadline: float,
    ) -> Delta | None:
        """Fetch a delta on a connection; ``None``: there is no such retreat.

        :param sql: :data:`DELTA`, :data:`LOCK`, or one with the same arguments and result.
        """
        while True:
            stored = self.stored_epoch(retreat_id, epoch, connection)
            rows = await connection.fetch(sql, retreat_id, stored, revision, deadline=deadline)
            delta = self.decode(rows, retreat_id, connection)
            if delta is None or stored is not None or delta.version.epoch != epoch:
                return delta
            # It had not been read before. Now it is known.

    def decode(
        self, rows: Sequence[Row], retreat_id: int, connection: DbConnection
    ) -> Delta | None:
        """Build a delta from rows of ``lineup_delta``; ``None``: there is no such retreat."""
        head, *others = rows
        if head["epoch"] is None:
            return None
        registrations, groups, entries = [], [], []
        for row in others:
            if (registration := row["registration"]) is not None:
                registrations.append(queries.registration(registration))
            elif (group := row["gbs"]) is not None:
                groups.append(queries.group(group))
            else:
                entries.append(_entry(row["entry"]))
        version = self.version({**head, "id": retreat_id}, connection)
        return Delta(version, head["complete"], tuple(registrations), tuple(groups), tuple(entries))

    async def after_contradiction(self, retreat_id: int) -> Delta:
        """Return the incomplete delta of a retreat whose rows are not as expected."""
        versions = await self.versions((retreat_id,))
        return Delta(versions.get(retreat_id) or missing(retreat_id), complete=False)


def missing(retreat_id: int) -> RetreatVersion:
    """Return the version of a retreat that is not there."""
    return RetreatVersion(retreat_id, 0, "", 0)


def _entry(row: Row) -> DeltaEntry:
    return DeltaEntry(
        revision=row["revision"],
        command_id=UUID(bytes=row["command_id"].bytes),  # asyncpg's own class is slower to hash
        author_id=row["author_id"],
        author_name=row["author_name"],
        kind=Kind(row["kind"]),
        request=row["request"],
        registration_ids=tuple(row["registration_ids"]),
        at=row["at"],
        removed=tuple(row["removed"] or ()),
    )
