"""Adopts a database, in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import trio

from gbs_actor.store.postgres.adoption.catalog import Catalog, read_catalog
from gbs_actor.store.postgres.adoption.comparison import Comparison, Plan, Step
from gbs_actor.store.postgres.connection import DbConnection, Row
from gbs_actor.store.postgres.lock_waits import WITHOUT_SERVERS, LockWaits
from gbs_actor.store.postgres.migrate import (
    Migration,
    history_of,
    only_one,
    pending_migrations,
)
from gbs_actor.store.postgres.parameter import missing_parameter
from gbs_actor.store.postgres.rights import missing_calls, missing_table_rights
from gbs_actor.store.postgres.running_servers import exclude_servers
from gbs_actor.store.protocol import StoreError

_HERE: Final = """
SELECT current_schema() AS schema, quote_ident(current_schema()) AS quoted_schema,
       has_schema_privilege(current_schema(), 'CREATE') AS may_create,
       has_database_privilege(current_database(), 'CREATE') AS may_try,
       quote_ident(current_database()) AS database, quote_ident(current_user) AS user,
       quote_ident($1) AS role, EXISTS (SELECT FROM pg_roles WHERE rolname = $1) AS has_role
"""
_USAGE: Final = """
SELECT name || '_id_seq' AS sequence FROM unnest($1::text[]) AS name WHERE to_regclass(name) IS NULL
UNION ALL
SELECT sequence.oid::regclass::text
    FROM pg_class AS sequence
    -- CASE: it fails for other relations.
    WHERE CASE relkind WHEN 'S' THEN NOT has_sequence_privilege($2, sequence.oid, 'USAGE') END
    AND EXISTS (
        SELECT FROM unnest($1::text[]) AS name
            JOIN pg_attribute ON attrelid = to_regclass(name) AND attname = 'id'
            LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
            JOIN pg_depend ON
                -- Of the column; or of its default, as sequences have it that no column owns.
                (classid, objid, refclassid, refobjid, refobjsubid) =
                    ('pg_class'::regclass, sequence.oid, 'pg_class'::regclass, attrelid, attnum)
                OR (classid, objid, refclassid, refobjid) =
                    ('pg_attrdef'::regclass, pg_attrdef.oid, 'pg_class'::regclass, sequence.oid)
    )
