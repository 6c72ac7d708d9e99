"""The stock JavaScript client in Node and in Chromium, over every transport.

Who it is, it says by the cookie alone; in Chromium from a page of another origin.
"""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import pytest
import trio

from gbs_actor.client import connect
from tests.e2e.drivers import Driver, Drivers
from tests.e2e.in_room import assignment, empty_group, in_room, listed, until_shown
from tests.e2e.relay import relay_to
from tests.e2e.screen import Row, join_end, revisions, shown, updates
from tests.e2e.server_process import RETREAT, ServerProcess, token
from tests.e2e.stock_client import Refused, StockClient, stock_clients
from tests.faults.database import contents


async def test_a_join_brings_the_list_over_the_transport_that_was_asked_for(
    any_driver: Driver, server: ServerProcess
) -> None:
    async with in_room([any_driver], server.url) as (client,):
        if any_driver.upgrades:
            assert await client.event("upgrade") == "websocket"
        assert (await client.facts()).transport == any_driver.last_transport
        assert shown(client) == await listed(server)


async def test_edits_of_two_clients_at_once_are_answered_and_seen_in_one_order(
    any_driver: Driver, server: ServerProcess, people: list[Row]
) -> None:
    async with in_room([any_driver, any_driver], server.url) as (one, two):
        number = empty_group()
        under_way = [
            (client, await client.begin(*assignment(person, number)))
            for client, person in zip([one, two] * 10, people[:20], strict=True)
        ]
        answers = [await client.acknowledged(command) for client, command in under_way]
        assert [answer["status"] for answer in answers] == ["OK"] * 20
        assert len({answer["revision"] for answer in answers}) == 20
        rows = await listed(server)
        for client in (one, two):
            await until_shown(client, rows)
            seen = revisions(client)
            assert seen == sorted(seen)


async def test_a_page_with_its_list_from_http_is_sent_what_changed_before_its_join(
    any_driver: Driver, server: ServerProcess, people: list[Row]
) -> None:
    rows = await listed(server)
    async with connect(server.url, token(20)) as editor:
        await editor.join(RETREAT)
        for person in people[:3]:
            await editor.assign(person["id"], empty_group())
    now = await listed(server)
    assert rows != now
    async with in_room([any_driver], server.url) as (client,):
        # It ignores the rows of the answer, as the page in use does.
        for row in updates(client):
            rows[row["id"]] = row
        assert rows == now


async def test_a_memo_is_created_updated_and_deleted_before_everybodys_eyes(
    any_driver: Driver, server: ServerProcess, person: Row
) -> None:
    async with in_room([any_driver, any_driver], server.url) as (author, other):
        created = await author.ask(
            "create-lineup-memo",
            {"lineupId": person["id"], "memo": "허리 조심", "color": "#FECACA"},
        )
        assert created["status"] == "OK", created
        memo = {"memoId": created["data"]["lineupMemoId"]}
        updated = await author.ask("update-lineup-memo", {**memo, "memo": "괜찮음"})
        deleted = await author.ask("delete-lineup-memo", memo)
        states = [answer["data"] for answer in (created, updated, deleted)]
        for client in (author, other):
            await client.event("lineup-updated", lambda row: row == states[-1])
            seen = updates(client, since=join_end(client))
            seen = [row for row in seen if row["id"] == person["id"]]
            # Who was slow to ask may miss what was no longer so.
            assert seen == [row for row in states if row in seen]
    assert [state["lineupMemo"] for state in states] == ["허리 조심", "괜찮음", ""]


async def test_who_comes_second_learns_of_the_conflict(
    any_driver: Driver, server: ServerProcess, person: Row
) -> None:
    async with in_room([any_driver, any_driver], server.url) as (one, two):
        base = shown(two)[person["id"]]["revision"]
        number = empty_group()
        first = await one.ask(*assignment(person, number, baseRevision=base))
        second = await two.ask(*assignment(person, number + 1, baseRevision=base))
    assert (first["status"], second["code"]) == ("OK", "CONFLICT")
    assert second["data"] == first["data"]
    assert second["conflict"]["field"] == "gbsNumber"
    assert second["conflict"]["theirs"] == number
    assert second["conflict"]["changedBy"] == "간사7"


