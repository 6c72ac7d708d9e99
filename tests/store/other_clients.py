"""Other clients of a store's database, and their statements."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import trio

from gbs_actor.store.postgres.connection import DbConnection, Row, connect
from tests.store.fixtures import PostgresCluster

_WAITING = """
SELECT count(*) AS waiting FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock'
"""
_TERMINATE_OTHERS = """
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
"""

_UNTIL_WAITED_FOR = """
DO $$ BEGIN
    WHILE NOT EXISTS (
        SELECT FROM pg_locks
            WHERE locktype = 'advisory' AND NOT granted
                AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    ) LOOP
        PERFORM pg_sleep(0.005);
    END LOOP;
END $$
"""

_END_HOLDER = """
SELECT pg_terminate_backend(pid, 5000) FROM (
    SELECT DISTINCT pid FROM pg_locks
        WHERE locktype = 'advisory' AND granted
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
) AS holder
"""


def soon(seconds: float = 10.0) -> float:
    """Return a deadline."""
    return trio.current_time() + seconds


@asynccontextmanager
async def other_program(database_url: str) -> AsyncIterator[DbConnection]:
    """One more connection of another program."""
    settings = {"application_name": "payments"}
    connection = await connect(database_url, deadline=soon(), settings=settings)
    try:
        yield connection
    finally:
        connection.terminate()


async def ask(connection: DbConnection, sql: str, *arguments: object) -> Sequence[Row]:
    """Run a statement with plenty of time."""
    return await connection.fetch(sql, *arguments, deadline=soon())


async def terminate_others(connection: DbConnection) -> None:
    """End all other connections of the database, as an administrator may; return when they have."""
    await ask(connection, _TERMINATE_OTHERS)


async def until_waiting(connection: DbConnection, wanted: int) -> None:
    """Return once this many connections wait for a lock."""
    with trio.fail_after(10):
        # The database tells nobody when a connection starts to wait: it has to be asked.
        while (await ask(connection, _WAITING))[0]["waiting"] != wanted:  # noqa: ASYNC110
            await trio.sleep(0.005)


@asynccontextmanager
async def locked_groups(connection: DbConnection) -> AsyncIterator[None]:
    """Keep everybody from reading or writing groups."""
    async with connection.transaction(deadline=soon()):
        await connection.execute("LOCK TABLE gbs IN ACCESS EXCLUSIVE MODE", deadline=soon())
        yield


@asynccontextmanager
async def locked_retreats(connection: DbConnection) -> AsyncIterator[None]:
    """Keep commits waiting."""
    async with connection.transaction(deadline=soon()):
        await ask(connection, "SELECT FROM retreat FOR UPDATE")
        yield


async def fail_commits(connection: DbConnection, sqlstate: str, *, times: int) -> None:
    """Make the next commits fail with an error of the server."""
    await connection.execute(
        f"""
        CREATE SEQUENCE failures;
        CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF nextval('failures') <= {times} THEN
                RAISE EXCEPTION 'made to fail' USING ERRCODE = '{sqlstate}';
            END IF;
            RETURN NULL;
        END $$;
        CREATE TRIGGER fail AFTER INSERT ON lineup_change
            FOR EACH STATEMENT EXECUTE FUNCTION fail();
        """,
        deadline=soon(),
    )


async def steal_lock(
    outside: DbConnection, cluster: PostgresCluster, database_url: str, key: int
) -> None:
    """Take a lock from a server by waiting for it while the server's connection is ended."""
    database = urlsplit(database_url).path.removeprefix("/")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask, outside, "SELECT pg_advisory_lock($1)", key)
        # The database may not have got to it when it was asked.
        await trio.to_thread.run_sync(cluster.run_sql, _UNTIL_WAITED_FOR, database)
        await trio.to_thread.run_sync(cluster.run_sql, _END_HOLDER, database)
