"""Stock clients whose server is killed: they come back by themselves and miss nothing."""

from __future__ import annotations

from collections import Counter
from uuid import uuid4

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
    until_carried_out,
    until_settled,
    until_shown,
)
from tests.e2e.relay import relay_to
from tests.e2e.screen import Row, shown
from tests.e2e.server_process import RETREAT, ServerProcess, token
from tests.e2e.stock_client import StockClient
from tests.faults.database import contents


async def rejoin(client: StockClient, epoch: str) -> dict[str, object]:
    """Enter the room again as a page does: with the revision of the last row it received."""
    since = max(row["revision"] for row in shown(client).values())
    return await client.ask(
        "join-retreat", {"retreatSlug": RETREAT, "since": since, "epoch": epoch}
    )


def epoch_of(client: StockClient) -> str:
    """Return the epoch that a client was told when it joined."""
    return next(str(it.value["epoch"]) for it in client.happened if it.name == "ack")


async def move(server: ServerProcess, people: list[Row]) -> None:
    """Put people into groups of their own, by somebody else."""
    async with connect(server.url, token(20)) as editor:
        await editor.join(RETREAT)
        for person in people:
            await editor.assign(person["id"], empty_group())


async def all_miss_nothing(
    server: ServerProcess, clients: list[StockClient], marks: list[int], epoch: str
) -> None:
    """Let clients that came back rejoin; they show what the list has, without a full one."""
    rows = await listed(server)
    for client, mark in zip(clients, marks, strict=True):
        await client.event("connect", since=mark)
        answer = await rejoin(client, epoch)
        assert (answer["status"], answer["full"]) == ("OK", False)
        await until_shown(client, rows)


async def test_after_a_kill_clients_come_back_and_miss_nothing(
    drivers: Drivers, server: ServerProcess, people: list[Row]
) -> None:
    async with (
        relay_to(server) as relay,
        in_room(drivers.values(), relay.url, options=COMES_BACK) as clients,
    ):
        await until_settled(drivers.values(), clients)
        epoch = epoch_of(clients[0])
        marks = [len(client.happened) for client in clients]
        await lose_network(relay, clients)
        await trio.to_thread.run_sync(server.kill_and_start_again)
        await move(server, people[:5])
        relay.reopen()
        await all_miss_nothing(server, clients, marks, epoch)
        await until_settled(drivers.values(), clients)


async def test_clients_whose_server_is_killed_under_them_come_back_and_miss_nothing(
    drivers: Drivers, server: ServerProcess, people: list[Row]
) -> None:
    async with in_room(drivers.values(), server.url, options=COMES_BACK) as clients:
        await until_settled(drivers.values(), clients)
        epoch = epoch_of(clients[0])
        marks = [len(client.happened) for client in clients]
        await trio.to_thread.run_sync(server.kill)
        # Nobody hears the last of a server that is gone; what is said for it is no refusal.
        for client, mark in zip(clients, marks, strict=True):
            await client.event("disconnect", since=mark)
            await client.event("connect_error", lambda error: error["data"] is None, since=mark)
        await trio.to_thread.run_sync(server.start_again)
        await move(server, people[:5])
        await all_miss_nothing(server, clients, marks, epoch)
        await until_settled(drivers.values(), clients)


async def test_a_command_repeated_after_a_kill_takes_effect_once(
    drivers: Drivers, server: ServerProcess, people: list[Row]
) -> None:
    async with (
        relay_to(server) as relay,
        in_room(drivers.values(), relay.url, options=COMES_BACK) as clients,
    ):
        await until_settled(drivers.values(), clients)
        commands = [
            assignment(person, empty_group(), commandId=str(uuid4()))
            for person, _ in zip(people, clients, strict=False)
        ]
        marks = [len(client.happened) for client in clients]
        # The server carries them out, and nobody learns of it.
        relay.hold_answers()
        for client, command in zip(clients, commands, strict=True):
            await client.begin(*command)
        await until_carried_out(server, *commands)
        await lose_network(relay, clients)
        relay.release_answers()
        await trio.to_thread.run_sync(server.kill_and_start_again)
        relay.reopen()
        for client, command, mark in zip(clients, commands, marks, strict=True):
            await client.event("connect", since=mark)
            assert (await client.ask("join-retreat", RETREAT))["status"] == "OK"
            answer = await client.ask(*command)
            assert answer["status"] == "OK"
    log = Counter(str(entry.command_id) for entry in (await contents(server)).log)
    assert [log[command["commandId"]] for _, command in commands] == [1] * len(commands)
