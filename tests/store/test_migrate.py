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
    MigrationRefused,
    SchemaMismatch,
    migrate,
    only_one,
    pending_migrations,
    shipped_migrations,
)
from gbs_actor.store.postgres.rights import missing_rights
from gbs_actor.store.postgres.running_servers import DatabaseInUse, take_locks
from gbs_actor.store.postgres.store import PostgresStore
from gbs_actor.store.verification import verify
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


async def test_what_only_a_superuser_can_allow_is_said_before_anything_is_applied(
    connection: DbConnection, empty_url: str
) -> None:
    role = f"owner_{empty_url.partition('?')[0].rpartition('/')[2]}"
    await connection.execute(
        f"CREATE ROLE {role}; GRANT CREATE ON SCHEMA public TO {role}", deadline=soon()
    )
    try:
        with pytest.raises(MigrationRefused, match=f'ON PARAMETER "gbs.own" TO {role}$'):
            await PostgresStore.migrate(f"{empty_url}&role={role}")
        assert (await ask(connection, "SELECT to_regclass('retreat') AS t"))[0]["t"] is None
        await ask(connection, f'GRANT SET ON PARAMETER "gbs.own" TO {role}')
        assert len(await PostgresStore.migrate(f"{empty_url}&role={role}")) == len(
            shipped_migrations()
        )
    finally:
        await connection.execute(f"DROP OWNED BY {role}; DROP ROLE {role}", deadline=soon())


async def test_whoever_owns_the_functions_notes_what_others_write_after_another_user_has_migrated(
    connection: DbConnection, empty_url: str
) -> None:
    role = f"owner_{empty_url.partition('?')[0].rpartition('/')[2]}"
    await connection.execute(
        f"CREATE ROLE {role}; GRANT CREATE ON SCHEMA public TO {role};"
        f' GRANT SET ON PARAMETER "gbs.own" TO {role}',
        deadline=soon(),
    )
    try:
        former = await connect(f"{empty_url}&role={role}", deadline=soon())
        await migrate(former, shipped_migrations()[:13], step_timeout=10)
        former.terminate()
        await migrate(connection, shipped_migrations(), step_timeout=10)
        await ask(connection, "UPDATE user_profile SET name = name")  # its trigger is a statement's
        assert await ask(connection, "SELECT FROM lineup_outside_profile") == []
    finally:
        await connection.execute(f"DROP OWNED BY {role}; DROP ROLE {role}", deadline=soon())


async def test_rights_are_compared_in_a_schema_of_any_name(
    connection: DbConnection, empty_url: str
) -> None:
    await ask(connection, 'CREATE SCHEMA "Retreat"')
    url = f"{empty_url}&search_path=%22Retreat%22"
    await PostgresStore.migrate(url)
    own = await connect(url, deadline=soon())
    assert await missing_rights(own, shipped_migrations(), deadline=soon()) == {}
    own.terminate()


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


async def test_whoever_waits_for_another_one_that_migrates_too_long_is_told(
    connection: DbConnection, empty_url: str
) -> None:
    async with only_one(connection, 10):
        with pytest.raises(DatabaseInUse, match="another program is migrating"):
            await PostgresStore.migrate(empty_url, migrate_timeout=0.2)
    await PostgresStore.migrate(empty_url)


