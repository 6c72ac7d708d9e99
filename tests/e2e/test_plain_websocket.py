"""Plain WebSockets beside stock Socket.IO clients, against the whole server."""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import trio

from tests.e2e.drivers import Driver
from tests.e2e.in_room import empty_group, listed
from tests.e2e.server_process import RETREAT, ServerProcess, running_server, token
from tests.e2e.stock_client import stock_client
from tests.gateway.plain_peer import PlainPeer, talking_plainly

Row = dict[str, Any]
EACH = 60
"""Edits of each client."""


@asynccontextmanager
async def plain_client(server: ServerProcess, bearer: str) -> AsyncIterator[PlainPeer]:
    stream = await trio.open_tcp_stream(server.host, server.port)
    async with talking_plainly(stream, RETREAT, token=bearer) as peer:
        yield peer


def _check_order(frames: list[dict[str, Any]]) -> None:
    """Check that everything came in revision order, and each answer behind its update."""
    known = 0
    states: dict[int, Row] = {}
    for frame in frames:
        if frame.get("event") == "lineup-updated":
            row = frame["data"]
            assert row["revision"] >= known, "an older row behind a newer one"
            known = row["revision"]
            states[row["id"]] = row
        elif "id" in frame:
            assert frame["revision"] == known, "an answer that is not in its place"
            assert frame["data"] == states[frame["data"]["id"]]


@pytest.mark.parametrize("name", [None, "user31@example.org"])
async def test_who_has_no_name_is_not_shown_by_e_mail(
    server: ServerProcess, person: Row, name: str | None
) -> None:
    async with (
        plain_client(server, token(32)) as other,
        plain_client(server, token(31, name)) as nameless,
    ):
        presence = await other.payload("room-presence", lambda seen: seen["total"] == 2)
        assert "사용자 31" in {user["userName"] for user in presence["users"]}
        edit = {"lineupId": person["id"], "gbsNumber": empty_group()}
        assert (await nameless.call("update-gbs-number", edit))["status"] == "OK"
        edit |= {"gbsNumber": empty_group(), "baseRevision": 0}
        ack = await other.call("update-gbs-number", edit)
        assert ack["conflict"]["changedBy"] == "사용자 31"
        assert "@example.org" not in json.dumps([other.received, ack])


async def test_clients_of_both_protocols_edit_one_room_in_one_order(
    driver: Driver, server: ServerProcess, person: Row, other_person: Row
) -> None:
    async with (
        plain_client(server, token(7)) as plain,
        stock_client(driver) as stock,
    ):
        await plain.event("initial-data")
        await stock.connect(server.url, token(8))
        await stock.ask("join-retreat", RETREAT)
        plain.forget()
        since = len(stock.happened)
        number, other_number = empty_group(), empty_group()

        async def edit_plainly() -> None:
            for at in range(EACH):
                people = (person, other_person)
                edit = {"lineupId": people[at % 2]["id"], "gbsNumber": number + at % 3}
                answer = await plain.call("update-gbs-number", {**edit, "commandId": str(uuid4())})
                assert answer["status"] == "OK", answer

        async def edit_by_socketio() -> None:
            for at in range(EACH):
                edit = {"lineupId": person["id"], "gbsNumber": other_number + at % 3}
                assert (await stock.ask("update-gbs-number", edit))["status"] == "OK"

        async with trio.open_nursery() as nursery:
            nursery.start_soon(edit_plainly)
            nursery.start_soon(edit_by_socketio)
        rows = await listed(server)
        last = max(row["revision"] for row in rows.values())
        await plain.wait_for(lambda got: _is_update(got, last))
        await stock.event("lineup-updated", lambda row: row["revision"] == last, since=since)

        _check_order(plain.received)
        by_plain = {(row["id"], row["revision"]): row for row in plain.named("lineup-updated")}
        told = [it.arguments[0] for it in stock.happened[since:] if it.name == "lineup-updated"]
        by_stock = {(row["id"], row["revision"]): row for row in told}
        # Several states of a row may come as one, but never one revision as two states.
        assert all(by_plain[key] == by_stock[key] for key in by_plain.keys() & by_stock.keys())
        for seen in by_plain, by_stock:
            latest = {row_id: row for (row_id, _), row in sorted(seen.items())}
            assert all(rows[row_id] == row for row_id, row in latest.items())


