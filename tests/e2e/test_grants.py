"""Grants that are changed in the database while clients are connected."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import count

import asyncpg
import httpx
import pytest
import trio

from tests.e2e.drivers import Driver, Drivers
from tests.e2e.in_room import BETWEEN_LOOKS, COMES_BACK, assignment, empty_group
from tests.e2e.screen import Row
from tests.e2e.server_process import RETREAT, ServerProcess, running_server, token
from tests.e2e.stock_client import StockClient, stock_client
from tests.e2e.test_plain_websocket import plain_client

GRANT_TTL = 1.5
PATIENCE = GRANT_TTL + 10.0
"""Seconds: a busy machine takes its time."""
OTHER_RETREAT = "2024-summer"

_user_ids = count(200)
"""A user for each test: a grant of another is in force a while after its test."""

_SET = """
INSERT INTO retreat_admin_role (retreat_id, user_id, role)
    SELECT id, $2, $3 FROM retreat WHERE slug = $1
    ON CONFLICT (retreat_id, user_id) DO UPDATE SET role = $3
"""
_REMOVE = """
DELETE FROM retreat_admin_role WHERE user_id = $2
    AND retreat_id = (SELECT id FROM retreat WHERE slug = $1)
"""


@pytest.fixture(scope="module")
def server(page: str) -> Iterator[ServerProcess]:
    """A server that looks grants up often."""
    environment = {"GBS_ALLOWED_ORIGINS": page, "GBS_GRANT_TTL": str(GRANT_TTL)}
    with running_server(environment=environment) as running:
        yield running


async def grant(server: ServerProcess, user_id: int, role: str | None) -> None:
    """Change a grant as the existing system does: in the table."""

    async def change() -> None:
        connection = await asyncpg.connect(server.dsn)
        try:
            if role is None:
                await connection.execute(_REMOVE, RETREAT, user_id)
            else:
                await connection.execute(_SET, RETREAT, user_id, role)
        finally:
            await connection.close()

    await trio.to_thread.run_sync(lambda: asyncio.run(change()))


async def until_kicked(client: StockClient) -> None:
    """Wait for the error, and for the disconnect behind it."""
    with trio.fail_after(PATIENCE):
        await client.event("disconnect")
    error = await client.event("error")
    assert (error["code"], error["event"]) == ("FORBIDDEN", None)
    names = [it.name for it in client.happened if it.name in {"error", "disconnect"}]
    assert names == ["error", "disconnect"]


async def test_a_stock_client_whose_grant_is_revoked_is_disconnected_for_good(
    driver: Driver, server: ServerProcess, person: Row
) -> None:
    user = next(_user_ids)
    async with stock_client(driver) as client:
        await client.connect(server.url, token(user), options=COMES_BACK)
        await client.ask("join-retreat", RETREAT)
        assert (await client.ask(*assignment(person, empty_group())))["status"] == "OK"
        await grant(server, user, "NOBODY")
        try:
            await until_kicked(client)
        finally:
            await grant(server, user, None)


async def test_who_comes_back_with_a_new_grant_has_nothing_left_to_recover(
    drivers: Drivers, server: ServerProcess
) -> None:
    user = next(_user_ids)
    async with stock_client(drivers["websocket"]) as client:
        await client.connect(server.url, token(user), auth={"recovery": True}, options=COMES_BACK)
        await client.ask("join-retreat", RETREAT)
        await client.event("room-presence")  # brings an offset
        await grant(server, user, "NOBODY")
        try:
            await until_kicked(client)
        finally:
            await grant(server, user, None)
        since = len(client.happened)
        await client.reconnect()
        await client.event("connect", since=since)
        assert not (await client.facts()).recovered
        assert (await client.ask("user-editing", {"lineupId": 1}))["code"] == "NOT_IN_ROOM"


async def test_who_may_no_longer_edit_reads_on(
    driver: Driver, server: ServerProcess, person: Row
) -> None:
    user = next(_user_ids)
    async with stock_client(driver) as client, plain_client(server, token(7)) as other:
        await client.connect(server.url, token(user))
        await client.ask("join-retreat", RETREAT)
        await grant(server, user, "LEADER_STAFF")
        try:
            allowed = True
            with trio.fail_after(PATIENCE):
                while allowed:
                    answer = await client.ask("user-editing", {"lineupId": person["id"]})
                    allowed = answer["status"] == "OK"
                    await trio.sleep(BETWEEN_LOOKS)
            answer = await client.ask(*assignment(person, empty_group()))
            assert answer["code"] == "FORBIDDEN"
            name, command = assignment(person, empty_group())
            await other.emit(name, command)
            await client.event(
                "lineup-updated", lambda row: row["gbsNumber"] == command["gbsNumber"]
            )
        finally:
            await grant(server, user, None)


async def test_a_plain_websocket_whose_grant_is_revoked_is_closed_with_4403(
    server: ServerProcess,
) -> None:
    user = next(_user_ids)
    async with plain_client(server, token(user)) as plain:
        await plain.event("initial-data")
        await grant(server, user, "NOBODY")
        try:
            with trio.fail_after(PATIENCE):
                assert (await plain.event("error"))["code"] == "FORBIDDEN"
                assert await plain.end() == (4403, "FORBIDDEN")
        finally:
            await grant(server, user, None)


def test_an_operator_of_one_retreat_is_shown_no_other(server: ServerProcess) -> None:
    everything = {"Authorization": f"Bearer {token(role='ADMIN_MINISTER')}"}
    one = {"Authorization": f"Bearer {token(role='ADMIN_MINISTER', retreats=[OTHER_RETREAT])}"}
    with httpx.Client(base_url=server.url) as http:
        for slug in (RETREAT, OTHER_RETREAT):
            path = f"/api/v1/retreat/{slug}/line-up/user-lineups"
            assert http.get(path, headers=everything).status_code == 200
        shown = {
            room["slug"] for room in http.get("/admin/rooms", headers=everything).json()["rooms"]
        }
        assert shown == {RETREAT, OTHER_RETREAT}
        shown = {room["slug"] for room in http.get("/admin/rooms", headers=one).json()["rooms"]}
        assert shown == {OTHER_RETREAT}
        assert http.get(f"/admin/rooms/{RETREAT}", headers=one).status_code == 403
