"""Checks of the database: safe, rights, schema, the server it has, clock."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import trio

from gbs_actor.auth import LEEWAY
from gbs_actor.server.checks.finding import Finding, error, ok, warning
from gbs_actor.settings import Settings, toml_value
from gbs_actor.store.embedded.binaries import BinariesMissing, find_installation
from gbs_actor.store.embedded.data_folder import DataFolder, UnsuitableFolder
from gbs_actor.store.embedded.postmaster import processes_of
from gbs_actor.store.embedded.server import EmbeddedPostgres
from gbs_actor.store.postgres.connection import (
    ConnectionLost,
    DbConnection,
    NotConnected,
    ServerRefused,
    connect,
)
from gbs_actor.store.postgres.database import CLOSE_TIMEOUT
from gbs_actor.store.postgres.migrate import (
    ADOPT,
    SchemaMismatch,
    foreign_tables,
    how_to_apply,
    pending_migrations,
    shipped_migrations,
)
from gbs_actor.store.postgres.rights import missing_rights
from gbs_actor.store.postgres.running_servers import LOCK_KEY, running_servers
from gbs_actor.store.postgres.safety import UnsafeDatabase, check_safety

CLOCKS_DIFFER: Final = 2.0
"""Seconds between two clocks that are worth a warning."""

_VERSION = "SELECT current_setting('server_version') AS version"
_NOW = "SELECT extract(epoch FROM clock_timestamp())::float8 AS now"
_LOCAL_FOLDER = """
SELECT current_setting('data_directory') AS folder
WHERE inet_server_addr() IS NULL OR inet_server_addr() = inet_client_addr()
"""


@dataclass(frozen=True, slots=True)
class DatabaseCheck:
    """What was found out about the database."""

    findings: Sequence[Finding]
    folder: Path | None
    """Its folder, if that is on this machine and known."""


class _Undo(Exception):
    """Rolls a transaction back."""


async def check_database(settings: Settings, *, server_runs: bool | None) -> DatabaseCheck:
    """Check the database of the settings. An embedded one that does not run is not started.

    :param server_runs: whether a server of ours has the port; ``None``: unknown.
    """
    url = settings.store.database_url
    if url is not None:
        return await _check_connected(
            url.get_secret_value(), toml_value(url).strip('"'), settings, server_runs=server_runs
        )
    folder = DataFolder(settings.store.data_dir.absolute())
    if sys.platform != "linux":
        text = "the embedded database runs on Linux only"
        return DatabaseCheck([error("database", text, "set GBS_DATABASE_URL")], folder.base)
    if _is_running(folder):
        dsn = EmbeddedPostgres(folder.base).dsn
        found = await _check_connected(
            dsn, f"the embedded PostgreSQL in {folder.base}", settings, server_runs=server_runs
        )
        return DatabaseCheck(found.findings, folder.base)
    return DatabaseCheck(list(_check_embedded(folder)), folder.base)


def _is_running(folder: DataFolder) -> bool:
    with processes_of(folder.data) as found:
        return any(process.is_postmaster for process in found)


def _check_embedded(folder: DataFolder) -> Iterator[Finding]:
    """Check what the embedded database needs for its start."""
    version = None
    try:
        if folder.base.exists():
            folder.check_permissions()
            version = int((folder.data / "PG_VERSION").read_text())
    except UnsuitableFolder as refused:
        yield error("database", str(refused), "or run this check as the user of the server")
        return
    except (OSError, ValueError):
        pass  # there is none yet, or it is its own account's alone
    try:
        find_installation(major_version=version)
    except BinariesMissing as refused:
        yield error("database", str(refused))
        return
    kept = "is created" if version is None else "starts"
    yield ok("database", f"the embedded PostgreSQL in {folder.base} {kept} with the server")
    yield ok("schema", "it is brought up to date with the start")


async def _check_connected(
    dsn: str, described: str, settings: Settings, *, server_runs: bool | None
) -> DatabaseCheck:
    """Connect and check; what takes too long is an error."""
    longest = settings.store.database_connect_timeout + settings.store.read_timeout
    deadline = trio.current_time() + longest
    try:
        connection = await connect(
            dsn,
            deadline=trio.current_time() + settings.store.database_connect_timeout,
            settings={"application_name": "gbs_actor check", "timezone": "UTC"},
        )
    except NotConnected as refused:
        advice = "correct GBS_DATABASE_URL" if refused.final else "start it, or correct its address"
        text = f"{described} cannot be reached: {refused}"
        return DatabaseCheck([error("database", text, advice)], None)
    findings: list[Finding] = []
    folder = None
    try:
        findings.append(await _check_safety(connection, described, deadline))
        findings.append(await _check_schema(connection, deadline))
        node = settings.store.node
        findings.append(await _check_lease(connection, deadline, node, server_runs=server_runs))
        findings.append(await _check_clock(connection, deadline))
        folder = await _local_folder(connection, deadline)
    except (ConnectionLost, ServerRefused) as failed:
        findings.append(error("database", f"{described} fails: {failed}", "see its log"))
    finally:
        with trio.CancelScope(shield=True):
            await connection.close(deadline=trio.current_time() + CLOSE_TIMEOUT)
    return DatabaseCheck(findings, folder)


async def _check_safety(connection: DbConnection, described: str, deadline: float) -> Finding:
    try:
        await check_safety(connection, deadline=deadline)
    except UnsafeDatabase as refused:
        return error("database", str(refused))
    version = (await connection.fetch(_VERSION, deadline=deadline))[0]["version"]
    return ok("database", f"{described} is version {version}, and keeps what it confirms")


async def _check_schema(connection: DbConnection, deadline: float) -> Finding:
    """Check whether the schema is this program's, and may be read and written."""
    migrations = shipped_migrations()
    try:
        pending = await pending_migrations(connection, migrations, deadline=deadline)
    except SchemaMismatch as refused:
        return error("schema", str(refused))
    if pending:
        text = f"{len(pending)} of {len(migrations)} migrations are not applied"
        foreign = await foreign_tables(connection, pending, deadline=deadline)
        return error("schema", text, ADOPT if foreign else how_to_apply(pending))
    if missing := await missing_rights(connection, migrations, deadline=deadline):
        text = "; ".join(f"{name}: {', '.join(rights)}" for name, rights in missing.items())
        return error("schema", f"rights are missing ({text})", "GRANT them to the user of the URL")
    try:
        async with connection.transaction(deadline=deadline):
            await connection.fetch("SELECT lineup_write_check()", deadline=deadline)
            raise _Undo  # noqa: TRY301  (this rolls it back)
    except _Undo:
        return ok("schema", f"{len(migrations)} migrations are applied; writing is possible")
    except ServerRefused as refused:
        return error("schema", f"the database refuses to write: {refused}", "see its log")


