"""The database of all servers: the embedded PostgreSQL's programs and settings, fsync on."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import trio

from gbs_actor.store.embedded.server import EmbeddedPostgres
from scripts.bench.installation import HERE, Installation, Say, SetUpFailed, Stamp
from scripts.bench.processes import cpu_seconds_with_children

ROOT = HERE.parents[1]
OURS, PEERS, OTHER = "ours", "peers", "other"
"""Databases; the last one belongs to another checkout."""


@dataclass(frozen=True)
class Postgres:
    """A running PostgreSQL, with the data that all rows use."""

    embedded: EmbeddedPostgres
    memos: Mapping[str, list[int]] = field(default_factory=dict)
    """The ids of the memos to edit, by the slug of the retreat."""
    other_memos: Mapping[str, list[int]] = field(default_factory=dict)
    """The same in the database of the other checkout."""

    def dsn(self, database: str) -> str:
        """Return the address of a database."""
        return self.embedded.dsn.replace("/postgres?", f"/{database}?")

    def environment(self, database: str) -> dict[str, str]:
        """Return the variables that ``pg`` and ``asyncpg`` read."""
        parts = urlsplit(self.embedded.dsn)
        query = parse_qs(parts.query)
        return {
            "PGHOST": query["host"][0],
            "PGPORT": query["port"][0],
            "PGUSER": parts.username or "",
            "PGDATABASE": database,
        }

    def cpu_seconds(self) -> float:
        """Return the CPU of all its processes."""
        pid = self.embedded.statistics().pid
        assert pid is not None
        return cpu_seconds_with_children(pid)


@asynccontextmanager
async def running_postgres(
    installation: Installation, other: Path | None, say: Say
) -> AsyncIterator[Postgres]:
    """Run PostgreSQL within the block, with the data made or brought up to date.

    :param other: another checkout whose server is measured, too.
    :raises SetUpFailed: the data could not be made.
    """
    embedded = EmbeddedPostgres(installation.database)
    async with embedded.running():
        memos = await _fill(installation, embedded.dsn, ROOT, (OURS, PEERS), say)
        other_memos: dict[str, list[int]] = {}
        if other is not None:
            other_memos = await _fill(installation, embedded.dsn, other, (OTHER,), say)
        yield Postgres(embedded, memos, other_memos)


async def _fill(
    installation: Installation, dsn: str, checkout: Path, databases: tuple[str, ...], say: Say
) -> dict[str, list[int]]:
    """Make the databases anew if what they are made from has changed; return the memos' ids."""
    memos = installation.folder / f"{databases[0]}.memos.json"
    seeding = HERE / "seeding.py"
    migrations = sorted((checkout / "gbs_actor/store/postgres/migrations").glob("*.sql"))
    stamp = Stamp(
        installation.folder / f"{databases[0]}.seeded",
        [path.read_text() for path in (seeding, *migrations)],
    )
    if not (stamp.matches() and memos.exists()):
        say("Filling the database: 1,023 retreats, a minute or two …")
        result = await trio.run_process(
            [python_of(checkout), str(seeding), dsn, str(memos), *databases],
            check=False,
            capture_stdout=True,
            capture_stderr=True,
            env={**os.environ, "PYTHONPATH": str(checkout)},
        )
        if result.returncode != 0:
            message = result.stderr.decode(errors="replace").strip()[-2000:]
            raise SetUpFailed(f"The database could not be filled:\n{message}")
        stamp.write()
    loaded: dict[str, list[int]] = json.loads(memos.read_text())
    return loaded


def python_of(checkout: Path) -> str:
    """Return the Python that runs a checkout: that of its environment, else this one."""
    own = checkout / ".venv" / "bin" / "python"
    return str(own) if own.exists() else sys.executable
