"""The schema as numbered SQL files, each applied once and never edited afterwards."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

import structlog
import trio

from gbs_actor.store.postgres.connection import DbConnection
from gbs_actor.store.protocol import StoreError

_FILE = re.compile(r"(\d{4})_(\w+)\.sql")
_LOCK_KEY = 0x6762_736D_6967_7261
"""Of the advisory lock that migrating servers hold; "gbsmigra" in ASCII."""

_LOCK = "SELECT pg_advisory_lock($1)"
_UNLOCK = "SELECT pg_advisory_unlock($1)"
_CREATE_HISTORY = """
CREATE TABLE IF NOT EXISTS schema_migration (
    version    integer PRIMARY KEY,
    name       text NOT NULL,
    checksum   text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)
"""

_log = structlog.get_logger(__name__)


class SchemaMismatch(StoreError):
    """The database's schema is not that of this program."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of the schema."""

    version: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """A hash of the script, line ends apart: another one if the file was edited."""
        return hashlib.sha256(self.sql.replace("\r\n", "\n").encode()).hexdigest()


def shipped_migrations() -> list[Migration]:
    """Return the migrations of this program, by version from 1 without gaps."""
    found = []
    for entry in (files("gbs_actor.store.postgres") / "migrations").iterdir():
        if named := _FILE.fullmatch(entry.name):
            found.append(Migration(int(named[1]), named[2], entry.read_text("utf-8")))
    found.sort(key=lambda migration: migration.version)
    if [migration.version for migration in found] != list(range(1, len(found) + 1)):
        raise SchemaMismatch("the migrations of this program are not numbered from 1 without gaps")
    return found


async def pending_migrations(
    connection: DbConnection, migrations: Sequence[Migration], *, deadline: float
) -> list[Migration]:
    """Return those that the database does not have yet.

    :raises SchemaMismatch: it has one that is unknown, or different, in this program.
    """
    known = await connection.fetch("SELECT to_regclass('schema_migration') AS t", deadline=deadline)
    if known[0]["t"] is None:
        return list(migrations)
    rows = await connection.fetch(
        "SELECT version, name, checksum FROM schema_migration ORDER BY version", deadline=deadline
    )
    if len(rows) > len(migrations):
        raise SchemaMismatch(
            f"the database's schema is at version {len(rows)}, this program knows "
            f"{len(migrations)}: use a newer program"
        )
    for row, migration in zip(rows, migrations, strict=False):
        if (row["version"], row["checksum"]) != (migration.version, migration.checksum):
            raise SchemaMismatch(
                f"migration {migration.version:04}_{migration.name} is not the one that was "
                "applied to the database: it has been edited since"
            )
    return list(migrations[len(rows) :])


async def migrate(
    connection: DbConnection, migrations: Sequence[Migration], *, step_timeout: float
) -> list[Migration]:
    """Bring the schema up to date and return what was applied.

    Several servers may start at once: one migrates, the others wait. Each migration is a
    transaction of its own, so an interruption leaves only complete ones.

    :param step_timeout: seconds that waiting for another server, and each migration, may take.
    :raises SchemaMismatch: the database has a newer schema, or other migrations.
    :raises ServerRefused: a migration failed, and was rolled back.
    :raises ConnectionLost: the connection was lost.
    """

    def deadline() -> float:
        return trio.current_time() + step_timeout

    await connection.fetch(_LOCK, _LOCK_KEY, deadline=deadline())
    try:
        await connection.execute(_CREATE_HISTORY, deadline=deadline())
        pending = await pending_migrations(connection, migrations, deadline=deadline())
        for migration in pending:
            async with connection.transaction(deadline=deadline(), commit_timeout=step_timeout):
                await connection.execute(migration.sql, deadline=deadline())
                await connection.fetch(
                    "INSERT INTO schema_migration (version, name, checksum) VALUES ($1, $2, $3)",
                    *(migration.version, migration.name, migration.checksum),
                    deadline=deadline(),
                )
            _log.info("schema migrated", version=migration.version, name=migration.name)
        return pending
    finally:
        if not connection.closed:
            with trio.CancelScope(shield=True):
                await connection.fetch(
                    "SELECT pg_advisory_unlock($1)", _LOCK_KEY, deadline=deadline()
                )
