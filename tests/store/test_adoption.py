"""A database that other programs have made gets what servers need, and is otherwise left alone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gbs_actor.lineup.commands import AssignNumber, CreateMemo
from gbs_actor.store.postgres.adoption import Plan
from gbs_actor.store.postgres.connection import DbConnection, connect
from gbs_actor.store.postgres.lock_waits import LocksHeld
from gbs_actor.store.postgres.migrate import Migration, shipped_migrations
from gbs_actor.store.postgres.rights import missing_rights
from gbs_actor.store.postgres.running_servers import DatabaseInUse
from gbs_actor.store.postgres.store import PostgresStore
from gbs_actor.store.verification import verify
from tests.store.fixtures import PostgresCluster
from tests.store.other_clients import ask, soon
from tests.store.worlds import Desk

EXISTING = """
CREATE TABLE univ_group (
    id bigserial PRIMARY KEY, number integer NOT NULL, name varchar(50) NOT NULL
);
CREATE TABLE grade (
    id bigserial PRIMARY KEY, univ_group_id bigint NOT NULL REFERENCES univ_group,
    number integer NOT NULL, name varchar(50) NOT NULL
);
CREATE TABLE user_profile (
    id bigserial PRIMARY KEY, email varchar(255) UNIQUE, grade_id bigint NOT NULL,
    gender varchar(10) NOT NULL, name varchar(50) NOT NULL, phone_number varchar(20) NOT NULL
);
CREATE TABLE retreat (
    id bigserial PRIMARY KEY, slug varchar(50) NOT NULL UNIQUE, title varchar(200) NOT NULL,
    price integer NOT NULL DEFAULT 0
);
CREATE TABLE gbs (
    id bigserial PRIMARY KEY, color text, retreat_id bigint NOT NULL REFERENCES retreat,
    number integer NOT NULL
);
CREATE UNIQUE INDEX gbs_of_retreat ON gbs (retreat_id, number);
CREATE TABLE user_retreat_registration (
    payment_status varchar(20) NOT NULL DEFAULT 'PAID', id bigserial PRIMARY KEY,
    retreat_id bigint NOT NULL REFERENCES retreat, user_id bigint NOT NULL REFERENCES user_profile,
    user_type varchar(20), gbs_id bigint REFERENCES gbs, is_leader boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now(), UNIQUE (user_id, retreat_id)
);
CREATE TABLE retreat_registration_schedule (
    id bigserial PRIMARY KEY, retreat_id bigint NOT NULL REFERENCES retreat ON DELETE CASCADE,
    name varchar(50) NOT NULL, starts_at timestamptz NOT NULL
);
CREATE TABLE user_retreat_registration_schedule (
    registration_id bigint NOT NULL REFERENCES user_retreat_registration ON DELETE CASCADE,
    schedule_id bigint NOT NULL REFERENCES retreat_registration_schedule ON DELETE CASCADE,
    PRIMARY KEY (schedule_id, registration_id)
);
INSERT INTO univ_group (number, name) VALUES (1, '1부');
INSERT INTO grade (univ_group_id, number, name) VALUES (1, 1, '1학년');
INSERT INTO user_profile (grade_id, gender, name, phone_number)
    SELECT 1, 'MALE', '사람 ' || n, '010' FROM generate_series(1, 6) AS n;
INSERT INTO retreat (slug, title) VALUES ('winter', '겨울');
INSERT INTO gbs (retreat_id, number) VALUES (1, 3);
INSERT INTO user_retreat_registration (retreat_id, user_id, gbs_id)
    SELECT 1, n, CASE WHEN n = 1 THEN 1 END FROM generate_series(1, 6) AS n;
INSERT INTO retreat_registration_schedule (retreat_id, name, starts_at)
    VALUES (1, '첫째 날 저녁', '2026-01-01 18:30+09'), (1, '밤', '2026-01-01 22:30+09');
