"""Operators act while many edit: nothing acknowledged is lost, and no action waits for a database.

Each action is one of a running server, over HTTP, with its own PostgreSQL.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import asyncpg
import httpx
import pytest
import trio

from gbs_actor.client import Client, connect
from gbs_actor.client.errors import ClientError
from tests.e2e.server_process import RETREAT, ServerProcess, running_server, token
from tests.faults.editing import Editors, editing
from tests.faults.postgres_processes import freeze, kill, postmaster, thaw

EDITORS = 20
ROUNDS = 4
TOKEN = "3lWv0yGmJx8Qk2RzTn5BdHs7CfAeUp9L"
ENVIRONMENT = {
    "GBS_EVENT_RATE": "100000",
    "GBS_COMMIT_TIMEOUT": "1",
    "GBS_ADMIN_TOKEN": TOKEN,
    "GBS_DRAIN_SPREAD": "0.5",
    "GBS_USER_RATE": "1000",
}


@pytest.fixture
def server() -> Iterator[ServerProcess]:
    with running_server(environment=ENVIRONMENT, on_disk=True) as running:
        yield running


async def act(server: ServerProcess, path: str, **more: Any) -> dict[str, Any]:
    """Act as whoever has the operator token."""
    async with httpx.AsyncClient(base_url=server.url, timeout=20) as http:
        response = await http.post(
            f"/admin{path}",
            headers={"Authorization": f"Bearer {TOKEN}"},
            json={"reason": "a test"} | more,
        )
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


async def audited(server: ServerProcess) -> list[str]:
    """Return the actions that the database has, the oldest first."""

    async def read() -> list[str]:
        connection = await asyncpg.connect(server.dsn)
        try:
            rows = await connection.fetch("SELECT action FROM admin_audit ORDER BY id")
        finally:
            await connection.close()
        return [row["action"] for row in rows]

    return await trio.to_thread.run_sync(lambda: asyncio.run(read()))


async def until_audited(server: ServerProcess, actions: list[str]) -> None:
    with trio.fail_after(30):
        # The database tells nobody: it has to be asked.
        while await audited(server) != actions:  # noqa: ASYNC110
            await trio.sleep(0.05)


async def edit_on(client: Client) -> None:
    while True:
        await client.assign(client.rows[0].id, 3)


async def on_the_room(server: ServerProcess, editors: Editors, action: str) -> None:
    for _ in range(ROUNDS):
        await editors.more(100)
        answer = await act(server, f"/rooms/{RETREAT}/{action}")
        assert answer["changed"], answer
    await editors.more(100)


@pytest.mark.parametrize("action", ["restart", "stop", "drain"])
async def test_a_room_is_acted_on_while_many_edit(server: ServerProcess, action: str) -> None:
    async with editing(server, count=EDITORS) as editors:
        await on_the_room(server, editors, action)
    await until_audited(server, [f"room.{action}"] * ROUNDS)


async def test_who_is_kicked_stays_away_and_takes_nobody_along(server: ServerProcess) -> None:
    async with editing(server, count=EDITORS) as editors:
        await editors.more(100)
        async with connect(server.url, token(7)) as client:
            await client.join(RETREAT)
            answer = await act(server, "/users/7/kick")
            assert (answer["changed"], answer["sessions"]) == (True, 1)
            with trio.fail_after(10), pytest.raises(ClientError):
                await edit_on(client)
        await editors.more(100)


async def test_a_server_that_is_drained_ends_and_has_every_acknowledged_edit(
    server: ServerProcess,
) -> None:
    async with editing(server, count=EDITORS) as editors:
        await editors.more(100)
        assert (await act(server, "/drain"))["changed"]
        assert await trio.to_thread.run_sync(server.process.wait, 20) == 0
        await trio.to_thread.run_sync(server.start_again)
        await editors.more(100)
        assert await audited(server) == ["server.drain"]
        assert "Stopping; a second signal" in server.log(), "as at SIGTERM"


async def test_a_hosted_server_is_drained_with_its_host() -> None:
    with running_server(environment=ENVIRONMENT, hosted=True) as hosted:
        assert (await act(hosted, "/drain"))["changed"]
        assert await trio.to_thread.run_sync(hosted.process.wait, 20) == 0


async def test_no_action_waits_for_a_database_that_is_frozen(server: ServerProcess) -> None:
    async with editing(server, count=4) as editors:
        await editors.more(50)
        frozen = freeze(server)
        try:
            level = {"logger": "gbs_actor.rooms", "level": "WARNING", "minutes": 1}
            for path, more in (
                ("/users/7/kick", {}),
                (f"/rooms/{RETREAT}/recover", {}),
                ("/log-level", level),
            ):
                began = time.monotonic()
                await act(server, path, **more)
                assert time.monotonic() - began < 1, path  # as long as a write would take
            began = time.monotonic()
            await act(server, f"/rooms/{RETREAT}/restart")
            await act(server, "/rooms/2024-summer/stop")
            assert time.monotonic() - began < 8
            await trio.sleep(3)  # so that writes of the audit have run into their timeout
        finally:
            thaw(frozen)
        await editors.more(50)
    actions = ["user.kick", "room.recover", "log.level", "room.restart", "room.stop"]
    await until_audited(server, actions)


async def test_a_database_that_dies_takes_no_record_with_it(server: ServerProcess) -> None:
    actions: list[str] = []
    async with editing(server, count=4) as editors:
        for _ in range(ROUNDS):
            await editors.more(50)
            pid = postmaster(server)
            assert pid is not None
            kill(pid)
            for _ in range(3):
                await act(server, "/users/7/kick")
                actions.append("user.kick")
            await editors.more(50)
    await until_audited(server, actions)
