"""Several servers on one database, each with a name."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
import trio

from gbs_actor.lineup.commands import AssignNumber
from gbs_actor.store.memory import MemoryStore
from gbs_actor.store.postgres.connection import DbConnection
from gbs_actor.store.postgres.migrate import SchemaMismatch, shipped_migrations
from gbs_actor.store.postgres.running_servers import DatabaseInUse, node_lock_key
from gbs_actor.store.postgres.store import PostgresStore
from gbs_actor.store.protocol import StoreUnavailable
from tests.store.fixtures import PostgresCluster
from tests.store.other_clients import ask, steal_lock, terminate_others
from tests.store.worlds import Desk


@pytest.fixture
def empty_url(postgres_cluster: PostgresCluster) -> Iterator[str]:
    """A database without any schema."""
    with postgres_cluster.fresh_database(migrated=False) as dsn:
        yield dsn


@pytest.fixture
def other_url(postgres_cluster: PostgresCluster) -> Iterator[str]:
    """A second database with the schema."""
    with postgres_cluster.fresh_database() as dsn:
        yield dsn


async def until_name_taken(store: PostgresStore) -> None:
    """Return once the store knows that another process has its name."""
    with trio.fail_after(10):
        while not store.name_taken:  # noqa: ASYNC110  (the store tells nobody)
            await trio.sleep(0.005)


async def test_servers_with_names_serve_one_database_at_the_same_time(database_url: str) -> None:
    async with (
        PostgresStore.open(database_url, node="a") as one,
        PostgresStore.open(database_url, node="b") as two,
    ):
        assert one.shared
        assert two.shared
        await (await Desk.of(one)).do(AssignNumber(4, 1))
        assert (await (await Desk.of(two)).loaded()).revision == 1
        for store in (one, two):
            await store.ping()
            await store.check_write()


async def test_a_server_without_a_name_shares_with_nobody(postgres: PostgresStore) -> None:
    assert not postgres.shared
    assert not MemoryStore().shared


async def test_a_second_server_of_the_same_name_is_refused(database_url: str) -> None:
    async with PostgresStore.open(database_url, node="a") as store:
        with pytest.raises(DatabaseInUse, match="node name a is already serving"):
            async with PostgresStore.open(database_url, node="a", lock_timeout=0.1):
                pass
        await store.ping()


async def test_a_name_is_free_again_behind_the_end_of_its_server(database_url: str) -> None:
    for _ in range(2):
        async with PostgresStore.open(database_url, node="a", lock_timeout=2.0):
            pass


async def test_a_name_is_one_of_a_database(database_url: str, other_url: str) -> None:
    async with (
        PostgresStore.open(database_url, node="a"),
        PostgresStore.open(other_url, node="a") as store,
    ):
        await store.ping()


async def test_a_node_is_refused_where_a_server_is_alone(
    postgres: PostgresStore, database_url: str
) -> None:
    with pytest.raises(DatabaseInUse, match="without a node name"):
        async with PostgresStore.open(database_url, node="a", lock_timeout=0.1):
            pass
    await postgres.ping()


async def test_a_server_that_is_to_be_alone_is_refused_where_nodes_are(database_url: str) -> None:
    async with PostgresStore.open(database_url, node="a"):
        with pytest.raises(DatabaseInUse, match="already serving this database"):
            async with PostgresStore.open(database_url, lock_timeout=0.1):
                pass


async def test_a_lost_lock_of_a_node_is_taken_again_and_is_an_interruption(
    database_url: str, outside: DbConnection
) -> None:
    async with PostgresStore.open(database_url, node="a") as store:
        await terminate_others(outside)
        with trio.fail_after(10):
            assert await store.wait_interrupted(0) == 1
        with pytest.raises(DatabaseInUse, match="node name a"):
            async with PostgresStore.open(database_url, node="a", lock_timeout=0.0):
                pass
        await store.ping()


async def test_a_node_commits_nothing_while_another_has_its_name(
    postgres_cluster: PostgresCluster, database_url: str, outside: DbConnection
) -> None:
    async with PostgresStore.open(database_url, node="a", database_connect_timeout=0.5) as store:
        desk = await Desk.of(store)
        changes = await desk.decide(AssignNumber(4, 1))
        await steal_lock(outside, postgres_cluster, database_url, node_lock_key("a"))
        with pytest.raises(StoreUnavailable, match="another server"):
            await desk.try_commit(changes)
        with pytest.raises(StoreUnavailable, match="another server"):
            async with store.locked(desk.retreat_id, desk.board.epoch, 0):
                pass
        await ask(outside, "SELECT pg_advisory_unlock($1)", node_lock_key("a"))
        with trio.fail_after(10):
            await store.wait_interrupted(0)
        await desk.commit(changes)


async def test_a_name_is_taken_from_when_another_has_it_until_it_is_held_again(
    postgres_cluster: PostgresCluster, database_url: str, outside: DbConnection
) -> None:
    async with PostgresStore.open(database_url, node="a") as store:
        assert not store.name_taken
        await steal_lock(outside, postgres_cluster, database_url, node_lock_key("a"))
        await until_name_taken(store)
        await ask(outside, "SELECT pg_advisory_unlock($1)", node_lock_key("a"))
        with trio.fail_after(10):
            await store.wait_interrupted(0)
        assert not store.name_taken


async def test_a_name_is_not_taken_because_the_database_is_away(
    postgres_cluster: PostgresCluster, database_url: str, outside: DbConnection
) -> None:
    database = urlsplit(database_url).path.removeprefix("/")

    async def allow_connections(value: bool) -> None:
        sql = f"ALTER DATABASE {database} ALLOW_CONNECTIONS {value}"
        await trio.to_thread.run_sync(postgres_cluster.run_sql, sql)

    async with PostgresStore.open(database_url, node="a") as store:
        await allow_connections(False)
        await terminate_others(outside)
        with trio.fail_after(10):
            while store.statistics().lease_held:  # noqa: ASYNC110  (the store tells nobody)
                await trio.sleep(0.005)
        assert not store.name_taken
        await allow_connections(True)
        with trio.fail_after(10):
            await store.wait_interrupted(0)


async def test_of_nodes_that_start_at_once_on_an_old_schema_one_migrates_it(
    empty_url: str,
) -> None:
    migrated: list[int] = []
    running = trio.Event()

    async def start(name: str) -> None:
        async with PostgresStore.open(
            empty_url, node=name, migrating=True, lock_timeout=1.0
        ) as store:
            migrated.append(len(store.migrated))
            if len(migrated) == 3:
                running.set()
            await running.wait()

    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            for name in "abc":
                nursery.start_soon(start, name)
    assert sorted(migrated) == [0, 0, len(shipped_migrations())]


async def test_a_schema_is_not_migrated_while_another_node_runs(
    database_url: str, outside: DbConnection
) -> None:
    async with PostgresStore.open(database_url, node="a"):
        # As if the last one were new.
        await ask(
            outside,
            "DELETE FROM schema_migration WHERE version = (SELECT max(version)"
            " FROM schema_migration)",
        )
        with pytest.raises(DatabaseInUse, match="stop them first"):
            async with PostgresStore.open(database_url, node="b", migrating=True, lock_timeout=0.1):
                pass
    with pytest.raises(SchemaMismatch, match="migrate it first"):
        async with PostgresStore.open(database_url, node="b"):
            pass
