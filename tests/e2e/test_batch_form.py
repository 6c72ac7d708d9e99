"""Stock clients that ask for the batch form, beside some that know nothing of it."""

from __future__ import annotations

from typing import Any

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
from tests.e2e.relay import relay_to
from tests.e2e.screen import Row, shown
from tests.e2e.server_process import RETREAT, ServerProcess, token
from tests.e2e.stock_client import StockClient

ASKING: dict[str, object] = {"updates": "batch", "recovery": True}


def values(rows: dict[int, Row]) -> dict[int, Row]:
    """Return rows without their revisions: in the batch form, those are of their own fields."""
    return {row_id: {**row, "revision": None} for row_id, row in rows.items()}


async def until_same_values(client: StockClient, rows: dict[int, Row]) -> None:
    """Wait until a client shows these rows, whatever their revisions."""
    await client.until(lambda: values(shown(client)) == values(rows))


def groups_of(client: StockClient) -> list[dict[str, Any]]:
    """Return the groups that came in updates."""
    found = [it.value["groups"] for it in client.happened if it.name == "lineups-updated"]
    return [group for groups in found for group in groups]


async def test_both_forms_show_what_the_list_has(
    drivers: Drivers, server: ServerProcess, people: list[Row]
) -> None:
    async with (
        in_room(drivers.values(), server.url, auth=ASKING) as batched,
        in_room(drivers.values(), server.url, first_user=17) as single,
    ):
        group = empty_group()
        for person, author in zip(people, batched + single, strict=False):
            assert (await author.ask(*assignment(person, group)))["status"] == "OK"
        memo = {"lineupId": people[0]["id"], "memo": "허리", "color": "#FECACA"}
        assert (await batched[0].ask("create-lineup-memo", memo))["status"] == "OK"
        rows = await listed(server)
        for client in batched:
            await until_same_values(client, rows)
            assert "lineup-updated" not in {it.name for it in client.happened}
            assert group in {each["gbsNumber"] for each in groups_of(client)}
        for client in single:
            await until_shown(client, rows)
            assert "lineups-updated" not in {it.name for it in client.happened}
        # A move by somebody else leaves the base of the others in the group as it is.
        base = shown(batched[0])[people[1]["id"]]["revision"]
        assert base < max(each["revision"] for each in groups_of(batched[0]))


async def test_a_recovered_client_gets_what_it_missed_in_the_form_that_it_asked_for(
    drivers: Drivers, server: ServerProcess, people: list[Row]
) -> None:
    async with (
        relay_to(server) as relay,
        in_room(drivers.values(), relay.url, auth=ASKING, options=COMES_BACK) as clients,
    ):
        await until_settled(drivers.values(), clients)
        marks = [len(client.happened) for client in clients]
        await lose_network(relay, clients)
        await trio.to_thread.run_sync(server.kill_and_start_again)
        group = empty_group()
        async with connect(server.url, token(20)) as editor:
            await editor.join(RETREAT)
            for person in people[:4]:
                await editor.assign(person["id"], group)
        relay.reopen()
        rows = await listed(server)
        for client, mark in zip(clients, marks, strict=True):
            assert (await client.event("connect", since=mark))["recovered"]
            await until_same_values(client, rows)
            assert "lineup-updated" not in {it.name for it in client.happened}
