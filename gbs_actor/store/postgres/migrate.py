"""The schema as numbered SQL files, each applied once and never edited afterwards.

Expand, then contract: a migration that only adds says in its first line which servers go on
running while it is applied, and on what it leaves behind::

    -- compatible down to 16

That is the schema's version that such a server was written for. The database keeps it, so that a
server without the file knows, too. Without the line all servers have to be stopped.

What promises that: the tables, views, functions and types that those servers use keep their
columns, signatures and meaning (a changed function gets a new name; a column more of ``gbs``, of
``lineup_registration`` or of a type changes what is sent to them), their inserts fill what is
required, and no lock is kept for longer than they wait.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from typing import Final

import structlog
import trio

from gbs_actor.store.postgres import parameter
from gbs_actor.store.postgres.connection import ConnectionLost, DbConnection, ServerRefused
from gbs_actor.store.postgres.lock_waits import BESIDE_SERVERS, WITHOUT_SERVERS, LockWaits
from gbs_actor.store.postgres.running_servers import DatabaseInUse, exclude_servers, take_locks
from gbs_actor.store.protocol import StoreError

_FILE: Final = re.compile(r"(\d{4})_(\w+)\.sql")
_COMPATIBLE: Final = re.compile(r"-- compatible down to ([1-9]\d{0,3})")
_LIKE_COMPATIBLE: Final = re.compile(r"^\W*compatible\b", re.IGNORECASE | re.MULTILINE)
_TABLE: Final = re.compile(r"^CREATE (?:UNLOGGED )?TABLE (\w+)", re.MULTILINE)
_LOCK_KEY: Final = 0x6762_736D_6967_7261
"""Of the advisory lock that migrating servers hold; "gbsmigra" in ASCII."""

_UNLOCK_ALL = "SELECT pg_advisory_unlock_all()"
_UNLOCK_TIMEOUT = 2.0
_CREATE_HISTORY = """
CREATE TABLE IF NOT EXISTS schema_migration (
    version    integer PRIMARY KEY,
    name       text NOT NULL,
    checksum   text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now(),
    compatible_down_to integer
)
"""
_HAS_COMPATIBILITY = """
SELECT FROM pg_attribute
    WHERE attrelid = 'schema_migration'::regclass AND attname = 'compatible_down_to'
        AND NOT attisdropped
"""
_ADD_COMPATIBILITY = (
    "ALTER TABLE schema_migration ADD COLUMN IF NOT EXISTS compatible_down_to integer"
)
_HISTORY = """
SELECT version, checksum,
       -- The table of a former version has no such column.
       (to_jsonb(applied) ->> 'compatible_down_to')::integer AS compatible_down_to
    FROM schema_migration AS applied ORDER BY version
"""
_FOREIGN = """
SELECT name FROM unnest($1::text[]) AS name WHERE to_regclass(name) IS NOT NULL ORDER BY name
"""
_RECORD = """
INSERT INTO schema_migration (version, name, checksum, compatible_down_to) VALUES ($1, $2, $3, $4)
"""

ADOPT: Final = "gbs-actor migrate --adopt explains and adds what the tables of other programs lack"
"""What to do with a database that has such tables."""

_log = structlog.get_logger(__name__)


class SchemaMismatch(StoreError):
    """The database's schema is not that of this program."""


class MigrationRefused(StoreError):
    """The user may not do what a migration needs. Nothing was applied."""


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

    @property
    def tables(self) -> list[str]:
        """The tables that it creates."""
        return _TABLE.findall(self.sql)

    @property
    def compatible_down_to(self) -> int | None:
        """The lowest version of the schema whose servers may go on running; ``None``: none may.

        :raises SchemaMismatch: the script says it otherwise than in its first line, or of itself.
        """
        first, _, others = self.sql.partition("\n")
        said = _COMPATIBLE.fullmatch(first.rstrip("\r"))
        if _LIKE_COMPATIBLE.search(others if said else self.sql):
            raise SchemaMismatch(f"{self} has to say in its first line: -- compatible down to …")
        if said is None:
            return None
        if int(said[1]) >= self.version:
            raise SchemaMismatch(f"{self} can be compatible only down to a version before its own")
        return int(said[1])

    def __str__(self) -> str:
        return f"migration {self.version:04}_{self.name}"


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


def compatible_down_to(migrations: Sequence[Migration]) -> int | None:
    """Return the lowest version whose servers may run while all of these are applied.

    ``None``: none may.
    """
    lowest = 0
    for migration in migrations:
        if migration.compatible_down_to is None:
            return None
        lowest = max(lowest, migration.compatible_down_to)
    return lowest


async def pending_migrations(
    connection: DbConnection, migrations: Sequence[Migration], *, deadline: float
) -> list[Migration]:
    """Return those that the database does not have yet.

    It may have later ones that this program does not know, if they are compatible with it.

    :raises SchemaMismatch: it has others that are unknown, or different, in this program.
    """
    known = await connection.fetch("SELECT to_regclass('schema_migration') AS t", deadline=deadline)
    if known[0]["t"] is None:
        return list(migrations)
    rows = await connection.fetch(_HISTORY, deadline=deadline)
    for row, migration in zip(rows, migrations, strict=False):
        if (row["version"], row["checksum"]) != (migration.version, migration.checksum):
            raise SchemaMismatch(
                f"{migration} is not the one that was applied to the database: it has been edited "
                "since"
            )
    for row in rows[len(migrations) :]:
        lowest = row["compatible_down_to"]
        if lowest is None or lowest > len(migrations):
            raise SchemaMismatch(
                f"the database's schema is at version {rows[-1]['version']}, this program knows "
                f"{len(migrations)}, and version {row['version']} is "
                f"{'not compatible' if lowest is None else f'compatible only down to {lowest}'}: "
                "use a newer program"
            )
    return list(migrations[len(rows) :])