async def _check_lease(
    connection: DbConnection, deadline: float, node: str | None, *, server_runs: bool | None
) -> Finding:
    """Check which server has the database: only one can, unless all have names."""
    holders = await running_servers(connection, [LOCK_KEY], deadline=deadline)
    if not holders:
        if server_runs:
            return warning(
                "server",
                "the server that runs here uses another database",
                "check these settings against those it was started with",
            )
        return ok("server", "none uses this database")
    if node is not None and all(server.shared for server in holders):
        number = len(holders)
        what = "1 server uses" if number == 1 else f"{number} servers use"
        return ok("server", f"{what} this database; they share it")
    text = f"{holders[0]} uses this database"
    if server_runs is False:
        return warning("server", text, "stop it first: a second one does not start")
    return ok("server", text)


async def _check_clock(connection: DbConnection, deadline: float) -> Finding:
    """Compare the clock with the database's, as exactly as the way to it allows."""
    asked = time.time()
    there: float = (await connection.fetch(_NOW, deadline=deadline))[0]["now"]
    answered = time.time()
    ahead = (asked + answered) / 2 - there
    uncertainty = (answered - asked) / 2
    least = max(0.0, abs(ahead) - uncertainty)
    if least < CLOCKS_DIFFER:
        return ok("clock", f"it agrees with the database's within {least + 2 * uncertainty:.1f} s")
    text = f"it is {abs(ahead):,.0f} s {'ahead of' if ahead > 0 else 'behind'} the database's"
    advice = "synchronise both (timedatectl set-ntp true)"
    if least >= LEEWAY:
        return error("clock", f"{text}, and tokens are valid too early or too late", advice)
    return warning("clock", text, advice)


async def _local_folder(connection: DbConnection, deadline: float) -> Path | None:
    try:
        rows = await connection.fetch(_LOCAL_FOLDER, deadline=deadline)
    except ServerRefused:  # only some roles may know
        return None
    return Path(rows[0]["folder"]) if rows else None
