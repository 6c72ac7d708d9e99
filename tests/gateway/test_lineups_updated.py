"""What clients in the batch form are sent, over each transport."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import pytest
from trio.testing import MockClock

from gbs_actor.testing import Peer
from gbs_actor.testing.peers import PeerProtocol
from tests.gateway.serving import SLUG, Transport, World, sequence, world

EDIT = {"lineupId": 2, "gbsNumber": 3}
COUNTS = (
    *("totalCount", "maleCount", "femaleCount"),
    *("fullAttendanceCount", "partialAttendanceCount"),
)


@pytest.fixture(params=["socketio", "plain"])
def transport(request: pytest.FixtureRequest) -> Transport:
    value: Transport = request.param
    return value


@asynccontextmanager
async def joined_in_batch_form(
    here: World, transport: Transport, **token: Any
) -> AsyncIterator[Peer]:
    async with here.joined_by(transport, batch=True, **token) as peer:
        yield peer


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
        order = [name for name in sequence(peer) if name != "room-presence"]
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
    async with world() as here:
        if transport == "plain":
            wishing: Any = here.connect("plain", f"{SLUG}?updates={updates}")
        else:
            wishing = here.connect_with_auth({"token": here.token(), "updates": updates})
        async with wishing as peer:
            if transport == "socketio":
                await peer.call("join-retreat", SLUG)
            await peer.call("update-gbs-number", EDIT)
            assert (await peer.event("lineup-updated"))["id"] == 2


async def test_a_join_is_not_followed_by_recent_changes(transport: Transport) -> None:
    async with world() as here, here.joined_by("socketio", user_id=8) as editor:
        await editor.call("update-gbs-number", EDIT)
        async with joined_in_batch_form(here, transport) as peer:
            await peer.event("room-presence")
            assert peer.named("lineups-updated") == peer.named("lineup-updated") == []


@pytest.mark.parametrize("protocol", ["socketio", "polling"])
async def test_the_form_holds_for_recovery(
    autojump_clock: MockClock, protocol: PeerProtocol
) -> None:
    async with world() as here, here.joined_by("socketio", user_id=8) as editor:
        client = await here.server.peer(protocol, join=SLUG, batch=True, recovery=True)
        await editor.call("update-gbs-number", {"lineupId": 2, "gbsNumber": 1})
        await client.event("lineups-updated")
        assert client.offset == "1"
        await here.server.settle()
        client.cut()
        await client.closed.wait()
        for person in (3, 4):
            await editor.call("update-gbs-number", {"lineupId": person, "gbsNumber": 2})
        await client.reconnect()
        assert client.recovered
        update = await client.event("lineups-updated")
        assert client.offset == str(update["revision"]) == "3"
        assert [row["revision"] for row in update["rows"]] == [1, 2, 3]  # inclusive
        assert [group["gbsNumber"] for group in update["groups"]] == [1, 2]
        assert update["changes"] == []  # the server keeps none for it
        await here.server.settle()
        assert client.named("lineup-updated") == []


async def test_polls_get_a_change_whole_while_no_other_one_waits(
    autojump_clock: MockClock,
) -> None:
    async with world() as here, here.joined_by("socketio", user_id=8) as editor:
        client = await here.server.peer("polling", join=SLUG, batch=True)
        await editor.call("update-gbs-number", {"lineupId": 2, "gbsNumber": 3})
        update = await client.event("lineups-updated")
        assert (len(update["rows"]), len(update["groups"])) == (1, 1)