async def check_schema(
    connection: DbConnection, migrations: Sequence[Migration], *, deadline: float
) -> None:
    """Refuse a database that this program cannot serve.

    :raises SchemaMismatch: it lacks migrations, or has others.
    """
    if pending := await pending_migrations(connection, migrations, deadline=deadline):
        raise SchemaMismatch(
            f"the database's schema lacks {len(pending)} of {len(migrations)} migrations; "
            f"migrate it first: {how_to_apply(pending)}"
        )


def how_to_apply(pending: Sequence[Migration]) -> str:
    """Return what an operator has to do."""
    lowest = compatible_down_to(pending)
    if lowest is None:
        return "stop all servers and run: gbs-actor migrate"
    return f"run gbs-actor migrate (servers of schema {lowest} and later may go on running)"


async def foreign_tables(
    connection: DbConnection, pending: Sequence[Migration], *, deadline: float
) -> list[str]:
    """Return the tables of other programs that the first migration would create."""
    if pending[0].version > 1:
        return []
    rows = await connection.fetch(_FOREIGN, pending[0].tables, deadline=deadline)
    return [row["name"] for row in rows]


async def migrate(
    connection: DbConnection,
    migrations: Sequence[Migration],
    *,
    step_timeout: float,
    servers_wait: float = 3.0,
    locks_wait: float = 60.0,
    observer: DbConnection | None = None,
) -> list[Migration]:
    """Bring the schema up to date and return what was applied.

    Several servers may start at once: one migrates, the others wait. Each migration is a
    transaction of its own, so an interruption leaves only complete ones.

    :param connection: holds no advisory locks; used for nothing else meanwhile.
    :param step_timeout: seconds that waiting for another server, and each migration, may take.
    :param servers_wait: seconds to wait for servers that may not run meanwhile.
    :param locks_wait: seconds to wait, in all, for locks that other programs hold.
    :param observer: finds out who holds them.
    :raises SchemaMismatch: the database has a newer schema, or other migrations.
    :raises MigrationRefused: the user may not do it.
    :raises DatabaseInUse: servers run that may not. Nothing was applied.
    :raises LocksHeld: another program did not release its locks in time.
    :raises ServerRefused: a migration failed, and was rolled back.
    :raises ConnectionLost: the connection was lost.
    """
    async with only_one(connection, step_timeout):
        deadline = trio.current_time() + step_timeout
        pending = await pending_migrations(connection, migrations, deadline=deadline)
        if not pending:
            return []
        if found := await foreign_tables(connection, pending, deadline=deadline):
            raise MigrationRefused(f"{ADOPT} ({', '.join(found)})")
        if any(parameter.SETTING in migration.sql for migration in pending) and (
            missing := await parameter.missing_parameter(connection, deadline=deadline)
        ):
            raise MigrationRefused(missing)
        lowest = compatible_down_to(pending)
        await exclude_servers(
            connection,
            lowest,
            pending[-1].version,
            query_timeout=step_timeout,
            longest_wait=servers_wait,
        )
        locks = LockWaits(
            connection,
            observer,
            lock_timeout=WITHOUT_SERVERS if lowest is None else BESIDE_SERVERS,
            longest_wait=locks_wait,
            step_timeout=step_timeout,
        )
        await locks.run("the history of migrations", partial(_prepare_history, connection))
        for migration in pending:
            await locks.run(str(migration), partial(_apply, connection, migration))
            _log.info("schema migrated", version=migration.version, name=migration.name)
        return pending


@asynccontextmanager
async def only_one(connection: DbConnection, longest_wait: float) -> AsyncIterator[None]:
    """Keep others from changing the schema within the block; behind it, release all such locks.

    :param longest_wait: seconds to wait for another one that does.
    :raises DatabaseInUse: it still does.
    """
    try:
        if not await take_locks(
            connection, [_LOCK_KEY], query_timeout=longest_wait, longest_wait=longest_wait
        ):
            raise DatabaseInUse("another program is migrating this database; wait until it is done")
        yield
    finally:
        if not connection.closed:
            deadline = trio.current_time() + _UNLOCK_TIMEOUT
            try:
                with trio.CancelScope(shield=True):
                    await connection.fetch(_UNLOCK_ALL, deadline=deadline)
            except (ConnectionLost, ServerRefused):
                connection.terminate()  # releases them, too


def history_of(migrations: Sequence[Migration]) -> str:
    """Return statements that record migrations as applied."""
    rows = ",\n    ".join(
        f"({each.version}, '{each.name}', '{each.checksum}', {each.compatible_down_to or 'NULL'})"
        for each in migrations
    )
    return (
        f"{_CREATE_HISTORY.strip()};\n"
        f"{_ADD_COMPATIBILITY};\n"  # a former version may have made it, and failed then
        "INSERT INTO schema_migration (version, name, checksum, compatible_down_to) VALUES\n"
        f"    {rows}"
    )


async def _prepare_history(connection: DbConnection, deadline: float) -> None:
    await connection.execute(_CREATE_HISTORY, deadline=deadline)
    if not await connection.fetch(_HAS_COMPATIBILITY, deadline=deadline):
        await connection.execute(_ADD_COMPATIBILITY, deadline=deadline)


async def _apply(connection: DbConnection, migration: Migration, deadline: float) -> None:
    await connection.execute(migration.sql, deadline=deadline)
    await connection.fetch(
        _RECORD,
        *(migration.version, migration.name, migration.checksum, migration.compatible_down_to),
        deadline=deadline,
    )
