"""Operators steer a server under load from the command line, and no acknowledged edit is lost.

``tests/faults/test_actions.py`` has the same for the API, and for databases that fail.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import trio

from gbs_actor.client import connect
from gbs_actor.client.errors import ClientError
from tests.e2e.server_process import RETREAT, ServerProcess, token
from tests.faults.editing import Editors, editing
from tests.operators.operated import (
    CRASHES,
    admin,
    command,
    mend,
    operated_server,
    spoil,
    until_state,
)

EDITORS = 8
EDITS = 50
"""Acknowledged ones between two actions."""


@pytest.fixture
def server() -> Iterator[ServerProcess]:
    with operated_server(()) as running:
        yield running


async def act(server: ServerProcess, *arguments: str) -> dict[str, Any]:
    """Act from the command line; the reason names the action."""
    reason = " ".join(arguments[:-1])
    done: dict[str, Any] = await command(server, "admin", *arguments, "--reason", reason)
    assert done["changed"], done
    return done


async def until_audited(server: ServerProcess, *actions: str) -> None:
    """Wait until the audit, as the command line shows it, has these actions and no others."""
    records: list[dict[str, Any]] = []
    with trio.fail_after(30):
        while len(records) < len(actions):  # it is written behind the actions
            page = await command(server, "admin", "audit")
            records = [each for each in page["records"] if not each["action"].startswith("look.")]
    records.reverse()
    assert tuple(each["action"] for each in records) == actions
    for record in records:
        assert record["reason"] == record["action"].replace(".", " ")
        assert record["outcome"] == "done"
        assert (record["operatorName"], record["address"]) == ("operator token", "127.0.0.1")


async def until_back(editors: Editors, connections: list[int]) -> None:
    """Wait until every client has connected once more, by itself, and is in its room."""
    for client, before in zip(editors.clients, connections, strict=True):
        with trio.fail_after(30):
            await client.until(
                lambda client, before=before: (  # type: ignore[misc]
                    client.connected and client.statistics().connections > before
                )
            )


def connections(editors: Editors) -> list[int]:
    return [client.statistics().connections for client in editors.clients]


async def test_a_room_that_has_failed_under_load_recovers(server: ServerProcess) -> None:
    async with editing(server, count=EDITORS) as editors:
        await editors.more(EDITS)
        before = connections(editors)
        await spoil(server, RETREAT)
        await act(server, "room", "restart", RETREAT)
        await until_state(server, RETREAT, "failed")
        await mend(server, RETREAT)
        recovered = await act(server, "room", "recover", RETREAT)
        assert recovered["room"]["state"] == "running"
        await editors.more(EDITS)
        room = await admin(server, f"/rooms/{RETREAT}")
        assert (room["state"], room["restarts"]) == ("running", CRASHES)
        assert connections(editors) == before, "nobody has to come back"
    await until_audited(server, "room.restart", "room.recover")


async def test_rooms_clients_and_the_server_are_acted_on(server: ServerProcess) -> None:
    async with editing(server, count=EDITORS) as editors:
        await editors.more(EDITS)
        await act(server, "room", "restart", RETREAT)
        for action in ("stop", "drain"):
            await editors.more(EDITS)
            before = connections(editors)
            await act(server, "room", action, RETREAT)
            await until_back(editors, before)
        await editors.more(EDITS)
        async with connect(server.url, token(7)) as client:
            await client.join(RETREAT)
            sessions = (await admin(server, "/sessions"))["sessions"]
            (sid,) = [each["sid"] for each in sessions if each["userId"] == 7]
            kicked = await act(server, "session", "kick", sid)
            assert kicked["sessions"] == 1
            with trio.fail_after(10), pytest.raises(ClientError):
                await client.until(lambda _: False)
        await editors.more(EDITS)
        await until_audited(server, "room.restart", "room.stop", "room.drain", "session.kick")

        before = connections(editors)
        await command(server, "admin", "drain", "--reason", "server drain")
        assert await trio.to_thread.run_sync(server.process.wait, 20) == 0
        await trio.to_thread.run_sync(server.start_again)
        await until_back(editors, before)
        await editors.more(EDITS)
        last = (await command(server, "admin", "audit", "--action", "server."))["records"]
        assert [each["reason"] for each in last] == ["server drain"]
