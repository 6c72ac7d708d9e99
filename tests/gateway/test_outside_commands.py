"""Mutations of clients that are not in the room (wire.md, "Mutations outside a room")."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing

from gbs_actor.auth import Role
from gbs_actor.rooms import RoomState
from tests.gateway.serving import OTHER_SLUG, SLUG, Transport, World, sequence, settings_with, world

ID = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
OTHER_ID = "7f0c2f52-4f58-4f0e-9c4e-6f7e0a3b9d10"
EDIT = {"lineupId": 2, "gbsNumber": 3}
OTHER_EDIT = {"lineupId": 8, "gbsNumber": 3}
"""In the other retreat."""
NOWHERE = {"lineupId": 77, "gbsNumber": 3}
NOT_IN_ROOM = {
    "status": "ERROR",
    "code": "NOT_IN_ROOM",
    "message": "Join a retreat first",
    "legacyCode": "UPDATE_FAILED",
}


@pytest.fixture(params=["socketio", "plain"])
def transport(request: pytest.FixtureRequest) -> Transport:
    value: Transport = request.param
    return value


def started(here: World) -> int:
    return here.rooms.statistics().started


# What it does


async def test_an_edit_before_the_join_takes_effect_and_joins_nothing(
    transport: Transport,
) -> None:
    async with (
        world() as here,
        here.joined_by(transport, user_id=8) as member,
        here.outside_by(transport) as peer,
    ):
        ack = await peer.call("update-gbs-number", EDIT)
        assert (ack["status"], ack["data"]["gbsNumber"], ack["revision"]) == ("OK", 3, None)
        assert (await member.event("lineup-updated"))["gbsNumber"] == 3
        assert sequence(peer) == ["reply"]
        assert (await peer.call("user-editing", {"lineupId": 2}))["code"] == "NOT_IN_ROOM"
        assert (await peer.call("join-retreat", SLUG))["revision"] == 1


async def test_the_room_is_started_if_nobody_is_in_it() -> None:
    async with world() as here, here.outside_by("socketio") as peer:
        assert (await peer.call("update-gbs-number", EDIT))["status"] == "OK"
        assert started(here) == 1


async def test_memos_too_are_written_before_the_join(transport: Transport) -> None:
    async with world() as here, here.outside_by(transport) as peer:
        row = (await peer.call("create-lineup-memo", {"lineupId": 2, "memo": "허리"}))["data"]
        memo = {"memoId": row["lineupMemoId"]}
        row = (await peer.call("update-lineup-memo", {**memo, "memo": "무릎"}))["data"]
        assert row["lineupMemo"] == "무릎"
        deleted = await peer.call("delete-lineup-memo", {**memo, "commandId": ID})
        assert (deleted["data"]["lineupMemoId"], deleted["revision"]) == (None, None)
        assert await peer.call("delete-lineup-memo", {**memo, "commandId": ID}) == deleted
        late = await peer.call("update-lineup-memo", {**memo, "memo": "발목"})
        assert late["code"] == "NOT_FOUND"


async def test_a_deleted_memo_is_found_in_the_store_too(transport: Transport) -> None:
    async with world() as here, here.joined_by(transport) as peer:
        row = (await peer.call("create-lineup-memo", {"lineupId": 2, "memo": "허리"}))["data"]
        gone = {"memoId": row["lineupMemoId"], "commandId": ID}
        assert (await peer.call("delete-lineup-memo", gone))["status"] == "OK"
        assert await here.store.slug_of_memo(row["lineupMemoId"]) == SLUG
        await peer.call("leave-retreat", SLUG)
        assert (await peer.call("delete-lineup-memo", gone))["status"] == "OK"


async def test_a_repeat_gets_the_answer_that_was_lost(transport: Transport) -> None:
    async with world() as here:
        async with here.joined_by(transport) as peer:
            first = await peer.call("update-gbs-number", {**EDIT, "commandId": ID})
        async with here.outside_by(transport) as peer:
            again = await peer.call("update-gbs-number", {**EDIT, "commandId": ID})
            assert again.content == {**first.content, "revision": None}


async def test_what_is_named_needs_no_look_up(transport: Transport) -> None:
    async with world() as here, here.outside_by(transport) as peer:
        ack = await peer.call("update-gbs-number", {**EDIT, "retreatSlug": SLUG})
        assert (ack["status"], ack["revision"]) == ("OK", None)
        ack = await peer.call("update-gbs-number", {**EDIT, "retreatSlug": OTHER_SLUG})
        assert ack["code"] == "NOT_FOUND"
        for slug in ("", "x" * 201, "a\0b", 7):
            ack = await peer.call("update-gbs-number", {**EDIT, "retreatSlug": slug})
            assert ack["code"] == "VALIDATION_FAILED"


async def test_without_a_callback_only_an_error_is_sent(transport: Transport) -> None:
    async with world() as here, here.outside_by(transport) as peer:
        await peer.emit("update-gbs-number", EDIT)
        await peer.emit("update-gbs-number", NOWHERE)
        error = await peer.event("error")
        assert (error["event"], error["code"]) == ("update-gbs-number", "NOT_IN_ROOM")
        assert (await peer.call("join-retreat", SLUG))["revision"] == 1


@pytest.mark.parametrize("named", [{}, {"retreatSlug": SLUG}])
async def test_a_mark_outside_a_room_is_refused(
    transport: Transport, named: dict[str, str]
) -> None:
    async with world() as here, here.outside_by(transport) as peer:
        ack = await peer.call("user-editing", {"lineupId": 2, **named})
        assert ack["code"] == "NOT_IN_ROOM"


# Rights


async def test_an_unknown_id_and_a_retreat_one_may_not_read_get_the_same(
    transport: Transport,
) -> None:
    async with (
        world() as here,
        here.outside_by(transport, OTHER_SLUG, retreats=(OTHER_SLUG,)) as shut_out,
        here.outside_by(transport, OTHER_SLUG, user_id=51) as revoked,
    ):
        rooms = started(here)
        for peer in (shut_out, revoked):
            for edit in (NOWHERE, EDIT, {**EDIT, "retreatSlug": SLUG}):
                assert (await peer.call("update-gbs-number", edit)).content == NOT_IN_ROOM
            memo = await peer.call("delete-lineup-memo", {"memoId": 77})
            assert memo["code"] == "NOT_IN_ROOM"
        assert started(here) == rooms
        unknown = {**EDIT, "retreatSlug": "none"}
        assert (await shut_out.call("update-gbs-number", unknown)).content == NOT_IN_ROOM
        assert (await revoked.call("update-gbs-number", unknown)).content == NOT_IN_ROOM


async def test_who_only_reads_there_is_forbidden_before_a_room_is_started() -> None:
    async with (
        world() as here,
        here.outside_by("socketio", role=Role.ACCOUNT_STAFF) as reader,
        here.outside_by("socketio", user_id=50) as demoted,
    ):
        assert (await reader.call("update-gbs-number", EDIT))["code"] == "FORBIDDEN"
        assert (await demoted.call("update-gbs-number", EDIT))["code"] == "FORBIDDEN"
        assert (await demoted.call("update-gbs-number", OTHER_EDIT))["status"] == "OK"
        assert started(here) == 1


async def test_a_grant_there_lets_somebody_edit(transport: Transport) -> None:
    role = {"user_id": 52, "role": Role.ACCOUNT_STAFF}
    async with world() as here, here.outside_by(transport, OTHER_SLUG, **role) as peer:
        assert (await peer.call("update-gbs-number", OTHER_EDIT))["status"] == "OK"
        assert (await peer.call("update-gbs-number", EDIT))["code"] == "FORBIDDEN"
        await peer.call("join-retreat", SLUG)
        assert (await peer.call("update-gbs-number", EDIT))["code"] == "FORBIDDEN"


async def test_an_expired_token_edits_nothing(transport: Transport) -> None:
    async with world() as here, here.outside_by(transport, expires_in=60) as peer:
        here.server.wall.advance(91)
        assert (await peer.call("update-gbs-number", EDIT))["code"] == "TOKEN_EXPIRED"


async def test_an_edit_while_the_store_is_out_of_reach_is_worth_a_retry() -> None:
    async with world() as here, here.outside_by("socketio") as peer:
        here.store.begin_outage()
        ack = await peer.call("update-gbs-number", EDIT)
        assert (ack["code"], ack["retryable"]) == ("STORE_UNAVAILABLE", True)


async def test_edits_before_the_join_count_against_the_rate(transport: Transport) -> None:
    async with (
        world(settings_with(event_rate=0.01, event_burst=3)) as here,
        here.outside_by(transport) as peer,
    ):
        codes = [(await peer.call("update-gbs-number", EDIT)).code for _ in range(4)]
        assert codes[-1] == "RATE_LIMITED"


# Order


async def test_a_join_behind_edits_is_answered_behind_them(transport: Transport) -> None:
    async with (
        world() as here,
        here.joined_by(transport, user_id=8) as member,
        here.outside_by(transport) as peer,
    ):
        here.store.commits_may_go_on = trio.Event()
        edit = await peer.begin("update-gbs-number", EDIT)
        await here.store.commit_waits.wait()
        join = await peer.begin("join-retreat", SLUG)
        await member.begin("update-gbs-number", {"lineupId": 3, "gbsNumber": 3})
        await trio.testing.wait_all_tasks_blocked()
        assert sequence(peer) == []
        here.store.commits_may_go_on.set()
        assert (await peer.reply(edit))["data"]["totalCount"] == 1
        joined = await peer.reply(join)
        # Not answered before the edit, whose row is older than the list.
        assert next(row for row in joined["data"] if row["id"] == 2)["totalCount"] == 2
        assert [name for name in sequence(peer) if name != "room-presence"][:2] == ["reply"] * 2


async def test_edits_in_a_row_share_commits(transport: Transport) -> None:
    async with world() as here, here.outside_by(transport) as peer:
        store = here.store
        store.commits_may_go_on = trio.Event()
        edits = [
            await peer.begin("update-gbs-number", {**EDIT, "gbsNumber": number})
            for number in range(1, 101)
        ]
        join = await peer.begin("join-retreat", SLUG)
        await trio.testing.wait_all_tasks_blocked()
        store.commits_may_go_on.set()
        acks = [await peer.reply(edit) for edit in edits]
        assert [ack["data"]["gbsNumber"] for ack in acks] == list(range(1, 101))
        assert (await peer.reply(join))["revision"] == 100
        assert store.statistics().commits <= 2


async def test_edits_of_two_retreats_are_answered_in_their_order(transport: Transport) -> None:
    async with (
        world() as here,
        here.joined_by(transport, OTHER_SLUG, user_id=8),
        here.outside_by(transport, OTHER_SLUG) as peer,
    ):
        here.store.loads_may_go_on = trio.Event()
        first = await peer.begin("update-gbs-number", EDIT)
        second = await peer.begin("update-gbs-number", OTHER_EDIT)
        await trio.testing.wait_all_tasks_blocked()
        assert sequence(peer) == []
        here.store.loads_may_go_on.set()
        assert (await peer.reply(first))["data"]["id"] == 2
        assert (await peer.reply(second))["data"]["id"] == 8


async def test_an_edit_is_carried_out_although_its_connection_has_ended(
    transport: Transport,
) -> None:
    async with world() as here:
        async with here.outside_by(transport) as peer:
            here.store.commits_may_go_on = trio.Event()
            await peer.begin("update-gbs-number", EDIT)
            await here.store.commit_waits.wait()
            await peer.begin("update-gbs-number", {"lineupId": 3, "gbsNumber": 3})
            await trio.testing.wait_all_tasks_blocked()
        await trio.testing.wait_all_tasks_blocked()
        here.store.commits_may_go_on.set()
        async with here.outside_by(transport) as later:
            rows = (await later.call("join-retreat", SLUG))["data"]
            assert [row["gbsNumber"] for row in rows if row["id"] in (2, 3)] == [3, 3]


async def test_an_edit_behind_a_leave_waits_for_it(transport: Transport) -> None:
    async with (
        world() as here,
        here.joined_by(transport, user_id=9) as slow,
        here.joined_by(transport) as peer,
    ):
        here.store.commits_may_go_on = trio.Event()
        await slow.begin("update-gbs-number", EDIT)
        await here.store.commit_waits.wait()
        leave = await peer.begin("leave-retreat", SLUG)
        edit = await peer.begin("update-gbs-number", {"lineupId": 3, "gbsNumber": 3})
        await trio.testing.wait_all_tasks_blocked()
        here.store.commits_may_go_on.set()
        assert (await peer.reply(leave))["status"] == "OK"
        ack = await peer.reply(edit)
        assert (ack["status"], ack["revision"]) == ("OK", None)


# Conflicts


async def test_without_a_base_nothing_of_somebody_else_is_overwritten(
    transport: Transport,
) -> None:
    async with (
        world() as here,
        here.joined_by(transport, user_id=8, name="이수진") as other,
        here.outside_by(transport) as peer,
    ):
        assert (await peer.call("update-gbs-number", EDIT))["status"] == "OK"
        # What it wrote itself it may replace.
        assert (await peer.call("update-gbs-number", {**EDIT, "gbsNumber": 4}))["status"] == "OK"
        await other.call("update-gbs-number", {**EDIT, "gbsNumber": 5})
        ack = await peer.call("update-gbs-number", {**EDIT, "gbsNumber": 6})
        assert (ack["code"], ack["data"]["gbsNumber"]) == ("CONFLICT", 5)
        assert ack["conflict"]["changedBy"] == "이수진"
        assert (await peer.call("update-gbs-number", {**EDIT, "gbsNumber": 5}))["status"] == "OK"
        seen = {**EDIT, "gbsNumber": 6, "baseRevision": ack["conflict"]["revision"]}
        assert (await peer.call("update-gbs-number", seen))["status"] == "OK"


async def test_a_base_of_another_epoch_conflicts(transport: Transport) -> None:
    async with world() as here, here.outside_by(transport) as peer:
        epoch = (await peer.call("join-retreat", SLUG))["epoch"]
        await peer.call("leave-retreat", SLUG)
        based = {**EDIT, "baseRevision": 0}
        ack = await peer.call("update-gbs-number", {**based, "epoch": "another"})
        assert (ack["code"], ack["data"]["gbsNumber"]) == ("CONFLICT", None)
        assert ack["conflict"]["field"] == "gbsNumber"
        ack = await peer.call(
            "update-gbs-number", {**EDIT, "baseRevision": 9_000, "epoch": "another"}
        )
        assert ack["code"] == "CONFLICT"
        assert (await peer.call("update-gbs-number", {**based, "epoch": epoch}))["status"] == "OK"
        same = await peer.call("update-gbs-number", {**based, "epoch": "another"})
        assert same["status"] == "OK"


# In another room


async def test_in_a_room_a_row_of_another_retreat_is_not_found(transport: Transport) -> None:
    async with world() as here, here.joined_by(transport) as peer:
        for more in ({}, {"commandId": ID}):
            ack = await peer.call("update-gbs-number", {**OTHER_EDIT, **more})
            assert ack["code"] == "NOT_FOUND"
        assert (await peer.call("delete-lineup-memo", {"memoId": 77}))["code"] == "NOT_FOUND"


async def test_in_another_room_a_repeat_gets_its_answer_and_nothing_else(
    transport: Transport,
) -> None:
    async with world() as here:
        async with here.joined_by(transport, OTHER_SLUG) as peer:
            first = await peer.call("update-gbs-number", {**OTHER_EDIT, "commandId": ID})
        async with here.joined_by(transport) as peer:
            again = await peer.call("update-gbs-number", {**OTHER_EDIT, "commandId": ID})
            assert again.content == {**first.content, "revision": None}
            fresh = await peer.call("update-gbs-number", {**OTHER_EDIT, "commandId": OTHER_ID})
            assert fresh["code"] == "NOT_FOUND"
            changed = {**OTHER_EDIT, "gbsNumber": 9, "commandId": ID}
            assert (await peer.call("update-gbs-number", changed))["code"] == "VALIDATION_FAILED"
        async with here.joined_by(transport, retreats=(SLUG,)) as peer:
            again = await peer.call("update-gbs-number", {**OTHER_EDIT, "commandId": ID})
            assert again["code"] == "NOT_FOUND"


async def test_a_command_that_names_another_retreat_goes_there(transport: Transport) -> None:
    async with world() as here, here.joined_by(transport) as peer:
        peer.forget()
        ack = await peer.call("update-gbs-number", {**OTHER_EDIT, "retreatSlug": OTHER_SLUG})
        assert (ack["status"], ack["revision"]) == ("OK", None)
        assert peer.named("lineup-updated") == []
        ack = await peer.call("update-gbs-number", {**EDIT, "retreatSlug": SLUG})
        assert (ack["status"], ack["revision"]) == ("OK", 1)


async def test_a_reader_of_the_room_edits_where_it_may(transport: Transport) -> None:
    role: dict[str, Any] = {"user_id": 52, "role": Role.ACCOUNT_STAFF}
    async with world() as here, here.joined_by(transport, **role) as peer:
        there = {**OTHER_EDIT, "retreatSlug": OTHER_SLUG}
        assert (await peer.call("update-gbs-number", there))["status"] == "OK"
        assert (await peer.call("update-gbs-number", EDIT))["code"] == "FORBIDDEN"
        here_again = {**EDIT, "retreatSlug": SLUG}
        assert (await peer.call("update-gbs-number", here_again))["code"] == "FORBIDDEN"


async def test_an_edit_in_the_room_is_answered_behind_one_elsewhere(
    transport: Transport,
) -> None:
    async with world() as here, here.joined_by(transport) as peer:
        peer.forget()
        here.store.loads_may_go_on = trio.Event()
        there = await peer.begin("update-gbs-number", {**OTHER_EDIT, "retreatSlug": OTHER_SLUG})
        edit = await peer.begin("update-gbs-number", EDIT)
        join = await peer.begin("join-retreat", SLUG)
        await trio.testing.wait_all_tasks_blocked()
        assert "reply" not in sequence(peer)
        here.store.loads_may_go_on.set()
        replies = [await peer.reply(each) for each in (there, edit, join)]
        assert [ack["revision"] for ack in replies] == [None, 1, 1]
        states = [room.state for room in here.rooms.statistics().rooms]
        assert states == [RoomState.RUNNING] * 2


async def test_a_join_of_the_own_room_is_answered_behind_an_edit_elsewhere(
    transport: Transport,
) -> None:
    async with world() as here, here.joined_by(transport) as peer:
        peer.forget()
        here.store.loads_may_go_on = trio.Event()
        there = await peer.begin("update-gbs-number", {**OTHER_EDIT, "retreatSlug": OTHER_SLUG})
        join = await peer.begin("join-retreat", SLUG)
        await trio.testing.wait_all_tasks_blocked()
        assert "reply" not in sequence(peer)
        here.store.loads_may_go_on.set()
        assert (await peer.reply(there))["status"] == "OK"
        assert (await peer.reply(join))["status"] == "OK"


# Rights that change while a command waits


async def test_the_role_elsewhere_is_looked_up_behind_the_wait(transport: Transport) -> None:
    async with world() as here, here.outside_by(transport) as peer:
        store = here.store
        here.services.authorizer.clear_cache()
        store.commits_may_go_on = trio.Event()
        first = await peer.begin("update-gbs-number", EDIT)
        second = await peer.begin("update-gbs-number", OTHER_EDIT)
        await trio.testing.wait_all_tasks_blocked()
        store.grant(OTHER_SLUG, 7, "ACCOUNT_STAFF")
        store.commits_may_go_on.set()
        assert (await peer.reply(first))["status"] == "OK"
        assert (await peer.reply(second))["code"] == "FORBIDDEN"


async def test_the_role_in_the_room_is_checked_behind_the_wait(transport: Transport) -> None:
    async with world() as here, here.joined_by(transport) as peer:
        peer.forget()
        store = here.store
        store.commits_may_go_on = trio.Event()
        there = await peer.begin("update-gbs-number", {**OTHER_EDIT, "retreatSlug": OTHER_SLUG})
        edit = await peer.begin("update-gbs-number", EDIT)
        await trio.testing.wait_all_tasks_blocked()
        (client,) = here.clients.connected
        here.clients.set_role(client, "ACCOUNT_STAFF")
        store.commits_may_go_on.set()
        assert (await peer.reply(there))["status"] == "OK"
        assert (await peer.reply(edit))["code"] == "FORBIDDEN"


async def test_the_token_is_checked_behind_the_wait(transport: Transport) -> None:
    async with world() as here, here.outside_by(transport, expires_in=60) as peer:
        store = here.store
        store.commits_may_go_on = trio.Event()
        first = await peer.begin("update-gbs-number", EDIT)
        second = await peer.begin("update-gbs-number", OTHER_EDIT)
        await trio.testing.wait_all_tasks_blocked()
        here.server.wall.advance(91)
        store.commits_may_go_on.set()
        assert (await peer.reply(first))["status"] == "OK"
        assert (await peer.reply(second))["code"] == "TOKEN_EXPIRED"
