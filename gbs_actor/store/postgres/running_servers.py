"""Which servers run on a database, by their advisory locks; and keeping some from running.

Each server holds a lock of the schema's version it was written for, shared with others of that
version. A migration takes those of the versions it is not compatible with: no such server runs, or
starts, meanwhile. If it is compatible with none, it takes the lock of all servers, too: those that
were written before versions had locks have no other one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import trio

from gbs_actor.store.postgres.connection import DbConnection
from gbs_actor.store.protocol import StoreError

LOCK_KEY: Final = 0x6762_735F_6163_746F
"""Of the advisory lock of all servers, which is per database; "gbs_acto" in ASCII."""

_POLL: Final = 0.1
_TRY = """
WITH tried AS MATERIALIZED (
    SELECT key, pg_try_advisory_lock(key) AS got FROM unnest($1::bigint[]) AS key
), outcome AS MATERIALIZED (
    SELECT bool_and(got) AS free FROM tried
)
SELECT free,
       -- At once: two that wait for each other's locks would else both give up.
       (SELECT count(pg_advisory_unlock(key)) FROM tried WHERE got AND NOT free) AS released
    FROM outcome
"""
_HAS_NODES = "SELECT to_regclass('lineup_node') IS NOT NULL AS known"
_NODES = "SELECT name FROM lineup_node"
_HOLDERS = """
WITH held AS (
    SELECT pid, mode = 'ShareLock' AS shared, classid::bigint << 32 | objid::bigint AS key
        FROM pg_locks
        WHERE locktype = 'advisory' AND granted AND objsubid = 1
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
)
SELECT bool_and(held.shared) AS shared, min(node.name) AS node,
       min(host(client_addr)) AS address, min(backend_start) AS since
    FROM held
    LEFT JOIN pg_stat_activity USING (pid)
    LEFT JOIN held AS own USING (pid)
    LEFT JOIN unnest($2::text[], $3::bigint[]) AS node (name, key) ON node.key = own.key
    WHERE held.key = ANY ($1) AND held.pid <> pg_backend_pid()
    GROUP BY held.pid ORDER BY node, since
"""


class DatabaseInUse(StoreError):
    """Another server serves this database."""


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A server that has a database, as far as the database knows."""

    node: str | None
    """Its name among several."""
    address: str | None
    """Where it runs; ``None``: on the database's machine."""
    since: datetime | None
    """``None``: the database does not say it to this user, nor where it runs."""
    shared: bool

    def __str__(self) -> str:
        if self.node is not None:
            return f"node {self.node}"
        if self.since is None:
            return "one that the database does not describe to this user"
        since = f"{self.since.astimezone():%Y-%m-%d %H:%M}"
        return f"one on {self.address or 'this machine'} since {since}"


def node_lock_key(node: str) -> int:
    """Return the key of the lock that a node of this name holds; it is per database, too."""
    return _key(f"gbs-actor node {node}")


def schema_lock_key(version: int) -> int:
    """Return the key of the lock that servers of a version of the schema share."""
    return _key(f"gbs-actor schema {version}")


def _key(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big", signed=True)


async def running_servers(
    connection: DbConnection, keys: Sequence[int], *, deadline: float
) -> list[RunningServer]:
    """Return the servers that hold one of these locks."""
    names: list[str] = []
    if (await connection.fetch(_HAS_NODES, deadline=deadline))[0]["known"]:
        names = [row["name"] for row in await connection.fetch(_NODES, deadline=deadline)]
    node_keys = [node_lock_key(name) for name in names]
    rows = await connection.fetch(_HOLDERS, keys, names, node_keys, deadline=deadline)
    return [RunningServer(row["node"], row["address"], row["since"], row["shared"]) for row in rows]


async def exclude_servers(
    connection: DbConnection,
    lowest: int | None,
    version: int,
    *,
    query_timeout: float,
    longest_wait: float,
) -> None:
    """Keep servers from running until the connection releases its advisory locks.

    :param lowest: the version of the schema from which on servers may run; ``None``: none may.
    :param version: that of the schema which is to come.
    :param query_timeout: seconds that a query may take.
    :param longest_wait: seconds to wait for servers that run.
    :raises DatabaseInUse: some still do.
    """
    keys = [schema_lock_key(former) for former in range(1, version if lowest is None else lowest)]
    if lowest is None:
        keys.append(LOCK_KEY)
    if not await take_locks(
        connection, keys, query_timeout=query_timeout, longest_wait=longest_wait
    ):
        deadline = trio.current_time() + query_timeout
        servers = await running_servers(connection, keys, deadline=deadline)
        named = ", ".join(map(str, servers)) or "one that has just ended"
        former = "servers" if lowest is None else f"servers of a schema before {lowest}"
        raise DatabaseInUse(
            f"the schema cannot be migrated to version {version} while {former} run ({named}): "
            "stop them first, then migrate, then start the new version"
        )


async def take_locks(
    connection: DbConnection, keys: Sequence[int], *, query_timeout: float, longest_wait: float
) -> bool:
    """Take advisory locks, all or none, and return whether that was possible in time.

    :param query_timeout: seconds that a query may take.
    :param longest_wait: seconds to wait for other holders.
    """
    give_up = trio.current_time() + longest_wait
    while keys:
        deadline = trio.current_time() + query_timeout
        if (await connection.fetch(_TRY, keys, deadline=deadline))[0]["free"]:
            break
        if trio.current_time() + _POLL > give_up:
            return False
        await trio.sleep(_POLL)
    return True
