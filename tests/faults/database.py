"""What is really in the database, read past the server."""

from __future__ import annotations

import asyncio
import hashlib
import json
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg
import trio

from tests.e2e.server_process import RETREAT, ServerProcess

_PLACE = "SELECT FROM session_place WHERE session = $1"


@dataclass(frozen=True)
class Logged:
    """One entry of the log."""

    revision: int
    command_id: UUID
    kind: str
    registration_id: int | None
    numbers: dict[int, int | None]
    """The group numbers that it has written, by registration."""
    memos: dict[int, str | None]
    """The memos that it has written, likewise; ``None``: none is left."""


@dataclass(frozen=True)
class Contents:
    """A retreat as it is stored."""

    revision: int
    log: tuple[Logged, ...]
    """Ascending by revision."""
    numbers: dict[int, int | None]
    """Group number by registration."""
    memos: dict[int, str]
    """Memo by registration."""


async def contents(server: ServerProcess, slug: str = RETREAT) -> Contents:
    """Read a retreat in one transaction."""
    return await contents_at(server.dsn, slug)


async def contents_at(dsn: str, slug: str = RETREAT) -> Contents:
    """Read a retreat in one transaction, from any database."""
    return await trio.to_thread.run_sync(lambda: asyncio.run(_read(dsn, slug)))


async def until_noted(server: ServerProcess, sid: str) -> None:
    """Return once the place of a session stands in the database, safe on its disk."""
    await trio.to_thread.run_sync(lambda: asyncio.run(_until_noted(server.dsn, sid)))


async def _until_noted(dsn: str, sid: str) -> None:
    session = hashlib.sha256(sid.encode()).digest()
    connection = await asyncpg.connect(dsn)
    try:
        async with asyncio.timeout(30):
            # The server tells nobody when it has noted a place.
            while not await connection.fetch(_PLACE, session):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        await connection.execute("CHECKPOINT")
    finally:
        await connection.close()


async def _read(dsn: str, slug: str) -> Contents:
    connection = await asyncpg.connect(dsn)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            retreat = await connection.fetchrow(
                "SELECT id, revision FROM retreat WHERE slug = $1", slug
            )
            log = await connection.fetch(
                "SELECT revision, command_id, kind, registration_id, after FROM lineup_change"
                " WHERE retreat_id = $1 ORDER BY revision",
                retreat["id"],
            )
            numbers = await connection.fetch(
                "SELECT r.id, g.number FROM user_retreat_registration r"
                " LEFT JOIN gbs g ON g.id = r.gbs_id WHERE r.retreat_id = $1",
                retreat["id"],
            )
            memos = await connection.fetch(
                "SELECT m.registration_id, m.text FROM user_retreat_registration_memo m"
                " JOIN user_retreat_registration r ON r.id = m.registration_id"
                " WHERE r.retreat_id = $1 AND m.kind = 'LINEUP_STAFF' AND m.deleted_at IS NULL",
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
                _written(entry["after"], "gbsNumber"),
                {
                    id_: None if memo is None else memo["memo"]
                    for id_, memo in _written(entry["after"], "lineupMemo").items()
                },
            )
            for entry in log
        ),
        numbers={entry["id"]: entry["number"] for entry in numbers},
        memos={memo["registration_id"]: memo["text"] for memo in memos},
    )


def _written(after: str, field: str) -> dict[int, Any]:
    """Return the values of a field that an entry has written, by registration."""
    return {
        value["registrationId"]: value["value"]
        for value in json.loads(after)
        if value["field"] == field
    }