INSERT INTO user_retreat_registration_schedule VALUES (1, 1);
"""
"""What registration and payment have: fewer columns, others of their own, in another order."""


@pytest.fixture
def existing_url(postgres_cluster: PostgresCluster) -> Iterator[str]:
    """A database of other programs, which the line-up has never used."""
    with postgres_cluster.fresh_database(migrated=False) as dsn:
        postgres_cluster.run_sql(EXISTING, name_of(dsn))
        yield dsn


def name_of(dsn: str) -> str:
    return dsn.partition("?")[0].rpartition("/")[2]


async def run(dsn: str, sql: str) -> None:
    """Run statements as another program."""
    connection = await connect(dsn, deadline=soon())
    try:
        await connection.execute(sql, deadline=soon())
    finally:
        connection.terminate()


def names(plan: Plan) -> list[str]:
    return [step.name for step in plan.steps]


async def test_what_migrations_have_made_lacks_nothing(database_url: str) -> None:
    assert await PostgresStore.adopt(database_url) == Plan([], [])
    assert await PostgresStore.adopt(database_url, apply=True) == Plan([], [])


async def test_a_plan_changes_nothing(existing_url: str) -> None:
    plan = await PostgresStore.adopt(existing_url)
    assert plan.obstacles == []
    assert "column user_retreat_registration.gbs_revision" in names(plan)
    assert "constraint user_profile_grade_id_fkey of user_profile" in names(plan)
    assert "trigger lineup_outside_update of user_retreat_registration" in names(plan)
    assert all(step.sql and step.reason for step in plan.steps)
    assert await PostgresStore.adopt(existing_url) == plan
    connection = await connect(existing_url, deadline=soon())
    left = await ask(connection, "SELECT FROM pg_namespace WHERE nspname LIKE 'gbs_actor%'")
    assert not left
    connection.terminate()


async def test_an_adopted_database_is_served_as_any_other(existing_url: str) -> None:
    plan = await PostgresStore.adopt(existing_url, apply=True)
    assert plan.steps
    assert await PostgresStore.adopt(existing_url, apply=True) == Plan([], [])
    assert await PostgresStore.migrate(existing_url) == ()
    async with PostgresStore.open(existing_url) as store:
        retreat = await store.load("winter")
        assert retreat is not None
        by_id = {each.id: each for each in retreat.registrations}
        assert by_id[1].gbs_number == 3
        schedules = await store.schedules("winter")
        assert [each.kind.name for each in schedules] == ["DINNER", "SLEEP"]
        desk = await Desk.of(store)
        await desk.do(AssignNumber(2, 7))
        await desk.do(AssignNumber(1, None))
        await desk.do(CreateMemo(3, "창가" * 200, "#FFCC00"))
        assert (await desk.loaded()).revision == 3
        verification = await verify(store, "winter")
        assert verification is not None
        assert verification.clean


async def test_what_a_migration_that_was_refused_has_left_is_no_obstacle(existing_url: str) -> None:
    await run(  # as versions before compatible_down_to made it
        existing_url,
        "CREATE TABLE schema_migration (version integer PRIMARY KEY, name text NOT NULL,"
        " checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())",
    )
    await PostgresStore.adopt(existing_url, apply=True)
    assert await PostgresStore.adopt(existing_url) == Plan([], [])
    assert await PostgresStore.migrate(existing_url) == ()


async def test_an_adopted_database_tells_servers_what_other_programs_change(
    existing_url: str,
) -> None:
    await PostgresStore.adopt(existing_url, apply=True)
    other = await connect(existing_url, deadline=soon())
    async with PostgresStore.open(existing_url) as store:
        await ask(other, "UPDATE user_retreat_registration SET gbs_id = 1 WHERE user_id = 2")
        assert list(await store.absorb()) == [1]
    other.terminate()


async def test_other_programs_insert_as_they_did_before(existing_url: str) -> None:
    no_title = "ALTER TABLE retreat DROP COLUMN title"
    no_leaders = (
        "ALTER TABLE user_retreat_registration DROP COLUMN is_leader, DROP COLUMN created_at"
    )
    await run(existing_url, f"{no_title}; {no_leaders}")
    await PostgresStore.adopt(existing_url, apply=True)
    await run(
        existing_url,
        """
        INSERT INTO retreat (slug) VALUES ('summer');
        INSERT INTO user_retreat_registration (retreat_id, user_id) VALUES (2, 1);
        INSERT INTO gbs (retreat_id, number) VALUES (2, 1);
        INSERT INTO retreat_registration_schedule (retreat_id, name, starts_at)
            VALUES (2, '둘째 날 점심', '2026-07-02 09:00+09'), (2, '밤', '2026-07-02 22:30+09');
        INSERT INTO user_retreat_registration_schedule VALUES (7, 3);
        """,
    )
    async with PostgresStore.open(existing_url) as store:
        assert [each.kind.name for each in await store.schedules("summer")] == ["LUNCH", "SLEEP"]
        retreat = await store.load("summer")
        assert retreat is not None
        (registration,) = retreat.registrations
        assert (registration.is_leader, registration.current_leader) == (False, "")
        assert (await store.load("winter")) is not None


async def test_a_program_that_gives_the_kind_of_a_schedule_is_obeyed(existing_url: str) -> None:
    await PostgresStore.adopt(existing_url, apply=True)
    columns = "retreat_id, name, starts_at, kind"
    await run(
        existing_url,
        f"INSERT INTO retreat_registration_schedule ({columns}) VALUES (1, '점심', now(), 'SLEEP')",
    )
    async with PostgresStore.open(existing_url) as store:
        assert [each.kind.name for each in await store.schedules("winter")].count("SLEEP") == 2


@pytest.mark.parametrize(
    ("sql", "name"),
    [
        ("DROP TRIGGER lineup_outside_update ON gbs", "trigger lineup_outside_update of gbs"),
        (
            "ALTER TABLE gbs DISABLE TRIGGER lineup_outside_update",
            "trigger lineup_outside_update of gbs",
        ),
        ("DROP INDEX one_live_lineup_memo", "index one_live_lineup_memo"),
        ("DROP INDEX admin_audit_at", "index admin_audit_at"),
        ("ALTER TABLE retreat DROP COLUMN pruned_revision", "column retreat.pruned_revision"),
        ("ALTER TABLE gbs ALTER COLUMN memo DROP DEFAULT", "default of gbs.memo"),
        ("ALTER TABLE gbs DROP CONSTRAINT gbs_check", "constraint gbs_check of gbs"),
        (
            "ALTER TABLE user_profile DROP CONSTRAINT user_profile_grade_id_fkey",
            "constraint user_profile_grade_id_fkey of user_profile",
        ),
        ("DROP TABLE lineup_node", "table lineup_node"),
        ("DROP TABLE write_check", "row of write_check"),
        ("DROP TABLE retreat_admin_role", "table retreat_admin_role"),
        ("DROP FUNCTION lineup_reload", "function lineup_reload(p_slug text)"),
        (
            "ALTER FUNCTION lineup_absorb RESET ALL",
            "function lineup_absorb(p_retreat_id bigint)",
        ),
        (
            "GRANT EXECUTE ON FUNCTION lineup_note_outside TO PUBLIC",
            "function lineup_note_outside()",
        ),
        ("DROP TABLE schema_migration", "table schema_migration"),
    ],
)
async def test_what_was_lost_is_added_again(
    database_url: str, outside: DbConnection, sql: str, name: str
) -> None:
    await ask(outside, sql)
    plan = await PostgresStore.adopt(database_url, apply=True)
    assert plan.obstacles == []
    assert name in names(plan)
    assert await PostgresStore.adopt(database_url, apply=True) == Plan([], [])
    async with PostgresStore.open(database_url) as store:
        await store.check_write()


async def test_views_and_types_that_were_lost_are_made_again(
    database_url: str, outside: DbConnection
) -> None:
    sql = "DROP TYPE lineup_delta CASCADE; DROP VIEW lineup_person CASCADE"  # and all that uses it
    await outside.execute(sql, deadline=soon())
    plan = await PostgresStore.adopt(database_url, apply=True)
    assert {"view lineup_person", "view lineup_registration", "type lineup_delta"} <= {*names(plan)}
    async with PostgresStore.open(database_url) as store:
        await (await Desk.of(store)).do(AssignNumber(4, 1))


@pytest.mark.parametrize(
    ("sql", "sentence"),
    [
        ("DROP TABLE user_retreat_registration CASCADE", "there is no table user_retreat_regist"),
        (
            "ALTER TABLE retreat ALTER COLUMN title TYPE integer USING 1",
            "retreat.title is integer, and has to be text (ALTER TABLE retreat ALTER COLUMN title",
        ),
        (
            "ALTER TABLE gbs ADD COLUMN memo varchar(100) NOT NULL DEFAULT ''",
            "gbs.memo is character varying(100), and has to be text",
        ),
        (
            "ALTER TABLE user_retreat_registration DROP CONSTRAINT user_retreat_registration_pkey"
            " CASCADE",
            "user_retreat_registration (id) is not a primary key, which servers rely on (ALTER",
        ),
        (
            "DROP INDEX gbs_of_retreat",
            "gbs (retreat_id, number) is not unique, which servers rely on (ALTER TABLE gbs ADD",
        ),
        (
            "DROP INDEX gbs_of_retreat; INSERT INTO gbs (retreat_id, number) VALUES (1, 3)",
            "gbs (retreat_id, number) is not unique, which servers rely on; 1 row are there more",
        ),
        (
            "DROP INDEX gbs_of_retreat;"
            " CREATE UNIQUE INDEX few ON gbs (retreat_id, number) WHERE number < 100",
            "gbs (retreat_id, number) is not unique, which servers rely on (ALTER TABLE gbs ADD",
        ),
        (
            "UPDATE user_profile SET gender = 'NONE' WHERE id < 3",
            "2 rows of user_profile violate CHECK (gender = ANY",
        ),
        (
            "UPDATE user_profile SET grade_id = 9 WHERE id = 1",
            "1 row of user_profile violate FOREIGN KEY (grade_id)",
        ),
        (
            "ALTER TABLE user_profile ALTER COLUMN phone_number DROP NOT NULL;"
            " UPDATE user_profile SET phone_number = NULL",
            "user_profile.phone_number is NULL in 6 rows",
        ),
        (
            "ALTER TABLE user_profile ALTER COLUMN phone_number DROP NOT NULL",
            "user_profile.phone_number may be NULL, but servers need a value; if no program leaves "
            "it out: ALTER TABLE user_profile ALTER COLUMN phone_number SET NOT NULL",
        ),
        (
            "ALTER TABLE user_retreat_registration ALTER COLUMN is_leader DROP NOT NULL,"
            " ALTER COLUMN is_leader DROP DEFAULT",
            "user_retreat_registration.is_leader may be NULL, but servers need a value; if no "
            "program writes NULL: ALTER TABLE user_retreat_registration ALTER COLUMN is_leader SET "
            "DEFAULT false, ALTER COLUMN is_leader SET NOT NULL",
        ),
        (
            "ALTER TABLE user_profile DROP COLUMN phone_number",
            "user_profile has no column phone_number (text), which servers need, and 6 rows",
        ),
        (
            "TRUNCATE user_profile CASCADE; ALTER TABLE user_profile DROP COLUMN phone_number",
            "user_profile has no column phone_number (text), which servers need, and new rows",
        ),
        (
            "DELETE FROM gbs WHERE id = 9; UPDATE user_retreat_registration SET gbs_id = 1;"
            " ALTER TABLE user_retreat_registration ALTER COLUMN gbs_id SET NOT NULL",
            "user_retreat_registration.gbs_id is NOT NULL, but servers set it to NULL",
        ),
        (
            "ALTER TABLE gbs ADD COLUMN room integer NOT NULL DEFAULT 1;"
            " ALTER TABLE gbs ALTER COLUMN room DROP DEFAULT",
            "gbs.room is NOT NULL without a default, but servers insert rows without it",
        ),
        ("ALTER TABLE gbs ALTER COLUMN id DROP DEFAULT", "gbs.id has no sequence"),
        (
            "ALTER TABLE gbs ALTER COLUMN id SET DEFAULT nextval('gbs_id_seq'::text)",
            "the database does not know which sequence numbers gbs.id (ALTER TABLE gbs ALTER",
        ),
        (
            "CREATE TABLE user_retreat_registration_memo (id bigint GENERATED ALWAYS AS IDENTITY"
            " PRIMARY KEY)",
            "user_retreat_registration_memo.id is GENERATED ALWAYS, but servers choose it",
        ),
        ("CREATE VIEW retreat_admin_role AS SELECT 1 AS one", "retreat_admin_role is not a table"),
        ("CREATE VIEW lineup_person AS SELECT 1 AS one", "the view lineup_person is another one"),
    ],
)
async def test_what_does_not_fit_is_explained_and_nothing_is_changed(
    existing_url: str, sql: str, sentence: str
) -> None:
    await run(existing_url, sql)
    plan = await PostgresStore.adopt(existing_url, apply=True)
    assert any(obstacle.startswith(sentence) for obstacle in plan.obstacles), plan.obstacles
    assert await PostgresStore.adopt(existing_url) == plan
    connection = await connect(existing_url, deadline=soon())
    (row,) = await ask(connection, "SELECT to_regclass('lineup_change') AS made")
    assert row["made"] is None
    connection.terminate()


async def test_a_database_that_is_only_behind_is_to_be_migrated(
    database_url: str, outside: DbConnection
) -> None:
    await ask(outside, "DELETE FROM schema_migration WHERE version > 9")
    plan = await PostgresStore.adopt(database_url)
    assert plan == Plan((), ["its schema is at version 9: run gbs-actor migrate without --adopt"])


async def test_nothing_is_added_while_a_server_runs(
    postgres: PostgresStore, database_url: str, outside: DbConnection
) -> None:
    assert await PostgresStore.adopt(database_url, apply=True) == Plan([], []), "nothing to do"
    await ask(outside, "DROP INDEX admin_audit_at")
    with pytest.raises(DatabaseInUse):
        await PostgresStore.adopt(database_url, apply=True, lock_timeout=0.1)
    assert names(await PostgresStore.adopt(database_url)) == ["index admin_audit_at"]
    await postgres.ping()


async def test_adopting_does_not_wait_long_for_locks_of_others(
    database_url: str, outside: DbConnection
) -> None:
    await ask(outside, "ALTER TABLE gbs DISABLE TRIGGER lineup_outside_update")
    await outside.execute("BEGIN; LOCK TABLE gbs IN ROW EXCLUSIVE MODE", deadline=soon())
    with pytest.raises(LocksHeld, match=rf"the adoption was rolled back.*pid {outside.pid} "):
        await PostgresStore.adopt(database_url, apply=True, wait=0.0)
    await outside.execute("ROLLBACK", deadline=soon())


@pytest.fixture
def role(postgres_cluster: PostgresCluster, existing_url: str) -> Iterator[str]:
    """A user without any right."""
    name, role = name_of(existing_url), f"server_{name_of(existing_url)}"
    postgres_cluster.run_sql(f"CREATE ROLE {role}")
    yield role
    postgres_cluster.run_sql(f"DROP OWNED BY {role}", name)
    postgres_cluster.run_sql(f"DROP ROLE {role}")


async def test_the_servers_user_gets_the_rights_it_needs(existing_url: str, role: str) -> None:
    plan = await PostgresStore.adopt(existing_url, role=role)
    assert "grant DELETE, INSERT, SELECT, UPDATE ON gbs" in names(plan)
    assert "grant SELECT ON grade" in names(plan)
    await PostgresStore.adopt(existing_url, role=role, apply=True)
    assert await PostgresStore.adopt(existing_url, role=role, apply=True) == Plan([], [])
    async with PostgresStore.open(f"{existing_url}&role={role}") as store:
        desk = await Desk.of(store)
        await desk.do(AssignNumber(2, 7))
        await desk.do(CreateMemo(3, "창가", "#FFCC00"))


async def test_the_servers_user_can_absorb_what_other_programs_change(
    existing_url: str, role: str
) -> None:
    await PostgresStore.adopt(existing_url, role=role, apply=True)
    async with PostgresStore.open(f"{existing_url}&role={role}") as store:
        await run(
            existing_url,
            "UPDATE user_retreat_registration SET is_leader = true WHERE id = 3;"
            "UPDATE user_profile SET name = '개명';"
            "INSERT INTO user_profile (id, grade_id, gender, name, phone_number)"
            " VALUES (7, 1, 'MALE', '새사람', '010');"
            "INSERT INTO user_retreat_registration (retreat_id, user_id, is_leader,"
            " current_leader, created_at, updated_at) VALUES (1, 7, false, '', now(), now())",
        )
        assert list(await store.absorb()) == [1]
        desk = await Desk.of(store)
        await desk.do(AssignNumber(2, 7))
        assert await store.absorb() == set()


async def test_the_servers_user_may_use_a_sequence_that_no_column_owns(
    existing_url: str, role: str
) -> None:
    await run(
        existing_url,
        'CREATE SEQUENCE "Groups" START 100;'
        """ ALTER TABLE gbs ALTER COLUMN id SET DEFAULT nextval('"Groups"');"""
        " DROP SEQUENCE gbs_id_seq",
    )
    plan = await PostgresStore.adopt(existing_url, role=role, apply=True)
    assert 'grant USAGE ON SEQUENCE "Groups"' in names(plan)
    assert await PostgresStore.adopt(existing_url, role=role) == Plan([], [])
    async with PostgresStore.open(f"{existing_url}&role={role}") as store:
        await (await Desk.of(store)).do(AssignNumber(2, 7))


async def test_the_servers_user_may_call_every_function_that_is_not_everybodys(
    existing_url: str, role: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sql = """
        CREATE FUNCTION lineup_private(p_one bigint, p_two text) RETURNS void LANGUAGE sql AS '';
        REVOKE EXECUTE ON FUNCTION lineup_private(bigint, text) FROM PUBLIC
    """
    migrations = shipped_migrations()
    migrations.append(Migration(len(migrations) + 1, "private", sql))
    monkeypatch.setattr("gbs_actor.store.postgres.store.shipped_migrations", lambda: migrations)
    grant = "grant EXECUTE ON FUNCTION lineup_private(p_one bigint, p_two text)"
    call = "SELECT lineup_private(1, '')"
    url = f"{existing_url}&role={role}"

    plan = await PostgresStore.adopt(existing_url, role=role, apply=True)
    assert grant in names(plan)
    assert not any("lineup_note_outside" in name for name in names(plan) if "grant" in name)
    await run(url, call)
    await run(existing_url, f"REVOKE EXECUTE ON FUNCTION lineup_private FROM {role}")
    connection = await connect(url, deadline=soon())
    missing = await missing_rights(connection, migrations, deadline=soon())
    assert missing == {"lineup_private(p_one bigint, p_two text)": ["EXECUTE"]}
    connection.terminate()
    assert names(await PostgresStore.adopt(existing_url, role=role, apply=True)) == [grant]
    await run(existing_url, "GRANT EXECUTE ON FUNCTION lineup_private TO PUBLIC")
    assert grant in names(await PostgresStore.adopt(existing_url, role=role, apply=True))
    await run(url, call)


async def test_rights_that_are_missing_are_explained(existing_url: str, role: str) -> None:
    url = f"{existing_url}&role={role}"
    plan = await PostgresStore.adopt(url, role="nobody_of_this_name")
    assert f"the user {role} has no right to SELECT of the table grade" in plan.obstacles
    assert f"GRANT CREATE ON SCHEMA public TO {role} is missing" in plan.obstacles
    assert any(each.startswith("GRANT CREATE ON DATABASE") for each in plan.obstacles)
    assert "there is no role nobody_of_this_name" in plan.obstacles
    parameter = 'GRANT SET ON PARAMETER "gbs.own" TO '
    assert any(each.endswith(parameter + role) for each in plan.obstacles)
    name = name_of(existing_url)
    await run(existing_url, parameter + role)
    for right in ("ALL ON ALL TABLES IN SCHEMA", "CREATE, USAGE ON SCHEMA"):
        await run(existing_url, f"GRANT {right} public TO {role}")
    await run(existing_url, f"GRANT CREATE ON DATABASE {name} TO {role}")
    plan = await PostgresStore.adopt(url)
    assert any(
        each.startswith("the table gbs lacks something, and only its owner ")
        for each in plan.obstacles
    )
