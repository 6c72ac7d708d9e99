"""Which servers go on running while the schema is migrated, and on what that leaves behind."""

from __future__ import annotations

from collections.abc import Callable
from uuid import uuid4

import pytest
import trio

from gbs_actor.lineup.commands import AssignNumber
from gbs_actor.store.postgres.connection import DbConnection
from gbs_actor.store.postgres.migrate import (
    Migration,
    SchemaMismatch,
    compatible_down_to,
    migrate,
    pending_migrations,
    shipped_migrations,
)
from gbs_actor.store.postgres.running_servers import DatabaseInUse, exclude_servers
from gbs_actor.store.postgres.store import PostgresStore
from gbs_actor.store.protocol import StoreUnavailable
from tests.store.other_clients import ask, soon, terminate_others
from tests.store.worlds import Desk

PRESENT = len(shipped_migrations())
"""The version of this program's schema."""
EXPANDING = "ALTER TABLE user_retreat_registration ADD COLUMN shirt text; CREATE TABLE shirt ();"

Newer = Callable[[int | None], None]


def later(version: int, lowest: int | None, sql: str = "SELECT") -> Migration:
    """Return a migration that this program does not have."""
    first = "" if lowest is None else f"-- compatible down to {lowest}\n"
    return Migration(version, f"later_{version}", first + sql)


@pytest.fixture
def newer(monkeypatch: pytest.MonkeyPatch) -> Newer:
    """Make this program one with a migration more, compatible down to a version or with nothing."""
    migrations = shipped_migrations()

    def add(lowest: int | None) -> None:
        version = len(migrations) + 1
        migrations.append(later(version, lowest, EXPANDING if version == PRESENT + 1 else "SELECT"))
        copy = list(migrations)
        monkeypatch.setattr("gbs_actor.store.postgres.store.shipped_migrations", lambda: copy)

    return add


@pytest.mark.parametrize(
    ("sql", "lowest"),
    [
        ("-- compatible down to 5\nSELECT;", 5),
        ("-- compatible down to 5\r\nSELECT;", 5),
        ("-- compatible down to 5", 5),
        ("-- Adds columns, and is compatible down to 5.\nSELECT;", None),
        ("SELECT;", None),
    ],
)
def test_a_migration_says_in_its_first_line_which_servers_go_on(
    sql: str, lowest: int | None
) -> None:
    assert Migration(7, "seventh", sql).compatible_down_to == lowest


@pytest.mark.parametrize(
    "sql",
    [
        "-- compatible down to 05\nSELECT;",
        "-- compatible down to 0\nSELECT;",
        "-- compatible down to 5 \nSELECT;",
        "-- Compatible down to 5\nSELECT;",
        "--compatible down to 5\nSELECT;",
        "-- compatible with 5\nSELECT;",
        "-- Adds a column.\n-- compatible down to 5\nSELECT;",
        "-- compatible down to 5\n-- compatible down to 6\nSELECT;",
        "-- compatible down to 7\nSELECT;",
    ],
)
def test_a_migration_that_says_it_otherwise_is_refused(sql: str) -> None:
    with pytest.raises(SchemaMismatch, match="migration 0007_seventh"):
        _ = Migration(7, "seventh", sql).compatible_down_to


def test_every_shipped_migration_says_it_as_it_has_to() -> None:
    for migration in shipped_migrations():
        lowest = migration.compatible_down_to
        assert lowest is None or lowest < migration.version


def test_servers_have_to_be_compatible_with_each_of_several_migrations() -> None:
    several = [later(20, 18), later(21, 20), later(22, 19)]
    assert compatible_down_to(several) == 20
    assert compatible_down_to([*several, later(23, None)]) is None


async def test_a_program_accepts_later_migrations_that_are_compatible_with_it(
    outside: DbConnection,
) -> None:
    known = shipped_migrations()
    added = [later(PRESENT + 1, PRESENT), later(PRESENT + 2, PRESENT + 1)]
    for count in (1, 2):
        await migrate(outside, [*known, *added[:count]], step_timeout=10)
        newest = [*known, *added[: count - 1]]
        assert await pending_migrations(outside, newest, deadline=soon()) == []
    with pytest.raises(SchemaMismatch, match=f"compatible only down to {PRESENT + 1}: use a newer"):
        await pending_migrations(outside, known, deadline=soon())


async def test_a_program_refuses_a_compatible_migration_above_one_that_is_not(
    outside: DbConnection,
) -> None:
    known = shipped_migrations()
    added = [later(PRESENT + 1, None), later(PRESENT + 2, 1)]
    await migrate(outside, [*known, *added], step_timeout=10)
    with pytest.raises(SchemaMismatch, match=f"version {PRESENT + 1} is not compatible: use"):
        await pending_migrations(outside, known, deadline=soon())


async def test_a_table_of_migrations_of_former_versions_is_understood(
    outside: DbConnection,
) -> None:
    await ask(outside, "ALTER TABLE schema_migration DROP COLUMN compatible_down_to")
    known = shipped_migrations()
    assert await pending_migrations(outside, known, deadline=soon()) == []
    added = [*known, later(PRESENT + 1, PRESENT)]
    await migrate(outside, added, step_timeout=10)
    assert await pending_migrations(outside, known, deadline=soon()) == []


