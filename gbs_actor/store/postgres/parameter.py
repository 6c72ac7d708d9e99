"""The parameter gbs.own, which functions of the line-up carry: who may create such functions."""

from __future__ import annotations

from typing import Final

from gbs_actor.store.postgres.connection import DbConnection

SETTING: Final = "SET gbs.own = "
"""How a function carries it."""

_USER = """
SELECT current_setting('server_version_num')::int / 10000 AS version, rolsuper AS super,
       quote_ident(current_user) AS name
    FROM pg_roles WHERE rolname = current_user
"""
_MAY_SET = "SELECT has_parameter_privilege('gbs.own', 'SET') AS may"
_FIRST_WITH_GRANTS = 15


async def missing_parameter(connection: DbConnection, *, deadline: float) -> str | None:
    """Return what a superuser has to do first; ``None``: the user may create such functions.

    PostgreSQL lets nobody else create functions with a parameter that it does not know.
    """
    (user,) = await connection.fetch(_USER, deadline=deadline)
    if user["super"]:
        return None
    if user["version"] < _FIRST_WITH_GRANTS:
        return (
            f"the user {user['name']} may not create functions with the parameter gbs.own: in this "
            "version of PostgreSQL only a superuser may"
        )
    if (await connection.fetch(_MAY_SET, deadline=deadline))[0]["may"]:
        return None
    return (
        f"the user {user['name']} may not create functions with the parameter gbs.own: let a "
        f'superuser run once GRANT SET ON PARAMETER "gbs.own" TO {user["name"]}'
    )
