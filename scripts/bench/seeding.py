"""Fills the databases: ``python seeding.py DSN MEMOS DATABASE [PEERS_DATABASE]``.

Runs with the Python of the checkout whose server is to use DATABASE, and writes the ids of each
retreat's memos to the file MEMOS, as JSON. DSN is that of the embedded server's own database.

A row of the peers' table is a row as clients see it, so that all servers send the same.
"""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import trio

from gbs_actor.demo import demo_retreat
from gbs_actor.lineup.board import Board
from gbs_actor.store.postgres.store import PostgresStore
from gbs_actor.store.seed.seed import RetreatSeed

RETREATS = {
    **{f"many-{number:03}": 20 for number in range(1_000)},
    **{f"room-{number:02}": 80 for number in range(20)},
    "unedited": 80,
    "people-80": 80,
    "people-10000": 10_000,
}
"""Slug and number of people. The small ones first: an import analyzes all tables."""
MEMOS = 60
"""People of each retreat with a memo to edit, at most."""
COLUMN_TYPES = {bool: "boolean", int: "integer", list: "integer[]"}

Row = dict[str, Any]


def retreat_with_memos(slug: str, people: int) -> RetreatSeed:
    """Make up a retreat in which the first people have a memo, and all of it is short."""
    seed = demo_retreat(slug, people)
    members = [person for person in seed.people if not person.is_leader][:MEMOS]
    chosen = {id(person) for person in members}
    return replace(
        seed,
        people=tuple(
            replace(person, memo="e0000000000", memo_color="#FECACA")
            if id(person) in chosen
            else person
            for person in seed.people
        ),
    )


async def fill_ours(dsn: str) -> dict[str, list[Row]]:
    """Import the retreats; return their rows as clients see them."""
    rows = {}
    async with PostgresStore.open(dsn, migrating=True) as store:
        for slug, people in RETREATS.items():
            await store.import_retreat(retreat_with_memos(slug, people))
            retreat = await store.load(slug)
            assert retreat is not None
            rows[slug] = json.loads(msgspec.json.encode(Board(retreat).rows()))
    return rows


def column_types(rows: list[Row]) -> dict[str, str]:
    """Return the columns of the peers' table: a field of a row each."""
    types = dict.fromkeys(rows[0], "text")
    for row in rows:
        for key, value in row.items():
            if type(value) in COLUMN_TYPES:
                types[key] = COLUMN_TYPES[type(value)]
    return types


async def create_databases(dsn: str, names: list[str]) -> None:
    connection = await asyncpg.connect(dsn)
    for name in names:
        await connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        await connection.execute(f'CREATE DATABASE "{name}"')
    await connection.close()


async def fill_peers(dsn: str, retreats: dict[str, list[Row]]) -> None:
    """Create the peers' table: one wide row for each person, with the indexes that they use."""
    types = column_types([row for rows in retreats.values() for row in rows])
    columns = ", ".join(f'"{name}" {type_}' for name, type_ in types.items())
    connection = await asyncpg.connect(dsn)
    await connection.execute(
        f"CREATE TABLE lineup (retreat text NOT NULL, {columns}, PRIMARY KEY (id));"
        'CREATE UNIQUE INDEX ON lineup ("lineupMemoId");'
        "CREATE INDEX ON lineup (retreat);"
        "CREATE SEQUENCE revision START 1000"
    )
    await connection.copy_records_to_table(
        "lineup",
        columns=["retreat", *types],
        records=[
            (slug, *(row[name] for name in types))
            for slug, rows in retreats.items()
            for row in rows
        ],
    )
    await connection.execute("VACUUM ANALYZE lineup")
    await connection.close()


def memos_of(rows: list[Row]) -> list[int]:
    """Return the ids of the memos to edit."""
    return [row["lineupMemoId"] for row in rows if row["lineupMemo"] and not row["isLeader"]][
        :MEMOS
    ]


def main() -> None:
    """Fill the databases."""
    dsn, memos, ours, *peers = sys.argv[1:]
    asyncio.run(create_databases(dsn, [ours, *peers]))
    retreats = trio.run(fill_ours, dsn.replace("/postgres?", f"/{ours}?"))
    for database in peers:
        asyncio.run(fill_peers(dsn.replace("/postgres?", f"/{database}?"), retreats))
    ids = {slug: memos_of(rows) for slug, rows in retreats.items()}
    Path(memos).write_text(json.dumps(ids))


if __name__ == "__main__":
    main()
