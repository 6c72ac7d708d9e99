"""One server per database, and what becomes of it when the lock is lost."""

from __future__ import annotations

import pytest
import trio

from gbs_actor.lineup.commands import AssignNumber
from gbs_actor.rooms import RoomSupervisor
from gbs_actor.store.postgres.connection import DbConnection
from gbs_actor.store.postgres.running_servers import LOCK_KEY, DatabaseInUse
from gbs_actor.store.postgres.store import PostgresStore
from gbs_actor.store.protocol import StoreUnavailable
from gbs_actor.store.rows import RowKey, Table
from tests.rooms.peers import Client
from tests.store.fixtures import PostgresCluster
from tests.store.other_clients import ask, steal_lock, terminate_others
from tests.store.worlds import Desk, seed

_HAS_TRIED = """
SELECT FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND state = 'idle'
        AND query LIKE '%pg_try_advisory_lock%'
"""
_HOLDS_LOCKS = """
SELECT FROM pg_locks
    WHERE locktype = 'advisory' AND granted AND pid <> pg_backend_pid()
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


async def until_held(store: PostgresStore) -> None:
    """Return once the store has the database for itself."""
    with trio.fail_after(10):
        await store.ping()


async def test_a_second_server_on_the_same_database_is_refused(database_url: str) -> None:
    async with PostgresStore.open(database_url):
        with pytest.raises(DatabaseInUse, match="already serving this database"):
            async with PostgresStore.open(database_url, lock_timeout=0.1):
                pass


async def test_a_refused_server_does_not_disturb_the_first(database_url: str) -> None:
    async with PostgresStore.open(database_url) as store:
        with pytest.raises(DatabaseInUse):
            async with PostgresStore.open(database_url, lock_timeout=0.0):
                pass
        await store.ping()
        assert store.statistics().available


async def test_a_server_waits_for_the_session_of_one_that_is_going(database_url: str) -> None:
    opened = trio.Event()

    async def open_second() -> None:
        async with PostgresStore.open(database_url, lock_timeout=5.0):
            opened.set()

    async with trio.open_nursery() as nursery:
        async with PostgresStore.open(database_url):
            nursery.start_soon(open_second)
            with trio.move_on_after(0.3):
                await opened.wait()
            assert not opened.is_set()
        with trio.fail_after(5):
            await opened.wait()


@pytest.mark.parametrize("node", ["a", None], ids=["node", "alone"])
async def test_a_server_that_waits_for_another_holds_no_lock_meanwhile(
    database_url: str, outside: DbConnection, node: str | None
) -> None:
    """Else a migration and a server that starts keep each other from what they need."""
    await ask(outside, "SELECT pg_advisory_lock($1)", LOCK_KEY)

    async def start() -> None:
        async with PostgresStore.open(database_url, lock_timeout=20.0, node=node):
            pass

    async with trio.open_nursery() as nursery:
        nursery.start_soon(start)
        with trio.fail_after(10):
            while not await ask(outside, _HAS_TRIED):  # noqa: ASYNC110  (a database tells nobody)
                await trio.sleep(0.01)
            while await ask(outside, _HOLDS_LOCKS):  # noqa: ASYNC110
                await trio.sleep(0.01)
        nursery.cancel_scope.cancel()


async def test_servers_of_two_databases_do_not_meet(
    database_url: str, postgres: PostgresStore, outside: DbConnection
) -> None:
    template = database_url.split("?", maxsplit=1)[0].rsplit("/", 1)[1]
    await ask(outside, f"CREATE DATABASE {template}_other TEMPLATE migrated")
    other = database_url.replace(template, f"{template}_other")
    async with PostgresStore.open(other) as store:
        await store.ping()
    await ask(outside, f"DROP DATABASE {template}_other WITH (FORCE)")


async def test_a_lost_lock_is_taken_again(postgres: PostgresStore, outside: DbConnection) -> None:
    await terminate_others(outside)
    await until_held(postgres)
    rows = await ask(
        outside, "SELECT count(DISTINCT pid) AS held FROM pg_locks WHERE locktype = 'advisory'"
    )
    assert rows[0]["held"] == 1
    assert postgres.statistics().available


async def test_nothing_is_committed_while_another_server_has_the_lock(
    postgres_cluster: PostgresCluster, database_url: str, outside: DbConnection
) -> None:
    async with PostgresStore.open(database_url, database_connect_timeout=0.5) as store:
        desk = await Desk.of(store)
        await steal_lock(outside, postgres_cluster, database_url, LOCK_KEY)
        with pytest.raises(StoreUnavailable, match="another server"):
            await desk.do(AssignNumber(4, 1))
        with pytest.raises(StoreUnavailable, match="another server"):
            await store.import_retreat(seed("summer"))
        with pytest.raises(StoreUnavailable, match="another server"):
            await store.ping()
        assert not store.statistics().available
        await ask(outside, "SELECT pg_advisory_unlock($1)", LOCK_KEY)
        await until_held(store)
        await desk.do(AssignNumber(4, 1))


async def test_nothing_is_absorbed_while_another_server_has_the_lock(
    postgres_cluster: PostgresCluster, database_url: str, outside: DbConnection
) -> None:
    """It may be migrating."""
    async with PostgresStore.open(database_url, database_connect_timeout=0.5) as store:
        desk = await Desk.of(store)
        await steal_lock(outside, postgres_cluster, database_url, LOCK_KEY)
        with pytest.raises(StoreUnavailable, match="another server"):
            await store.ping()
        await ask(outside, "UPDATE user_retreat_registration SET lineup_number = 7 WHERE id = 4")
        assert await store.absorb() == set()
        assert (await store.versions((desk.retreat_id,)))[desk.retreat_id].revision == 0
        assert (await desk.loaded()).revision == 0
        await store.held_rows(desk.retreat_id, (RowKey(Table.REGISTRATION, 4),))
        assert (await desk.loaded()).revision == 0
        await ask(outside, "SELECT pg_advisory_unlock($1)", LOCK_KEY)
        await until_held(store)
        assert await store.absorb() == {desk.retreat_id}


async def test_a_lock_that_was_taken_again_is_an_interruption(
    postgres: PostgresStore, outside: DbConnection
) -> None:
    with trio.move_on_after(0.2) as waiting:
        await postgres.wait_interrupted(0)
    assert waiting.cancelled_caught
    await terminate_others(outside)
    with trio.fail_after(10):
        assert await postgres.wait_interrupted(0) == 1
        assert postgres.statistics().available
        assert await postgres.wait_interrupted(0) == 1


class Watcher(Client):
    """Notices when its rows change."""

    def __init__(self, supervisor: RoomSupervisor) -> None:
        super().__init__(supervisor)
        self.updated = trio.Event()

    def deliver(self, message: object) -> None:
        super().deliver(message)
        if self.updates:
            self.updated.set()


async def test_an_idle_room_sees_what_another_server_wrote_while_it_had_the_lock(
    postgres_cluster: PostgresCluster, database_url: str, outside: DbConnection
) -> None:
    async with PostgresStore.open(database_url) as store:
        await Desk.of(store)
        async with RoomSupervisor(store).running() as supervisor:
            client = Watcher(supervisor)
            await client.join("winter")
            await steal_lock(outside, postgres_cluster, database_url, LOCK_KEY)
            await ask(outside, "SET gbs.own = 'on'")  # as a server does
            await ask(outside, _FOREIGN_EDIT)
            await ask(outside, "SELECT pg_advisory_unlock($1)", LOCK_KEY)
            with trio.fail_after(10):
                await client.updated.wait()
            assert [(row.id, row.revision) for row in client.updates] == [(4, 1)]
            assert client.rows[4]["currentLeader"] == "somebody else"


_FOREIGN_EDIT = """
WITH moved AS (UPDATE retreat SET revision = 1 WHERE slug = 'winter' RETURNING id)
UPDATE user_retreat_registration SET current_leader = 'somebody else', row_revision = 1
    WHERE id = 4
"""
