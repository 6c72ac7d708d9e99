"""The schema: applied once, by one, as it was shipped."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import pytest
import trio

from gbs_actor.lineup.fields import Field, FieldValue
from gbs_actor.lineup.records import Memo
from gbs_actor.store.postgres.connection import DbConnection, ServerRefused, connect
from gbs_actor.store.postgres.migrate import (
    Migration,
    SchemaMismatch,
    migrate,
    pending_migrations,
    shipped_migrations,
)
from gbs_actor.store.postgres.store import PostgresStore
from tests.store.fixtures import PostgresCluster
from tests.store.other_clients import ask, soon

STEPS = [
    Migration(1, "first", "CREATE TABLE first (id int);"),
    Migration(2, "second", "CREATE TABLE second (id int); INSERT INTO second VALUES (1);"),
]


@pytest.fixture
def empty_url(postgres_cluster: PostgresCluster) -> Iterator[str]:
    """A database without any schema."""
    with postgres_cluster.fresh_database(migrated=False) as dsn:
        yield dsn


@pytest.fixture
async def connection(empty_url: str) -> AsyncIterator[DbConnection]:
    """A connection on an empty database."""
    connection = await connect(empty_url, deadline=soon())
    yield connection
    connection.terminate()


async def test_every_migration_is_applied_once_and_in_order(connection: DbConnection) -> None:
    assert await migrate(connection, STEPS, step_timeout=10) == STEPS
    assert await migrate(connection, STEPS, step_timeout=10) == []
    rows = await ask(connection, "SELECT version, name FROM schema_migration ORDER BY version")
    assert [(row["version"], row["name"]) for row in rows] == [(1, "first"), (2, "second")]


async def test_a_later_migration_is_pending(connection: DbConnection) -> None:
    await migrate(connection, STEPS[:1], step_timeout=10)
    assert await pending_migrations(connection, STEPS, deadline=soon()) == STEPS[1:]


async def test_an_edited_migration_is_refused(connection: DbConnection) -> None:
    await migrate(connection, STEPS, step_timeout=10)
    edited = [STEPS[0], replace(STEPS[1], sql=STEPS[1].sql + " -- harmless")]
    with pytest.raises(SchemaMismatch, match=r"0002_second .* edited"):
        await migrate(connection, edited, step_timeout=10)


async def test_line_ends_are_no_edit(connection: DbConnection) -> None:
    unix = replace(STEPS[0], sql="CREATE TABLE first\n(id int);")
    await migrate(connection, [unix], step_timeout=10)
    windows = replace(unix, sql=unix.sql.replace("\n", "\r\n"))
    assert await migrate(connection, [windows], step_timeout=10) == []


async def test_a_schema_newer_than_the_program_is_refused(connection: DbConnection) -> None:
    await migrate(connection, STEPS, step_timeout=10)
    with pytest.raises(SchemaMismatch, match="at version 2, this program knows 1"):
        await migrate(connection, STEPS[:1], step_timeout=10)


async def test_a_migration_that_fails_leaves_no_trace(connection: DbConnection) -> None:
    broken = replace(STEPS[1], sql="CREATE TABLE second (id int); SELECT 1 / 0;")
    with pytest.raises(ServerRefused, match="division by zero"):
        await migrate(connection, [STEPS[0], broken], step_timeout=10)
    assert (await ask(connection, "SELECT to_regclass('second') AS t"))[0]["t"] is None
    assert await migrate(connection, STEPS, step_timeout=10) == STEPS[1:]


async def test_of_servers_that_start_at_once_one_migrates(empty_url: str) -> None:
    applied: list[int] = []

    async def start() -> None:
        connection = await connect(empty_url, deadline=soon())
        applied.append(len(await migrate(connection, shipped_migrations(), step_timeout=20)))
        connection.terminate()

    async with trio.open_nursery() as nursery:
        for _ in range(4):
            nursery.start_soon(start)
    assert sorted(applied) == [0, 0, 0, len(shipped_migrations())]


async def test_a_database_without_the_schema_is_refused(empty_url: str) -> None:
    with pytest.raises(SchemaMismatch, match="migrate it first"):
        async with PostgresStore.open(empty_url):
            pass


async def test_a_store_may_migrate_while_it_opens(empty_url: str) -> None:
    async with PostgresStore.open(empty_url, migrating=True) as store:
        assert list(store.migrated) == shipped_migrations()
        assert await store.retreats() == []


async def test_a_store_refuses_a_schema_it_does_not_know(database_url: str) -> None:
    connection = await connect(database_url, deadline=soon())
    await ask(
        connection,
        "INSERT INTO schema_migration (version, name, checksum) VALUES (99, 'later', '')",
    )
    connection.terminate()
    with pytest.raises(SchemaMismatch, match="use a newer program"):
        async with PostgresStore.open(database_url, migrating=True):
            pass


async def test_a_commit_has_one_signature_an_array_of_rows_for_each_table(
    connection: DbConnection,
) -> None:
    await migrate(connection, shipped_migrations(), step_timeout=20)
    rows = await ask(
        connection,
        "SELECT pg_get_function_identity_arguments(oid) AS arguments FROM pg_proc"
        " WHERE proname = 'lineup_commit'",
    )
    assert [row["arguments"] for row in rows] == [
        "p_retreat_id bigint, p_expected bigint, p_repeatable uuid[], "
        "p_groups lineup_group_write[], p_registrations lineup_registration_write[], "
        "p_memos lineup_memo_write[], p_log lineup_log_write[]"
    ]


async def test_a_log_with_one_value_an_entry_becomes_one_of_arrays(empty_url: str) -> None:
    connection = await connect(empty_url, deadline=soon())
    shipped = shipped_migrations()
    await migrate(connection, shipped[:7], step_timeout=30)
    await ask(connection, "INSERT INTO retreat (slug, title, revision) VALUES ('winter', '', 5)")
    await ask(
        connection,
        """
        INSERT INTO lineup_change
                (retreat_id, revision, command_id, kind, registration_id,
                 request, before, after, at)
            SELECT retreat.id, n, gen_random_uuid(), kind, person, '', before, after, now()
                FROM retreat, (VALUES
            (1, 'assign-number', 5, '{"field":"gbsNumber","gbsNumber":null}'::jsonb,
                '{"field":"gbsNumber","gbsNumber":3}'::jsonb),
            (2, 'assign-number', 5, '{"field":"gbsNumber","gbsNumber":3}',
                '{"field":"gbsNumber","gbsNumber":3}'),
            (3, 'create-memo', 6, '{"field":"lineupMemo","memoId":null,"text":"","color":""}',
                '{"field":"lineupMemo","memoId":8,"text":"창가 \\"1\\"","color":"#FFCC00"}'),
            (4, 'delete-memo', 6, '{"field":"lineupMemo","memoId":8,"text":"","color":"#FFCC00"}',
                '{"field":"lineupMemo","memoId":null,"text":"","color":""}'),
            (5, 'fence', NULL, NULL, NULL)
                ) AS entry (n, kind, person, before, after)
        """,
    )
    await migrate(connection, shipped, step_timeout=30)
    connection.terminate()
    async with PostgresStore.open(empty_url) as store:
        retreat = await store.load("winter")
        assert retreat is not None
        log = await store.log(retreat.id)
    number, memo = Field.GBS_NUMBER, Field.LINEUP_MEMO
    assert [(entry.before, entry.after) for entry in log] == [
        ((FieldValue(number, None, 0, 5),), (FieldValue(number, 3, 1, 5),)),
        ((FieldValue(number, 3, 0, 5),), (FieldValue(number, 3, 0, 5),)),
        (
            (FieldValue(memo, None, 0, 6),),
            (FieldValue(memo, Memo(8, '창가 "1"', "#FFCC00"), 3, 6),),
        ),
        ((FieldValue(memo, Memo(8, "", "#FFCC00"), 0, 6),), (FieldValue(memo, None, 4, 6),)),
        ((), ()),
    ]
