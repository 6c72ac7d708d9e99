"""A newer version migrates the database while servers of this one serve it, as processes."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from pathlib import Path

import pytest
import trio

from gbs_actor.client import Client, connect
from gbs_actor.store.postgres.migrate import shipped_migrations
from tests.e2e.server_process import (
    RETREAT,
    ROOT,
    DidNotStart,
    ServerProcess,
    clean_environment,
    data_folder,
    start_server,
    token,
)

PRESENT = len(shipped_migrations())
COMPATIBLE = f"""-- compatible down to {PRESENT}
ALTER TABLE user_retreat_registration ADD COLUMN shirt text;
CREATE INDEX user_retreat_registration_shirt ON user_retreat_registration (shirt);
CREATE TABLE shirt (size text PRIMARY KEY);
CREATE FUNCTION lineup_shirts() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM shirt';
"""
INCOMPATIBLE = "ALTER TABLE gbs RENAME COLUMN memo TO note;"

Version = Callable[[str], dict[str, str]]


@pytest.fixture
def newer(tmp_path: Path) -> Version:
    """Make a version with one migration more than the last; the value is how to run it."""
    scripts: list[str] = []

    def make(script: str) -> dict[str, str]:
        scripts.append(script)
        folder = tmp_path / str(len(scripts))
        shutil.copytree(ROOT / "gbs_actor", folder / "gbs_actor")
        migrations = folder / "gbs_actor" / "store" / "postgres" / "migrations"
        for number, each in enumerate(scripts, PRESENT + 1):
            (migrations / f"{number:04}_later.sql").write_text(each)
        return {"PYTHONPATH": str(folder)}

    return make


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def node(
    stack: ExitStack, database_url: str, name: str, version: dict[str, str] | None = None
) -> ServerProcess:
    data_dir = stack.enter_context(data_folder())
    environment = {"GBS_DATABASE_URL": database_url, "GBS_NODE": name, **(version or {})}
    server = start_server(data_dir, log_path=data_dir.with_name("log"), environment=environment)
    stack.callback(server.stop)
    return server


def migrate(
    folder: Path, database_url: str, version: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gbs_actor.cli", "migrate"],
        env=clean_environment(folder / "data", {"GBS_DATABASE_URL": database_url, **version}),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


class Editor:
    """Moves one person again and again, and waits for each acknowledgement."""

    def __init__(self, client: Client, person: int) -> None:
        self._client = client
        self._person = person
        self.acknowledged = 0

    async def edit(self) -> None:
        while True:
            await self._client.assign(self._person, 1 + self.acknowledged % 50)
            self.acknowledged += 1

    async def a_few_more(self) -> None:
        wanted = self.acknowledged + 5
        with trio.fail_after(30):
            while self.acknowledged < wanted:  # noqa: ASYNC110  (it is a counter)
                await trio.sleep(0.01)


@asynccontextmanager
async def editors(*servers: ServerProcess) -> AsyncIterator[list[Editor]]:
    """A client on each server, who edits meanwhile."""
    async with AsyncExitStack() as clients:
        found = []
        for user_id, server in enumerate(servers, 1):
            client = await clients.enter_async_context(connect(server.url, token=token(user_id)))
            rows = await client.join(RETREAT)
            people = [row.id for row in rows if not row.is_leader]
            found.append(Editor(client, people[user_id]))
        async with trio.open_nursery() as nursery:
            for editor in found:
                nursery.start_soon(editor.edit)
            yield found
            nursery.cancel_scope.cancel()


async def test_a_compatible_version_replaces_servers_one_by_one_while_everybody_edits(
    database_url: str, stack: ExitStack, newer: Version, tmp_path: Path
) -> None:
    a, b = node(stack, database_url, "a"), node(stack, database_url, "b")
    version = newer(COMPATIBLE)
    async with editors(a, b) as (first, second):
        await first.a_few_more()
        done = await trio.to_thread.run_sync(migrate, tmp_path, database_url, version)
        assert (done.returncode, done.stdout) == (0, f"Applied {PRESENT + 1:04}_later.\n"), done
        for editor in (first, second):
            await editor.a_few_more()
    assert b.stop() == 0
    b = node(stack, database_url, "b", version)
    async with editors(a, b) as (first, second):
        for editor in (first, second):
            await editor.a_few_more()
    a.kill_and_start_again()  # which is of the former version
    async with editors(a, b) as (first, second):
        for editor in (first, second):
            await editor.a_few_more()


async def test_an_incompatible_version_is_refused_until_all_servers_have_ended(
    database_url: str, stack: ExitStack, newer: Version, tmp_path: Path
) -> None:
    a, b = node(stack, database_url, "a"), node(stack, database_url, "b")
    version = newer(INCOMPATIBLE)
    async with editors(a, b) as (first, second):
        for editor in (first, second):
            await editor.a_few_more()
        refused = await trio.to_thread.run_sync(migrate, tmp_path, database_url, version)
        assert refused.returncode == 1
        assert "(node a, node b): stop them first" in refused.stderr
        with pytest.raises(DidNotStart, match="stop them first"):
            node(stack, database_url, "c", version)
        for editor in (first, second):
            await editor.a_few_more()
    for server in (a, b):
        assert server.stop() == 0
    done = migrate(tmp_path, database_url, version)
    assert done.returncode == 0, done
    with pytest.raises(DidNotStart, match="use a newer program"):
        a.start_again()
