"""Connection state recovery, with stock clients that ask for it and some that do not."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

import pytest
import trio

from gbs_actor.client import connect
from tests.e2e.drivers import Drivers
from tests.e2e.in_room import (
    COMES_BACK,
    assignment,
    empty_group,
    in_room,
    listed,
    lose_network,
    until_settled,
    until_shown,
)
from tests.e2e.relay import Relay, relay_to
from tests.e2e.screen import Row, updates
from tests.e2e.server_process import RETREAT, ServerProcess, running_server, token
from tests.e2e.stock_client import StockClient
from tests.faults.database import until_noted

ASKING: dict[str, object] = {"recovery": True}


Fault = Callable[[Relay, list[StockClient], ServerProcess], Awaitable[None]]


async def _the_network(relay: Relay, clients: list[StockClient], _: ServerProcess) -> None:
    await lose_network(relay, clients)


async def _the_network_and_the_server(
    relay: Relay, clients: list[StockClient], server: ServerProcess
) -> None:
    await lose_network(relay, clients)
    await trio.to_thread.run_sync(server.kill_and_start_again)


async def _the_server(_: Relay, clients: list[StockClient], server: ServerProcess) -> None:
    marks = [len(client.happened) for client in clients]
    await trio.to_thread.run_sync(server.kill_and_start_again)
    for client, mark in zip(clients, marks, strict=True):
        await client.event("disconnect", since=mark)


@asynccontextmanager
async def recoverable(
    drivers: Drivers,
    server: ServerProcess,
    person: Row,
    *,
    auth: dict[str, object] | None = ASKING,
) -> AsyncIterator[tuple[Relay, list[StockClient]]]:
    """Clients in the room that have received something there: an offset to come back with."""
    async with (
        relay_to(server) as relay,
        in_room(drivers.values(), relay.url, auth=auth, options=COMES_BACK) as clients,
    ):
        await until_settled(drivers.values(), clients)
        answer = await clients[0].ask(*assignment(person, empty_group()))
        assert answer["status"] == "OK", answer
        for client in clients:
            await client.event("lineup-updated", lambda row: row == answer["data"])
        yield relay, clients


async def recovered(clients: list[StockClient], marks: list[int]) -> list[bool]:
    """Return for each client whether it is recovered, once it is back."""
    return [
        (await client.event("connect", since=mark))["recovered"]
        for client, mark in zip(clients, marks, strict=True)
    ]


def _is(wanted: Row, row: Row) -> bool:
    return wanted.items() <= row.items()


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(_the_network, id="lost connection"),
        pytest.param(_the_network_and_the_server, id="killed server"),
        pytest.param(_the_server, id="server killed under them"),
    ],
)
async def test_a_recovered_client_is_in_its_room_and_gets_what_it_missed(
    drivers: Drivers,
    server: ServerProcess,
    people: list[Row],
    fault: Fault,
) -> None:
    async with recoverable(drivers, server, people[0]) as (relay, clients):
        ids = [(await client.facts()).id for client in clients]
        for sid in ids:
            assert sid is not None
            await until_noted(server, sid)
        marks = [len(client.happened) for client in clients]
        await fault(relay, clients, server)
        async with connect(server.url, token(20)) as editor:
            await editor.join(RETREAT)
            missed = {
                (await editor.assign(person["id"], empty_group())).id for person in people[1:4]
            }
        relay.reopen()
        assert await recovered(clients, marks) == [True] * len(clients)
        assert [(await client.facts()).id for client in clients] == ids
        await until_settled(drivers.values(), clients)
        rows = await listed(server)
        for client, mark in zip(clients, marks, strict=True):
            await until_shown(client, rows)
            assert missed <= {row["id"] for row in updates(client, since=mark)}
        # Nobody joined again, and yet all are in the room.
        answer = await clients[0].ask(*assignment(people[4], empty_group()))
        assert answer["status"] == "OK"
        for client in clients:
            await client.event("lineup-updated", lambda row: row == answer["data"])


async def test_a_client_that_is_cut_off_right_behind_its_join_is_recovered(
    drivers: Drivers, page: str
) -> None:
    # The room as a whole is sent nothing meanwhile.
    seldom = {"GBS_PRESENCE_INTERVAL": "3600", "GBS_ALLOWED_ORIGINS": page}
    with running_server(environment=seldom) as server:
        async with (
            connect(server.url, token(20)) as editor,
            connect(server.url, token(21)) as watcher,
            relay_to(server) as relay,
        ):
            people = [row.id for row in await editor.join(RETREAT) if not row.is_leader]
            await watcher.join(RETREAT)
            async with in_room(
                drivers.values(), relay.url, auth=ASKING, options=COMES_BACK
            ) as clients:
                await until_settled(drivers.values(), clients)
                marks = [0] * len(clients)
                # The second cut comes right behind the CONNECT that recovered the first.
                for person in people[:2]:
                    for client, mark in zip(clients, marks, strict=True):
                        await client.event("room-presence", since=mark)
                    marks = [len(client.happened) for client in clients]
                    await lose_network(relay, clients)
                    missed = {"id": person, "gbsNumber": empty_group()}
                    await editor.assign(person, missed["gbsNumber"])
                    relay.reopen()
                    assert await recovered(clients, marks) == [True] * len(clients)
                    for client, mark in zip(clients, marks, strict=True):
                        await client.event("lineup-updated", partial(_is, missed), since=mark)


async def test_a_client_that_closed_its_connection_but_not_its_socket_is_recovered(
    drivers: Drivers, server: ServerProcess, person: Row
) -> None:
    async with recoverable(drivers, server, person) as (_, clients):
        marks = [len(client.happened) for client in clients]
        for client in clients:
            await client.drop()
        assert await recovered(clients, marks) == [True] * len(clients)


async def test_a_client_that_did_not_ask_is_not_recovered(
    drivers: Drivers, server: ServerProcess, person: Row
) -> None:
    async with recoverable(drivers, server, person, auth=None) as (relay, clients):
        marks = [len(client.happened) for client in clients]
        await lose_network(relay, clients)
        relay.reopen()
        assert await recovered(clients, marks) == [False] * len(clients)


async def test_a_client_that_disconnected_is_not_recovered(
    drivers: Drivers, server: ServerProcess, person: Row
) -> None:
    async with recoverable(drivers, server, person) as (_, clients):
        marks = [len(client.happened) for client in clients]
        for client in clients:
            await client.disconnect()
            await client.reconnect()
            answer = await client.ask("user-editing", {"lineupId": person["id"]})
            assert answer["code"] == "NOT_IN_ROOM"
        assert await recovered(clients, marks) == [False] * len(clients)


async def test_nobody_recovers_the_connection_of_another_user(
    drivers: Drivers, server: ServerProcess, person: Row
) -> None:
    async with recoverable(drivers, server, person) as (relay, clients):
        marks = [len(client.happened) for client in clients]
        for client in clients:
            await client.authenticate_with(token(30), ASKING)
        await lose_network(relay, clients)
        relay.reopen()
        assert await recovered(clients, marks) == [False] * len(clients)