@pytest.mark.parametrize("node", ["a", None], ids=["node", "alone"])
async def test_a_compatible_migration_is_applied_while_a_server_runs(
    database_url: str, newer: Newer, node: str | None
) -> None:
    async with PostgresStore.open(database_url, node=node) as store:
        desk = await Desk.of(store)
        await desk.do(AssignNumber(4, 1))
        newer(PRESENT)
        applied = await PostgresStore.migrate(database_url, lock_timeout=0.1)
        assert [migration.version for migration in applied] == [PRESENT + 1]
        await desk.do(AssignNumber(5, 2))
        assert (await desk.loaded()).revision == 2


async def test_servers_of_both_versions_serve_one_database(
    database_url: str, newer: Newer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with PostgresStore.open(database_url, node="a") as former:
        newer(PRESENT)
        async with PostgresStore.open(database_url, node="b", migrating=True) as latter:
            assert len(latter.migrated) == 1
            await (await Desk.of(former)).do(AssignNumber(4, 1))
            assert (await (await Desk.of(latter)).loaded()).revision == 1
            monkeypatch.undo()
            async with PostgresStore.open(database_url, node="c") as third:
                await third.ping()


async def test_what_is_not_compatible_waits_for_the_end_of_servers_and_names_them(
    database_url: str, newer: Newer, outside: DbConnection
) -> None:
    async with (
        PostgresStore.open(database_url, node="a") as one,
        PostgresStore.open(database_url, node="b") as two,
    ):
        for name, store in (("a", one), ("b", two), ("ended", two)):
            await store.nodes.report(name, uuid4(), b"{}", None)
        newer(PRESENT)
        newer(None)
        with pytest.raises(DatabaseInUse, match=r"servers run \(node a, node b\): stop them first"):
            await PostgresStore.migrate(database_url, lock_timeout=0.1)
        rows = await ask(outside, "SELECT max(version) AS version FROM schema_migration")
        assert rows[0]["version"] == PRESENT, "not even the compatible one"
        await one.ping()
    assert len(await PostgresStore.migrate(database_url)) == 2


async def test_a_server_alone_is_named_by_where_it_runs(
    postgres: PostgresStore, database_url: str, newer: Newer
) -> None:
    newer(None)
    with pytest.raises(DatabaseInUse, match=r"\(one on this machine since 20"):
        await PostgresStore.migrate(database_url, lock_timeout=0.1)
    await postgres.ping()


async def test_only_servers_that_a_migration_is_compatible_with_may_run(
    database_url: str, newer: Newer
) -> None:
    async with PostgresStore.open(database_url, node="a") as store:
        newer(PRESENT)
        await PostgresStore.migrate(database_url)
        newer(PRESENT + 1)
        with pytest.raises(DatabaseInUse, match=f"servers of a schema before {PRESENT + 1} run"):
            await PostgresStore.migrate(database_url, lock_timeout=0.1)
        await store.ping()
    await PostgresStore.migrate(database_url)


async def test_migrating_needs_no_server_to_end_where_nothing_is_to_be_applied(
    postgres: PostgresStore, database_url: str
) -> None:
    assert await PostgresStore.migrate(database_url, lock_timeout=0.0) == ()
    await postgres.ping()


@pytest.mark.parametrize("node", ["a", None], ids=["node", "alone"])
@pytest.mark.parametrize("lowest", [PRESENT + 1, None], ids=["compatible", "not"])
async def test_no_server_starts_while_its_database_is_migrated_beyond_it(
    database_url: str, outside: DbConnection, node: str | None, lowest: int | None
) -> None:
    await exclude_servers(outside, lowest, PRESENT + 2, query_timeout=10, longest_wait=0.0)
    with pytest.raises(DatabaseInUse, match="being migrated"):
        async with PostgresStore.open(database_url, node=node, lock_timeout=0.1):
            pass
    await ask(outside, "SELECT pg_advisory_unlock_all()")
    async with PostgresStore.open(database_url, node=node) as store:
        await store.ping()


async def test_a_server_starts_while_its_database_is_migrated_compatibly(
    database_url: str, outside: DbConnection
) -> None:
    await exclude_servers(outside, PRESENT, PRESENT + 1, query_timeout=10, longest_wait=0.0)
    async with PostgresStore.open(database_url, lock_timeout=0.0) as store:
        await store.ping()


async def test_a_server_that_has_lost_its_lock_does_not_go_on_with_a_schema_beyond_it(
    database_url: str, outside: DbConnection
) -> None:
    async with PostgresStore.open(database_url, database_connect_timeout=0.5) as store:
        await ask(
            outside,
            "INSERT INTO schema_migration (version, name, checksum) "
            f"VALUES ({PRESENT + 1}, 'later', '')",
        )
        await terminate_others(outside)
        with pytest.raises(StoreUnavailable):
            await store.ping()
        await ask(outside, f"DELETE FROM schema_migration WHERE version = {PRESENT + 1}")
        with trio.fail_after(10):
            await store.wait_interrupted(0)
        await store.ping()


async def test_what_an_older_schema_needs_is_said_at_the_start(
    database_url: str, newer: Newer
) -> None:
    newer(PRESENT)
    with pytest.raises(SchemaMismatch, match=f"servers of schema {PRESENT} and later may go on"):
        async with PostgresStore.open(database_url):
            pass
    newer(None)
    with pytest.raises(SchemaMismatch, match="stop all servers and run: gbs-actor migrate"):
        async with PostgresStore.open(database_url):
            pass