"""
_MAY_ENTER: Final = "SELECT has_schema_privilege($1, current_schema(), 'USAGE') AS may"
_NUMBERED: Final = ["gbs", "user_retreat_registration_memo"]
"""Tables whose next id servers ask for."""


async def adopt(
    connection: DbConnection,
    migrations: Sequence[Migration],
    *,
    role: str | None,
    apply: bool,
    step_timeout: float,
    servers_wait: float,
    locks_wait: float,
    observer: DbConnection | None = None,
) -> Plan:
    """Return what a database lacks; add it if asked to, unless there are obstacles.

    :param connection: see :func:`~gbs_actor.store.postgres.migrate.migrate`, as for the others.
    :param role: the user of the servers, who gets the rights they need; ``None``: the same user.
    :raises SchemaMismatch: the database has a newer schema, or other migrations.
    :raises DatabaseInUse: servers run, where something is to be added.
    :raises LocksHeld: another program did not release its locks in time.
    :raises ServerRefused: a statement failed; nothing was added.
    """
    deadline = trio.current_time() + step_timeout
    async with connection.transaction(deadline=deadline):
        plan = await _plan(connection, migrations, role, deadline)
    if not apply or not plan.steps or plan.obstacles:
        return plan

    async def step(deadline: float) -> None:
        nonlocal plan
        plan = await _plan(connection, migrations, role, deadline)
        if not plan.obstacles:
            await _carry_out(plan, connection, migrations, role, deadline)

    async with only_one(connection, step_timeout):
        version = len(migrations)
        await exclude_servers(
            connection, None, version, query_timeout=step_timeout, longest_wait=servers_wait
        )
        locks = LockWaits(
            connection,
            observer,
            lock_timeout=WITHOUT_SERVERS,
            longest_wait=locks_wait,
            step_timeout=step_timeout,
        )
        await locks.run("the adoption", step)
    return plan


async def _carry_out(
    plan: Plan,
    connection: DbConnection,
    migrations: Sequence[Migration],
    role: str | None,
    deadline: float,
) -> None:
    for step in plan.steps:
        await connection.execute(step.sql, deadline=deadline)
    if plan.steps:
        left = await _plan(connection, migrations, role, deadline)
        if left.steps or left.obstacles:
            names = [*(step.name for step in left.steps), *left.obstacles]
            raise StoreError(f"the adoption was rolled back: it would leave {', '.join(names)}")


async def _plan(
    connection: DbConnection, migrations: Sequence[Migration], role: str | None, deadline: float
) -> Plan:
    pending = await pending_migrations(connection, migrations, deadline=deadline)
    if 0 < len(pending) < len(migrations):
        known = len(migrations) - len(pending)
        return Plan(
            (), [f"its schema is at version {known}: run gbs-actor migrate without --adopt"]
        )
    (here,) = await connection.fetch(_HERE, role, deadline=deadline)
    denied = await missing_table_rights(
        connection, migrations, without_table=False, deadline=deadline
    )
    obstacles = _without_permission(here, denied, role)
    if (text := await missing_parameter(connection, deadline=deadline)) is not None:
        obstacles.append(text)
    if obstacles:
        return Plan((), obstacles)
    wanted = await _wanted(connection, migrations, here["schema"], deadline)
    names = list(wanted.relations)
    actual = await read_catalog(connection, here["quoted_schema"], names, deadline=deadline)
    found = await Comparison(wanted, actual, connection, deadline).plan()
    steps = list(found.steps)
    if pending:
        reason = "the migrations are applied, as far as they concern what is there"
        steps.append(Step("table schema_migration", history_of(migrations), reason))
    if role is not None:
        grants = await _grants(connection, migrations, role, here, deadline)
        lacking = await missing_calls(connection, migrations, role=role, deadline=deadline)
        grants += [
            f"EXECUTE ON FUNCTION {name}"
            for name, function in wanted.functions.items()
            # What is made for nobody else is revoked from everybody.
            if name in lacking
            or (
                not (function.public or function.of_trigger)
                and actual.functions.get(name) != function
            )
        ]
        to, reason = f"TO {here['role']}", "servers are this user"
        steps += [Step(f"grant {each}", f"GRANT {each} {to}", reason) for each in grants]
    return Plan(steps, found.obstacles)


def _without_permission(here: Row, denied: dict[str, Sequence[str]], role: str | None) -> list[str]:
    user = here["user"]
    obstacles = [
        f"the user {user} has no right to {', '.join(rights)} of the table {name}"
        for name, rights in denied.items()
    ]
    if here["schema"] is None:
        obstacles.append("the search_path of the user names no schema that is there")
    elif not here["may_create"]:
        schema = here["quoted_schema"]
        obstacles.append(f"GRANT CREATE ON SCHEMA {schema} TO {user} is missing")
    if not here["may_try"]:  # the schema in which the migrations are run
        obstacles.append(f"GRANT CREATE ON DATABASE {here['database']} TO {user} is missing")
    if role is not None and not here["has_role"]:
        obstacles.append(f"there is no role {role}")
    return obstacles


async def _wanted(
    connection: DbConnection, migrations: Sequence[Migration], schema: str, deadline: float
) -> Catalog:
    """Return what the migrations make of an empty schema."""
    trial = f"gbs_actor_trial_{connection.pid}"
    await connection.execute(
        f"SAVEPOINT trial; CREATE SCHEMA {trial}; SET LOCAL search_path = {trial}",
        deadline=deadline,
    )
    for migration in migrations:
        await connection.execute(migration.sql, deadline=deadline)
    found = await read_catalog(connection, trial, deadline=deadline)
    await connection.execute("ROLLBACK TO trial; RELEASE trial", deadline=deadline)
    functions = {
        # Some carry the schema in their search_path.
        name: replace(each, definition=each.definition.replace(trial, schema))
        for name, each in found.functions.items()
    }
    return replace(found, functions=functions)


async def _grants(
    connection: DbConnection,
    migrations: Sequence[Migration],
    role: str,
    here: Row,
    deadline: float,
) -> list[str]:
    """Return what a role lacks of tables and sequences."""
    grants = []
    if not (await connection.fetch(_MAY_ENTER, role, deadline=deadline))[0]["may"]:
        grants.append(f"USAGE ON SCHEMA {here['quoted_schema']}")
    missing = await missing_table_rights(connection, migrations, role=role, deadline=deadline)
    grants += [f"{', '.join(rights)} ON {name}" for name, rights in missing.items()]
    rows = await connection.fetch(_USAGE, _NUMBERED, role, deadline=deadline)
    return grants + [f"USAGE ON SEQUENCE {row['sequence']}" for row in rows]
