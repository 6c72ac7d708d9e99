"""What clients in the batch form are sent, over each transport."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import pytest
from trio.testing import MockClock

from tests.gateway import returning
from tests.gateway.composing import SLUG
from tests.gateway.world import Talker, Transport, World, world
from tests.socketio.lines import Carrier

EDIT = {"lineupId": 2, "gbsNumber": 3}
COUNTS = (
    *("totalCount", "maleCount", "femaleCount"),
    *("fullAttendanceCount", "partialAttendanceCount"),
)
both_carriers = pytest.mark.parametrize("carrier", ["websocket", "polling"])


@pytest.fixture(params=["socketio", "plain"])
def transport(request: pytest.FixtureRequest) -> Transport:
    value: Transport = request.param
    return value


@asynccontextmanager
async def joined_in_batch_form(
    here: World, transport: Transport, updates: Any = "batch", **token: Any
) -> AsyncIterator[Talker]:
    if transport == "socketio":
        auth = {"token": here.parts.token(**token), "updates": updates}
        async with here.joined_by_socketio(auth=auth) as peer:
            yield peer
    else:
        async with here.joined(f"{SLUG}?updates={updates}", **token) as plain_peer:
            plain_peer.forget()
            yield plain_peer


async def test_a_move_is_one_message_with_the_row_and_both_groups(transport: Transport) -> None:
    async with world() as here, joined_in_batch_form(here, transport, name="김간사") as peer:
        await peer.call("update-gbs-number", EDIT)
        peer.forget()
        ack = await peer.call("update-gbs-number", EDIT | {"gbsNumber": 1})
        (update,) = peer.named("lineups-updated")
        assert update["revision"] == 2
        assert update["rows"] == [ack["data"]]
        groups = {group["gbsNumber"]: group for group in update["groups"]}
        assert groups.keys() == {1, 3}
        assert groups[3] == {
            "gbsNumber": 3,
            "revision": 2,
            "gbsMemo": "",
            **dict.fromkeys(COUNTS, 0),
        }
        assert groups[1] == {
            "gbsNumber": 1,
            "revision": 2,
            "gbsMemo": ack["data"]["gbsMemo"],
            **{count: ack["data"][count] for count in COUNTS},
        }
        assert update["changes"] == [
            {
                "revision": 2,
                "kind": "assign-number",
                "by": {"userId": 7, "userName": "김간사"},
                "ids": [2],
            }
        ]
        order = [name for name in peer.order() if name != "room-presence"]
        assert order == ["lineups-updated", "reply"]


async def test_a_memo_touches_no_group_and_shows_the_command_id_that_its_client_gave(
    transport: Transport,
) -> None:
    async with world() as here, joined_in_batch_form(here, transport) as peer:
        command_id = str(UUID(int=5))
        memo = {"lineupId": 2, "memo": "허리", "commandId": command_id}
        ack = await peer.call("create-lineup-memo", memo)
        update = await peer.event("lineups-updated")
        assert update["rows"] == [ack["data"]]
        assert update["groups"] == []
        (change,) = update["changes"]
        assert (change["kind"], change["commandId"]) == ("create-memo", command_id)


async def test_both_forms_are_served_side_by_side(transport: Transport) -> None:
    async with (
        world() as here,
        joined_in_batch_form(here, transport) as batched,
        here.joined_by(transport, user_id=8) as single,
    ):
        await single.call("update-gbs-number", EDIT)
        update = await batched.event("lineups-updated")
        assert update["rows"] == [await single.event("lineup-updated")]
        assert single.named("lineups-updated") == batched.named("lineup-updated") == []


@pytest.mark.parametrize("updates", ["single", "", 1])
async def test_another_wish_is_answered_with_single_rows(
    transport: Transport, updates: object
) -> None:
    async with world() as here, joined_in_batch_form(here, transport, updates) as peer:
        await peer.call("update-gbs-number", EDIT)
        assert (await peer.event("lineup-updated"))["id"] == 2


async def test_a_join_is_not_followed_by_recent_changes(transport: Transport) -> None:
    async with world() as here, here.joined_by("socketio", user_id=8) as editor:
        await editor.call("update-gbs-number", EDIT)
        async with joined_in_batch_form(here, transport) as peer:
            await peer.event("room-presence")
            assert peer.named("lineups-updated") == peer.named("lineup-updated") == []


@both_carriers
async def test_the_form_holds_for_recovery(autojump_clock: MockClock, carrier: Carrier) -> None:
    async with returning.world() as here:
        editor = await here.joined(user_id=8)
        client = here.client(carrier)
        client.auth["updates"] = "batch"
        await client.connect()
        await client.join()
        await editor.assign(2, 1)
        update = await client.event("lineups-updated")
        assert update.offset == "1"
        await client.cut()
        for person in (3, 4):
            await editor.assign(person, 2)
        seen = len(client.events)
        await client.connect()
        assert client.recovered
        update = await client.event("lineups-updated", since=seen)
        assert update.offset == str(update.payload["revision"]) == "3"
        assert [row["revision"] for row in update.payload["rows"]] == [1, 2, 3]  # inclusive
        assert [group["gbsNumber"] for group in update.payload["groups"]] == [1, 2]
        assert update.payload["changes"] == []  # the server keeps none for it
        await client.settle()
        assert client.named("lineup-updated") == []


async def test_polls_get_a_change_whole_while_no_other_one_waits(
    autojump_clock: MockClock,
) -> None:
    async with returning.world() as here:
        editor = await here.joined(user_id=8)
        client = here.client("polling")
        client.auth["updates"] = "batch"
        await client.connect()
        await client.join()
        seen = len(client.events)
        await editor.assign(2, 3)
        update = await client.event("lineups-updated", since=seen)
        assert (len(update.payload["rows"]), len(update.payload["groups"])) == (1, 1)