def _is_update(frame: dict[str, Any], revision: int) -> bool:
    return frame.get("event") == "lineup-updated" and frame["data"]["revision"] == revision


async def test_a_command_repeated_over_the_other_protocol_takes_effect_once(
    driver: Driver, server: ServerProcess, person: Row
) -> None:
    async with plain_client(server, token(7)) as plain, stock_client(driver) as stock:
        await plain.event("initial-data")
        await stock.connect(server.url, token(7))
        await stock.ask("join-retreat", RETREAT)
        edit = {"lineupId": person["id"], "gbsNumber": empty_group(), "commandId": str(uuid4())}
        first = await plain.call("update-gbs-number", edit)
        again = await stock.ask("update-gbs-number", edit)
        assert (again["revision"], again["data"]) == (first["revision"], first["data"])


async def test_in_another_room_a_repeat_gets_its_answer_and_a_named_retreat_its_edit(
    server: ServerProcess, person: Row, other_person: Row
) -> None:
    edit = {"lineupId": person["id"], "gbsNumber": empty_group(), "commandId": str(uuid4())}
    async with plain_client(server, token(7)) as plain:
        await plain.event("initial-data")
        first = await plain.call("update-gbs-number", edit)
        assert (await plain.call("join-retreat", "2024-summer"))["status"] == "OK"
        again = await plain.call("update-gbs-number", edit)
        assert again == {**first, "revision": None}
        other = {"lineupId": other_person["id"], "gbsNumber": empty_group()}
        assert (await plain.call("update-gbs-number", other))["code"] == "NOT_FOUND"
        there = await plain.call("update-gbs-number", {**other, "retreatSlug": RETREAT})
        assert (there["status"], there["revision"]) == ("OK", None)
        await plain.call("leave-retreat", "2024-summer")
        again = await plain.call("update-gbs-number", edit)
        assert again["status"] == "OK"


async def test_the_operators_see_a_plain_client_among_the_subscribers(
    server: ServerProcess,
) -> None:
    async with plain_client(server, token(21, "홍길동")) as plain:
        await plain.event("initial-data")
        room = await trio.to_thread.run_sync(server.room)
        assert "홍길동" in [each["userName"] for each in room["subscribers"]]


async def test_a_shutdown_closes_with_going_away() -> None:
    with running_server() as server:
        async with plain_client(server, token()) as plain:
            await plain.event("initial-data")
            assert await trio.to_thread.run_sync(server.stop) == 0
            assert (await plain.end())[0] == 1001


async def _script(url: str, *protocols: str) -> list[dict[str, Any]]:
    """Return what a script with a browser's WebSocket sees."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node.js is not installed")
    program = str(Path(__file__).parent / "node" / "plain.mjs")
    command = [node, "--no-warnings", "--experimental-websocket", program, url, *protocols]
    with trio.fail_after(20):
        result = await trio.run_process(command, capture_stdout=True, capture_stderr=True)
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.mark.node
async def test_a_browsers_websocket_gets_in_by_a_subprotocol(server: ServerProcess) -> None:
    url = f"{server.url.replace('http', 'ws')}/ws/retreats/{RETREAT}"
    assert await _script(url, "gbs.v1", f"bearer.{token()}") == [
        {"opened": "gbs.v1"},
        {"event": "initial-data"},
        {"id": "last", "status": "OK"},
        {"code": 1000, "reason": ""},
    ]


@pytest.mark.node
async def test_a_browsers_script_sees_why_it_was_closed(server: ServerProcess) -> None:
    url = f"{server.url.replace('http', 'ws')}/ws/retreats/{RETREAT}"
    seen = await _script(url, "gbs.v1", "bearer.nonsense")
    assert seen[0] == {"opened": "gbs.v1"}
    assert seen[-1] == {"code": 4401, "reason": "INVALID_TOKEN"}
