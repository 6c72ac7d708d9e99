"""What a role of another program can reach: the tables that it was granted, and no more."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final
from uuid import uuid4

import pytest

from gbs_actor.store.postgres.connection import DbConnection, ServerRefused
from gbs_actor.store.postgres.store import PostgresStore
from tests.store.other_clients import ask
from tests.store.worlds import Desk

REGISTRATIONS: Final = (
    "user_retreat_registration, user_retreat_registration_memo, user_retreat_registration_schedule,"
    " gbs, user_profile"
)
"""What a program that registers people writes."""

EVERYBODYS: Final = """
SELECT relname AS name FROM pg_class,
        aclexplode(coalesce(relacl, acldefault(
            CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", relowner))) AS granted
    WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'S', 'v', 'm', 'p')
        AND granted.grantee = 0
UNION ALL
SELECT proname FROM pg_proc, aclexplode(coalesce(proacl, acldefault('f', proowner))) AS granted
    WHERE pronamespace = current_schema()::regnamespace AND prosecdef AND granted.grantee = 0
"""
"""Tables and sequences on which PUBLIC has a right; functions that it may run as their owner."""


@pytest.fixture
async def program(postgres: PostgresStore, outside: DbConnection) -> AsyncIterator[DbConnection]:
    """A connection of a role that may write registrations and read their retreats."""
    role = f"registration_{uuid4().hex}"
    await ask(outside, f"CREATE ROLE {role}")
    await ask(outside, f"GRANT SELECT, INSERT, UPDATE, DELETE ON {REGISTRATIONS} TO {role}")
    await ask(outside, f"GRANT SELECT ON retreat, grade, univ_group TO {role}")
    await ask(outside, f"SET ROLE {role}")
    yield outside
    await ask(outside, "RESET ROLE")
    await ask(outside, f"DROP OWNED BY {role}")
    await ask(outside, f"DROP ROLE {role}")


async def test_everybody_has_no_right_on_any_table_or_on_what_runs_as_its_owner(
    postgres: PostgresStore, outside: DbConnection
) -> None:
    assert await ask(outside, EVERYBODYS) == []
    await ask(outside, "GRANT SELECT ON lineup_node TO PUBLIC")
    await ask(outside, "GRANT EXECUTE ON FUNCTION lineup_note_outside() TO PUBLIC")
    found = [row["name"] for row in await ask(outside, EVERYBODYS)]
    assert found == ["lineup_node", "lineup_note_outside"]


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO lineup_node_action (id, run_id, request, asked_at, deadline) "
        "VALUES (gen_random_uuid(), gen_random_uuid(), '', now(), now())",
        "SELECT request FROM lineup_node_action",
        "UPDATE lineup_node SET status = ''",
        "SELECT * FROM session_place",
        "DELETE FROM session_place",
        "SELECT session_take_over('')",
        "INSERT INTO lineup_outside (retreat_id, whole) VALUES (1, true)",
        "SELECT operator_name FROM admin_audit",
        "DELETE FROM lineup_change",
        "UPDATE retreat SET revision = 0",
        "INSERT INTO retreat_admin_role VALUES (1, 1, 'ADMIN_MINISTER')",
        "SELECT lineup_absorb(1)",
        "SELECT lineup_reload('2024-winter')",
        "CREATE TRIGGER mine AFTER INSERT ON gbs EXECUTE FUNCTION lineup_note_truncate()",
    ],
)
async def test_who_may_write_registrations_reaches_nothing_of_the_servers(
    program: DbConnection, statement: str
) -> None:
    with pytest.raises(ServerRefused, match=r"\(42501\)"):  # insufficient_privilege
        await ask(program, statement)


FORGED: Final = """
CREATE FUNCTION jsonb_build_object(text, boolean) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'called as %', current_user;
END
$$
"""
"""It matches what triggers call better than the function of PostgreSQL."""


async def test_triggers_call_no_function_that_others_have_created(
    postgres: PostgresStore, program: DbConnection
) -> None:
    await Desk.of(postgres)
    (row,) = await ask(program, "SELECT current_user AS role, current_schema() AS schema")
    await ask(program, "RESET ROLE")
    await ask(program, f"GRANT CREATE ON SCHEMA {row['schema']} TO {row['role']}")
    await ask(program, f"SET ROLE {row['role']}")
    await ask(program, FORGED)
    await ask(program, "UPDATE user_retreat_registration SET is_leader = NOT is_leader")
    await ask(program, "UPDATE gbs SET number = number + 50")


async def test_it_takes_no_more_to_write_registrations(program: DbConnection) -> None:
    for table in REGISTRATIONS.split(", "):
        await ask(program, f"DELETE FROM {table}")  # with the triggers, though there are no rows