async def test_the_end_of_a_migration_waits_only_briefly_for_a_database_that_is_silent(
    connection: DbConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gbs_actor.store.postgres.migrate._UNLOCK_TIMEOUT", 0.1)
    monkeypatch.setattr("gbs_actor.store.postgres.migrate._UNLOCK_ALL", "SELECT pg_sleep(20)")
    async with only_one(connection, 60):
        pass
    assert connection.closed, "which releases the locks, too"


async def test_whoever_waits_for_locks_holds_none_of_them_meanwhile(
    connection: DbConnection, empty_url: str
) -> None:
    other = await connect(empty_url, deadline=soon())
    await ask(other, "SELECT pg_advisory_lock(2)")
    await ask(connection, "SELECT pg_advisory_lock(1)")
    limits = {"query_timeout": 10.0, "longest_wait": 0.0}
    assert not await take_locks(connection, [1, 2, 3], **limits)
    held = "SELECT objid::int AS key FROM pg_locks WHERE locktype = 'advisory' AND pid = $1"
    keys = [row["key"] for row in await ask(connection, held, connection.pid)]
    assert keys == [1], "what it had before"
    await ask(other, "SELECT pg_advisory_unlock(2)")
    assert await take_locks(connection, [1, 2, 3], **limits)
    assert {row["key"] for row in await ask(connection, held, connection.pid)} == {1, 2, 3}
    other.terminate()


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


async def test_a_commit_has_one_signature_an_array_of_rows_for_each_kind_of_write(
    connection: DbConnection,
) -> None:
    await migrate(connection, shipped_migrations(), step_timeout=20)
    rows = await ask(
        connection,
        "SELECT pg_get_function_identity_arguments(oid) AS arguments FROM pg_proc"
        " WHERE proname ~ '^lineup_commit'",
    )
    assert {row["arguments"] for row in rows} == {
        "p_retreat_id bigint, p_epoch uuid, p_expected bigint, p_attempt_id uuid, "
        "p_repeatable uuid[], "
        "p_groups lineup_group_write[], p_revisions lineup_group_revision[], "
        "p_numbers lineup_number_write[], p_leaders lineup_leader_write[], "
        "p_memo_stamps lineup_memo_stamp[], p_memos lineup_memo_write[], "
        "p_new_memos lineup_memo_write[], p_log lineup_log_write[], "
        "p_people lineup_change_registration[]"
    }


_OLD_DATA = """
INSERT INTO univ_group (id, number, name) VALUES (1, 1, '1부');
INSERT INTO grade (id, univ_group_id, number, name) VALUES (1, 1, 1, '1학년');
INSERT INTO user_profile (id, grade_id, gender, name, phone_number)
    VALUES (1, 1, 'MALE', '사람', '010');
INSERT INTO retreat (id, slug, title, revision, created_at)
    VALUES (1, 'winter', '겨울', 5, '2024-01-01Z');
INSERT INTO gbs (id, retreat_id, number, memo, revision) VALUES (1, 1, 3, '3층', 2);
INSERT INTO user_retreat_registration (id, retreat_id, user_id, is_leader, current_leader, gbs_id,
        gbs_revision, gbs_author_id, gbs_author_name, gbs_changed_at,
        memo_revision, memo_author_id, memo_author_name, memo_changed_at, created_at, updated_at)
    VALUES (1, 1, 1, false, '이리더', 1, 1, 7, '김간사', '2024-02-01Z',
        4, 7, '김간사', '2024-02-01Z', '2024-01-01Z', '2024-02-01Z');
INSERT INTO lineup_change (retreat_id, revision, command_id, author_id, author_name, kind,
        registration_id, request, before, after, at) VALUES
    (1, 1, gen_random_uuid(), 7, '김간사', 'assign-number', 1, '{}',
        '{"field":"gbsNumber","gbsNumber":null}', '{"field":"gbsNumber","gbsNumber":3}',
        '2024-02-01Z'),
    (1, 2, gen_random_uuid(), 7, '김간사', 'assign-number', 1, '{}',
        '{"field":"gbsNumber","gbsNumber":3}', '{"field":"gbsNumber","gbsNumber":3}',
        '2024-02-01Z'),
    (1, 3, gen_random_uuid(), 7, '김간사', 'create-memo', 1, '{}',
        '{"field":"lineupMemo","memoId":null,"text":"","color":""}',
        '{"field":"lineupMemo","memoId":9,"text":"창가","color":"#FFCC00"}', '2024-02-01Z'),
    (1, 4, gen_random_uuid(), 7, '김간사', 'delete-memo', 1, '{}',
        '{"field":"lineupMemo","memoId":9,"text":"창가","color":"#FFCC00"}',
        '{"field":"lineupMemo","memoId":null,"text":"","color":""}', '2024-02-01Z'),
    (1, 5, gen_random_uuid(), NULL, '', 'fence', NULL, '{}', NULL, NULL, '2024-02-01Z');
UPDATE gbs SET revision = 1;
"""


async def test_a_log_of_single_fields_becomes_one_of_arrays(
    connection: DbConnection, empty_url: str
) -> None:
    await migrate(connection, shipped_migrations()[:7], step_timeout=20)
    await connection.execute(_OLD_DATA, deadline=soon())
    async with PostgresStore.open(empty_url, migrating=True) as store:
        log = await store.log(1)
        memo = Memo(9, "창가", "#FFCC00")
        number, note = Field.GBS_NUMBER, Field.LINEUP_MEMO
        assert [(entry.before, entry.after) for entry in log] == [
            ((FieldValue(number, None, 0, 1),), (FieldValue(number, 3, 1, 1),)),
            ((FieldValue(number, 3, 0, 1),), (FieldValue(number, 3, 0, 1),)),
            ((FieldValue(note, None, 0, 1),), (FieldValue(note, memo, 3, 1),)),
            ((FieldValue(note, memo, 0, 1),), (FieldValue(note, None, 4, 1),)),
            ((), ()),
        ]
        retreat = await store.load("winter")
        assert retreat is not None
        (registration,) = retreat.registrations
        assert registration.number_stamp.origin == 1
        assert (registration.current_leader, registration.is_leader) == ("이리더", False)
        verification = await verify(store, "winter")
        assert verification is not None
        assert verification.clean
        groups = await store.groups("winter")
        assert [group.created_at.year for group in groups.values()] == [2024]


async def test_schedules_get_their_kind_from_the_name_or_the_hour_in_korea(
    connection: DbConnection,
) -> None:
    shipped = shipped_migrations()
    await migrate(connection, shipped[:8], step_timeout=10)
    await ask(connection, "INSERT INTO retreat (slug, title) VALUES ('winter', '겨울')")
    for name, hour in (
        ("첫째 날 저녁", 12),
        ("밤", 22),
        ("첫째 날", 7),
        ("둘째 날", 18),
        ("셋째", 12),
    ):
        await ask(
            connection,
            "INSERT INTO retreat_registration_schedule (retreat_id, name, starts_at) "
            f"SELECT id, '{name}', '2026-01-01 {hour}:30+09' FROM retreat",
        )
    await migrate(connection, shipped, step_timeout=10)
    rows = await ask(connection, "SELECT kind FROM retreat_registration_schedule ORDER BY id")
    assert [row["kind"] for row in rows] == ["DINNER", "SLEEP", "BREAKFAST", "DINNER", "LUNCH"]
