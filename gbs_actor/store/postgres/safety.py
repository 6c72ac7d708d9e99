"""Whether a database keeps what it confirms: checked before it is used."""

from __future__ import annotations

from gbs_actor.store.postgres.connection import DbConnection
from gbs_actor.store.protocol import StoreError

MINIMUM_VERSION = 14
"""The first PostgreSQL version that notices a client's disconnect while a statement runs."""

_QUESTION = """
SELECT current_setting('server_version_num')::int / 10000 AS version,
       current_setting('fsync') AS fsync,
       current_setting('full_page_writes') AS full_page_writes,
       current_setting('synchronous_commit') AS synchronous_commit,
       current_setting('server_encoding') AS encoding,
       pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on' AS read_only
"""


class UnsafeDatabase(StoreError):
    """The database would lose what it has confirmed, or cannot be written to at all."""


async def check_safety(connection: DbConnection, *, deadline: float) -> None:
    """Refuse a database that does not keep what it confirms.

    :param deadline: in Trio's time.
    :raises UnsafeDatabase: names the wrong setting.
    """
    row = (await connection.fetch(_QUESTION, deadline=deadline))[0]
    if row["version"] < MINIMUM_VERSION:
        raise UnsafeDatabase(
            f"the database is PostgreSQL {row['version']}; at least {MINIMUM_VERSION} is needed"
        )
    for setting in ("fsync", "full_page_writes", "synchronous_commit"):
        if row[setting] == "off":
            raise UnsafeDatabase(
                f"the database runs with {setting} = off and may lose confirmed changes; turn it on"
            )
    if row["encoding"] != "UTF8":
        raise UnsafeDatabase(f"the database is encoded in {row['encoding']}; it has to be UTF8")
    if row["read_only"]:
        raise UnsafeDatabase("the database is read-only, a standby perhaps; name the primary")
