"""What other programs have changed, as triggers note it, and how it gets into the log.

See the migration: to absorb is to give what was noted of a retreat a revision. It is safe at any
time and on any server. What open transactions hold is left for later, so it never waits for them.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from typing import Final

from gbs_actor.store.postgres.connection import (
    ConnectionLost,
    DbConnection,
    ServerRefused,
    connect,
)
from gbs_actor.store.postgres.database import Database
from gbs_actor.store.postgres.pool import connect_with_retries
from gbs_actor.store.protocol import StoreUnavailable

log = logging.getLogger(__name__)

ABSORB_DELTA: Final = "SELECT * FROM lineup_absorb_delta($1, $2, $3)"
"""Absorbs, and returns what the retreat has beyond a revision then; arguments as for a delta."""

_NOTED: Final = "SELECT DISTINCT retreat_id FROM lineup_outside"
_ABSORB: Final = "SELECT lineup_absorb($1) AS revision"
_RELOAD: Final = "SELECT lineup_reload($1) AS retreat_id"


async def absorb(
    connection: DbConnection, retreat_ids: Collection[int], *, deadline: float
) -> set[int]:
    """Absorb what was noted of retreats; return those that have another revision by it.

    Each in a transaction of its own: none waits for the others' locks.
    """
    changed = set()
    for retreat_id in sorted(retreat_ids):
        try:
            (row,) = await connection.fetch(_ABSORB, retreat_id, deadline=deadline)
        except ServerRefused as error:
            # It stays noted. The other retreats, and reading this one, do not depend on it.
            log.warning("what others changed in retreat %d stays noted: %s", retreat_id, error)
            continue
        if row["revision"] is not None:
            changed.add(retreat_id)
    return changed


class Outside:
    """Absorbs what other programs have changed, in whichever retreat."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def absorb(self) -> set[int]:
        """See :meth:`Store.absorb() <gbs_actor.store.protocol.Store.absorb>`.

        Where nothing was noted it costs one read of an empty table.
        """

        async def run(connection: DbConnection, deadline: float) -> set[int]:
            rows = await connection.fetch(_NOTED, deadline=deadline)
            ids = [row["retreat_id"] for row in rows]
            return await absorb(connection, ids, deadline=deadline)

        return await self._database.read(run)


async def reload(dsn: str, slug: str, deadline: float) -> bool:
    """Make all servers and clients load a retreat anew; return whether there is one.

    For changes that no trigger notes, as those of replication and restores. Servers may run.

    :param dsn: the database's address.
    :param deadline: Trio time.
    :raises StoreUnavailable: it cannot be reached, or is not of this version; may be repeated.
    """
    connection = await connect_with_retries(lambda until: connect(dsn, deadline=until), deadline)
    try:
        (row,) = await connection.fetch(_RELOAD, slug, deadline=deadline)
    except (ConnectionLost, ServerRefused) as error:
        raise StoreUnavailable(f"the retreat cannot be reloaded: {error}") from None
    finally:
        connection.terminate()
    return row["retreat_id"] is not None