async def test_a_refusal_tells_its_message_and_its_code(
    any_driver: Driver, server: ServerProcess
) -> None:
    refusals = []
    async with stock_clients([any_driver]) as (client,):
        for cookie in (
            None,
            "not-a-token",
            token(exp=1_000_000_000),
        ):
            with pytest.raises(Refused) as refused:
                await client.connect(server.url, cookie=cookie)
            refusals.append((refused.value.message, refused.value.data))
    assert refusals == [
        ("Authentication required", {"code": "AUTH_REQUIRED"}),
        ("Invalid token", {"code": "INVALID_TOKEN"}),
        ("Token expired", {"code": "TOKEN_EXPIRED"}),
    ]


async def test_presence_shows_who_comes_and_who_goes(
    any_driver: Driver, server: ServerProcess
) -> None:
    # Users of their own: who ended between two polls in another test may still seem to be here.
    async with in_room([any_driver, any_driver], server.url, first_user=57) as (one, two):
        await one.event("room-presence", lambda presence: {57, 58} <= users(presence))
        mark = len(one.happened)
        await two.disconnect()
        await one.event("room-presence", lambda presence: 58 not in users(presence), since=mark)


async def test_a_volatile_editing_mark_reaches_the_others(
    any_driver: Driver, server: ServerProcess, person: Row
) -> None:
    async with in_room([any_driver, any_driver], server.url) as (author, other):
        while not (await author.facts()).writable:
            pass  # an answer may come before its request is done
        await author.emit("user-editing", {"lineupId": person["id"]}, volatile=True)
        mark = await other.event("user-editing", lambda mark: mark["lineupId"] == person["id"])
        assert (mark["userName"], mark["editing"]) == ("간사7", True)


async def test_an_editing_mark_that_moves_leaves_its_former_place(
    any_driver: Driver, server: ServerProcess, people: list[Row]
) -> None:
    former, place = people[0]["id"], people[1]["id"]
    async with in_room([any_driver, any_driver], server.url) as (author, other):
        for each in (former, place):
            answer = await author.ask("user-editing", {"lineupId": each})
            assert answer["status"] == "OK"
            # Of a mark that has gone already when its turn comes, nobody is sent anything.
            await other.event("user-editing", partial(is_mark, each, True))
        await other.event("user-editing", partial(is_mark, former, False))


def is_mark(place: int, editing: bool, mark: dict[str, Any]) -> bool:
    return (mark["lineupId"], mark["editing"]) == (place, editing)


async def test_edits_in_the_middle_of_an_upgrade_are_neither_lost_nor_doubled(
    drivers: Drivers, server: ServerProcess, people: list[Row]
) -> None:
    given: list[UUID] = []

    async def edit(client: StockClient, person: Row) -> None:
        behind = 0
        while behind < 10:
            behind += "upgrade" in {it.name for it in client.happened}
            # Some at once, so that the upgrade comes between an edit and its answer.
            under_way = []
            for _ in range(3):
                given.append(uuid4())
                under_way.append(
                    await client.begin(*assignment(person, empty_group(), commandId=str(given[-1])))
                )
            for command in under_way:
                assert (await client.acknowledged(command))["status"] == "OK"
            if len(given) > 30:
                relay.release_websockets()

    async with relay_to(server) as relay:
        relay.hold_websockets()
        async with in_room([drivers["upgrade"]] * 2, relay.url) as clients:
            assert [(await client.facts()).transport for client in clients] == ["polling"] * 2
            async with trio.open_nursery() as nursery:
                for client, person in zip(clients, people, strict=False):
                    nursery.start_soon(edit, client, person)
            assert [(await client.facts()).transport for client in clients] == ["websocket"] * 2
            rows = await listed(server)
            for client in clients:
                await until_shown(client, rows)
                seen = revisions(client)
                assert seen == sorted(seen)
                behind = updates(client, since=join_end(client))
                came = [(row["id"], row["revision"]) for row in behind]
                assert len(came) == len(set(came))
    logged = Counter(entry.command_id for entry in (await contents(server)).log)
    assert {logged[command_id] for command_id in given} == {1}


async def test_where_websockets_are_cut_a_client_stays_on_polling(
    drivers: Drivers, server: ServerProcess, person: Row
) -> None:
    async with (
        relay_to(server, knows_websockets=False) as relay,
        in_room([drivers["upgrade"]], relay.url) as (client,),
    ):
        await client.event("upgradeError")
        answer = await client.ask(*assignment(person, empty_group()))
        assert answer["status"] == "OK"
        await client.event("lineup-updated", lambda row: row == answer["data"])
        assert (await client.facts()).transport == "polling"
        assert "disconnect" not in {it.name for it in client.happened}


def users(presence: dict[str, Any]) -> set[int]:
    """Return the ids of the users in a presence message."""
    return {user["userId"] for user in presence["users"]}
