"""Stock clients that are in the room, and what is waited for there."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import trio

from tests.e2e.drivers import Driver
from tests.e2e.relay import Relay
from tests.e2e.screen import Row, shown
from tests.e2e.server_process import RETREAT, ServerProcess, token
from tests.e2e.stock_client import TIMEOUT, StockClient, stock_clients

COMES_BACK: Mapping[str, object] = {
    "reconnection": True,
    "reconnectionDelay": 50,
    "reconnectionDelayMax": 200,
}
"""Options of a client that reconnects by itself, sooner than it would by default."""

BETWEEN_LOOKS = 0.05
"""Seconds between two looks at what nobody is notified of."""

_numbers = itertools.count(1000, 5)


def empty_group() -> int:
    """Return the number of a group that nobody is in, nor in the four behind it."""
    return next(_numbers)


Command = tuple[str, dict[str, Any]]
"""An event's name and argument."""


def assignment(person: Row, number: int, **more: object) -> Command:
    """Return the event that puts a person into a group."""
    return "update-gbs-number", {"lineupId": person["id"], "gbsNumber": number, **more}


@asynccontextmanager
async def in_room(
    drivers: Iterable[Driver],
    url: str,
    *,
    first_user: int = 7,
    auth: Mapping[str, object] | None = None,
    options: Mapping[str, object] | None = None,
) -> AsyncIterator[list[StockClient]]:
    """Clients of as many users, by cookie, all in the room; one for each driver."""
    async with stock_clients(drivers) as clients:
        for user_id, client in enumerate(clients, first_user):
            await client.connect(
                url, cookie=token(user_id, f"간사{user_id}"), auth=auth, options=options
            )
            answer = await client.ask("join-retreat", RETREAT)
            assert answer["status"] == "OK", answer
            await client.event("room-presence")  # the last of what a join brings
        yield clients


async def listed(server: ServerProcess) -> dict[int, Row]:
    """Return the rows by id, read over HTTP."""
    answer = await trio.to_thread.run_sync(
        server.get, f"/api/v1/retreat/{RETREAT}/line-up/user-lineups", token()
    )
    return {row["id"]: row for row in answer["userRetreatGbsLineups"]}


async def until_carried_out(server: ServerProcess, *commands: Command) -> None:
    """Wait until assignments show in the list, whoever was notified."""
    wanted = {(command["lineupId"], command["gbsNumber"]) for _, command in commands}
    with trio.fail_after(TIMEOUT):
        while True:
            rows = await listed(server)
            if wanted <= {(row["id"], row["gbsNumber"]) for row in rows.values()}:
                return
            await trio.sleep(BETWEEN_LOOKS)


async def lose_network(relay: Relay, clients: Iterable[StockClient]) -> None:
    """Let the relay pass nothing on until it is reopened, and all clients notice it."""
    marks = [(client, len(client.happened)) for client in clients]
    relay.close()
    for client, mark in marks:
        # Who polls may have no connection at this moment, and learns of it with the next.
        await client.event("disconnect", since=mark)


async def until_settled(drivers: Iterable[Driver], clients: Iterable[StockClient]) -> None:
    """Wait until every client is on the last of its transports, where an upgrade ends."""
    for driver, client in zip(drivers, clients, strict=True):
        with trio.fail_after(TIMEOUT):
            while True:
                if (await client.facts()).transport == driver.last_transport:
                    break
                await trio.sleep(BETWEEN_LOOKS)


async def until_shown(client: StockClient, rows: dict[int, Row]) -> None:
    """Wait until a client has received these rows, and no others."""
    await client.until(lambda: shown(client) == rows)
