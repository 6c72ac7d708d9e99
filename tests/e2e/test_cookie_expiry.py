"""A page that is left open over the expiry of its cookie."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
import trio

from gbs_actor.auth.user import LEEWAY
from gbs_actor.client import connect
from tests.e2e.drivers import Drivers
from tests.e2e.in_room import (
    BETWEEN_LOOKS,
    COMES_BACK,
    assignment,
    empty_group,
    listed,
    until_shown,
)
from tests.e2e.screen import Row
from tests.e2e.server_process import RETREAT, ServerProcess, running_server, token
from tests.e2e.stock_client import PATIENCE, StockClient, stock_clients

LIFE = 2.0
"""Seconds a cookie still counts when a client connects with it."""
GRACE = 1.0
"""Seconds that clients of the impatient server may read on."""


@pytest.fixture(scope="module")
def impatient_server(page: str) -> Iterator[ServerProcess]:
    """A server that lets nobody read on for long."""
    environment = {"GBS_ALLOWED_ORIGINS": page, "GBS_COOKIE_GRACE": str(GRACE)}
    with running_server(environment=environment) as running:
        yield running


@asynccontextmanager
async def soon_expired(drivers: Drivers, server: ServerProcess) -> AsyncIterator[list[StockClient]]:
    """Clients in the room whose cookies expire right away."""
    async with stock_clients(drivers.values()) as clients:
        for user_id, client in enumerate(clients, 7):
            expiry = time.time() - LEEWAY + LIFE
            await client.connect(server.url, cookie=token(user_id, exp=expiry), options=COMES_BACK)
            assert (await client.ask("join-retreat", RETREAT))["status"] == "OK"
        yield clients


async def until_expired(client: StockClient) -> None:
    """Wait until a client may change nothing any more."""
    with trio.fail_after(PATIENCE):
        while True:
            answer = await client.ask("delete-lineup-memo", {"memoId": 999_999})
            if answer["code"] == "TOKEN_EXPIRED":
                return
            await trio.sleep(BETWEEN_LOOKS)


async def test_a_page_left_open_over_the_expiry_of_its_cookie_keeps_receiving(
    drivers: Drivers, server: ServerProcess, people: list[Row]
) -> None:
    async with soon_expired(drivers, server) as clients:
        for client in clients:
            await until_expired(client)
            await client.set_cookie(None)  # the browser throws it away, too
        async with connect(server.url, token(20)) as editor:
            await editor.join(RETREAT)
            for person in people[:3]:
                await editor.assign(person["id"], empty_group())
        rows = await listed(server)
        for client in clients:
            await until_shown(client, rows)
            answer = await client.ask(*assignment(people[0], empty_group()))
            assert answer["code"] == "TOKEN_EXPIRED"
            assert "disconnect" not in {it.name for it in client.happened}


@pytest.mark.node
@pytest.mark.browser
async def test_a_page_whose_grace_is_over_comes_back_with_a_new_cookie(
    chromium_drivers: Drivers, impatient_server: ServerProcess
) -> None:
    async with soon_expired(chromium_drivers, impatient_server) as clients:
        marks = [len(client.happened) for client in clients]
        for user_id, client in enumerate(clients, 7):
            await client.set_cookie(token(user_id))
        for client, mark in zip(clients, marks, strict=True):
            await client.event("connect", since=mark)
            answer = await client.ask("join-retreat", RETREAT)
            assert answer["status"] == "OK"


async def test_a_page_whose_grace_is_over_learns_that_its_cookie_has_expired(
    drivers: Drivers, impatient_server: ServerProcess
) -> None:
    async with soon_expired(drivers, impatient_server) as clients:
        for client in clients:
            error = await client.event("connect_error", lambda error: error["data"] is not None)
            assert error["data"]["code"] == "TOKEN_EXPIRED"
