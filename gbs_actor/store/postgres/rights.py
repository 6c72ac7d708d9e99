"""The rights on tables, views and functions that a server needs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from gbs_actor.store.postgres.connection import DbConnection
from gbs_actor.store.postgres.migrate import Migration

ONLY_READ: Final = frozenset(
    {
        "univ_group",
        "grade",
        "user_profile",
        "retreat_registration_schedule",
        "user_retreat_registration_schedule",
        "retreat_admin_role",
    }
)
"""The tables that a server only reads; it may have to write to all others."""

_VIEW: Final = re.compile(r"^CREATE VIEW (\w+)", re.MULTILINE)

_MISSING = """
SELECT name, array_agg(privilege ORDER BY privilege) AS privileges
FROM unnest($1::text[], $2::text[]) AS needed (name, privilege)
WHERE CASE WHEN to_regclass(name) IS NULL THEN $4
      ELSE NOT has_table_privilege(coalesce($3, current_user), name, privilege) END
GROUP BY name ORDER BY name
"""

_NOT_CALLABLE = """
SELECT proname, format('%s(%s)', proname, pg_get_function_identity_arguments(oid)) AS name
    FROM pg_proc
    WHERE pronamespace = to_regnamespace(quote_ident(current_schema())) AND prokind = 'f'
        AND proname ~ '^(lineup|session)_'
        -- Nobody has to have a right to what a trigger calls.
        AND prorettype <> 'trigger'::regtype
        AND NOT has_function_privilege(coalesce($1, current_user), oid, 'EXECUTE')
    ORDER BY oid
"""


async def missing_rights(
    connection: DbConnection, migrations: Sequence[Migration], *, deadline: float
) -> dict[str, Sequence[str]]:
    """Return the privileges that the user of the connection lacks, by table or function."""
    missing = await missing_table_rights(connection, migrations, deadline=deadline)
    calls = await missing_calls(connection, migrations, deadline=deadline)
    return missing | {name: ["EXECUTE"] for name in calls}


async def missing_table_rights(
    connection: DbConnection,
    migrations: Sequence[Migration],
    *,
    role: str | None = None,
    without_table: bool = True,
    deadline: float,
) -> dict[str, Sequence[str]]:
    """Return the privileges that a role lacks, by table or view.

    :param role: ``None``: the user of the connection.
    :param without_table: whether they lack where there is no such table.
    """
    tables = [name for each in migrations for name in each.tables]
    views = [name for each in migrations for name in _VIEW.findall(each.sql)]
    needed = [(name, "SELECT") for name in [*tables, *views, "schema_migration"]]
    needed += [
        (name, privilege)
        for name in tables
        if name not in ONLY_READ
        for privilege in ("INSERT", "UPDATE", "DELETE")
    ]
    names, privileges = zip(*needed, strict=True)
    rows = await connection.fetch(
        _MISSING, names, privileges, role, without_table, deadline=deadline
    )
    return {row["name"]: row["privileges"] for row in rows}


async def missing_calls(
    connection: DbConnection,
    migrations: Sequence[Migration],
    *,
    role: str | None = None,
    deadline: float,
) -> list[str]:
    """Return the functions, with their arguments, that are there but that a role may not call.

    :param role: ``None``: the user of the connection.
    """
    rows = await connection.fetch(_NOT_CALLABLE, role, deadline=deadline)
    made = "\n".join(each.sql for each in migrations)
    return [row["name"] for row in rows if row["proname"] in made]
