"""What is really in the database, read past the server."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from uuid import UUID

import asyncpg
import trio

from tests.e2e.server_process import RETREAT, ServerProcess


@dataclass(frozen=True)
class Logged:
    """One entry of the log."""

    revision: int
    command_id: UUID
    kind: str
    registration_id: int | None


@dataclass(frozen=True)
class Contents:
    """A retreat as it is stored."""

    revision: int
    log: tuple[Logged, ...]
    """Ascending by revision."""
    numbers: dict[int, int | None]
    """Group number by registration."""


async def contents(server: ServerProcess, slug: str = RETREAT) -> Contents:
    """Read a retreat in one transaction."""
    return await trio.to_thread.run_sync(lambda: asyncio.run(_read(server.dsn, slug)))


async def _read(dsn: str, slug: str) -> Contents:
    connection = await asyncpg.connect(dsn)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            retreat = await connection.fetchrow(
                "SELECT id, revision FROM retreat WHERE slug = $1", slug
            )
            log = await connection.fetch(
                "SELECT revision, command_id, kind, registration_id FROM lineup_change"
                " WHERE retreat_id = $1 ORDER BY revision",
                retreat["id"],
            )
            numbers = await connection.fetch(
                "SELECT r.id, g.number FROM user_retreat_registration r"
                " LEFT JOIN gbs g ON g.id = r.gbs_id WHERE r.retreat_id = $1",
                retreat["id"],
            )
    finally:
        await connection.close()
    return Contents(
        revision=retreat["revision"],
        log=tuple(
            Logged(
                entry["revision"],
                UUID(str(entry["command_id"])),
                entry["kind"],
                entry["registration_id"],
            )
            for entry in log
        ),
        numbers={entry["id"]: entry["number"] for entry in numbers},
    )
