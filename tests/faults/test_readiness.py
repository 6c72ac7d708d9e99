"""``/readyz`` without any traffic: 503 while no change could be stored, and 200 by itself."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import trio

from gbs_actor.store.postgres.connection import DbConnection, connect
from gbs_actor.store.postgres.running_servers import LOCK_KEY
from tests.e2e.server_process import ServerProcess, running_server
from tests.faults.postgres_processes import freeze, kill, postmaster, thaw
from tests.faults.readiness import until_ready, until_unready

OFTEN = {"GBS_WRITE_CHECK_INTERVAL": "0.05", "GBS_DATABASE_CONNECT_TIMEOUT": "1"}


@pytest.fixture
def server() -> Iterator[ServerProcess]:
    with running_server(environment=OFTEN) as running:
        yield running


@pytest.fixture
async def outside(server: ServerProcess) -> AsyncIterator[DbConnection]:
    """A connection to the database past the server."""
    connection = await connect(server.dsn, deadline=soon())
    try:
        yield connection
    finally:
        connection.terminate()


def soon() -> float:
    return trio.current_time() + 20


async def test_a_frozen_database(server: ServerProcess) -> None:
    await until_ready(server)
    frozen = freeze(server)
    try:
        assert await until_unready(server) in {
            "The database did not confirm a write in time.",
            "The database does not answer.",  # where its own time-out comes first
            "This server does not hold the lock on its database.",
        }
    finally:
        thaw(frozen)
    await until_ready(server)


async def test_a_dead_database(server: ServerProcess) -> None:
    await until_ready(server)
    pid = postmaster(server)
    assert pid is not None
    kill(pid)
    assert "database" in await until_unready(server)
    await until_ready(server)
    assert server.alive()


async def test_a_database_that_has_become_read_only(
    server: ServerProcess, outside: DbConnection
) -> None:
    await until_ready(server)
    read_only = "default_transaction_read_only"
    await outside.execute(f"SET {read_only} = off", deadline=soon())  # for itself
    await outside.fetch(f"ALTER SYSTEM SET {read_only} = on", deadline=soon())
    await outside.fetch("SELECT pg_reload_conf()", deadline=soon())
    assert await until_unready(server) == "The database refuses to write."
    await outside.fetch(f"ALTER SYSTEM RESET {read_only}", deadline=soon())
    await outside.fetch("SELECT pg_reload_conf()", deadline=soon())
    await until_ready(server)


async def test_a_database_that_another_server_has_taken(
    server: ServerProcess, outside: DbConnection
) -> None:
    await until_ready(server)
    holder = "SELECT DISTINCT pid FROM pg_locks WHERE locktype = 'advisory' AND granted"
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_terminate_once_waited_for, server, holder)
        await outside.execute(f"SELECT pg_advisory_lock({LOCK_KEY})", deadline=soon())
    assert await until_unready(server) == "This server does not hold the lock on its database."
    await outside.execute(f"SELECT pg_advisory_unlock({LOCK_KEY})", deadline=soon())
    await until_ready(server)


async def _terminate_once_waited_for(server: ServerProcess, pid: str) -> None:
    """End a connection once somebody waits for its lock."""
    waiting = "SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    third = await connect(server.dsn, deadline=soon())
    while not await third.fetch(waiting, deadline=soon()):  # noqa: ASYNC110
        await trio.sleep(0.01)
    await third.fetch(f"SELECT pg_terminate_backend(({pid}))", deadline=soon())
    await third.close(deadline=soon())
