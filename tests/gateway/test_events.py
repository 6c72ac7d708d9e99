"""What events do, over Socket.IO and over plain WebSockets alike."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from gbs_actor.auth import Role
from gbs_actor.lineup.changes import Rejection
from gbs_actor.lineup.codes import Code
from gbs_actor.lineup.commands import Command
from gbs_actor.rooms import CommandReply, RoomSupervisor, Subscriber
from gbs_actor.store.protocol import StoreUnavailable
from tests.gateway.serving import OTHER_SLUG, SLUG, Transport, sequence, settings_with, world

ID = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
EDIT = {"lineupId": 2, "gbsNumber": 3}
OTHER_EDIT = {"lineupId": 8, "gbsNumber": 3}
"""In the other retreat."""


@pytest.fixture(params=["socketio", "plain"])
def transport(request: pytest.FixtureRequest) -> Transport:
    value: Transport = request.param
    return value


# Joining and leaving


async def test_a_join_is_answered_with_the_whole_list(transport: Transport) -> None:
    async with world() as here, here.outside_by(transport) as peer:
        ack = await peer.call("join-retreat", SLUG)
        assert ack.content.keys() == {"status", "data", "revision", "epoch", "full"}
        assert (ack["status"], ack["revision"], ack["full"]) == ("OK", 0, True)
        assert len(ack["data"]) == 6


async def test_a_join_that_waits_for_no_reply_brings_initial_data(transport: Transport) -> None:
    async with world() as here, here.outside_by(transport) as peer:
        await peer.emit("join-retreat", SLUG)
        assert len(await peer.event("initial-data")) == 6


async def test_a_join_that_waits_for_a_reply_brings_no_initial_data(transport: Transport) -> None:
    async with world() as here, here.outside_by(transport) as peer:
        await peer.call("join-retreat", SLUG)
        await peer.call("leave-retreat", SLUG)
        assert peer.named("initial-data") == []


async def test_initial_data_is_always_the_whole_list(transport: Transport) -> None:
    async with world() as here, here.joined_by(transport) as peer:
        epoch = (await peer.call("join-retreat", SLUG))["epoch"]
        edited = await peer.call("update-gbs-number", EDIT)
        since = {"retreatSlug": SLUG, "since": edited["revision"], "epoch": epoch}
        await peer.emit("join-retreat", since)
        assert len(await peer.event("initial-data")) == 6


async def test_joining_the_room_one_is_in_answers_with_what_changed_since(
    transport: Transport,
) -> None:
    async with world() as here, here.outside_by(transport) as peer:
        epoch = (await peer.call("join-retreat", SLUG))["epoch"]
        await peer.call("update-gbs-number", {"lineupId": 2, "gbsNumber": 3})
        await peer.call("update-gbs-number", {"lineupId": 3, "gbsNumber": 4})
        ack = await peer.call("join-retreat", {"retreatSlug": SLUG, "since": 2, "epoch": epoch})
        assert ack.content.keys() == {"status", "data", "revision", "epoch", "full"}
        assert ack["full"] is False
        assert [row["id"] for row in ack["data"]] == [3]


async def test_who_joins_a_room_that_is_open_waits_for_no_room_and_no_store(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    async with world() as here:
        here.store.grant(SLUG, 9, "NOBODY")
        async with here.joined_by("socketio", user_id=8):
            await trio.sleep(5)
            here.store.begin_outage()
            monkeypatch.setattr(RoomSupervisor, "join", None)
            async with (
                here.joined_by("socketio") as peer,
                here.connect("socketio", user_id=9) as other,
            ):
                editing = {"lineupId": 2, "field": "lineupMemo"}
                assert (await peer.call("user-editing", editing))["status"] == "OK"
                assert (await other.call("join-retreat", SLUG))["code"] == "FORBIDDEN"


async def test_a_join_to_an_unknown_retreat_fails_with_both_codes(transport: Transport) -> None:
    async with world() as here, here.outside_by(transport) as peer:
        ack = await peer.call("join-retreat", "none")
        assert (ack["status"], ack["code"]) == ("ERROR", "RETREAT_NOT_FOUND")
        assert ack["legacyCode"] == "JOIN_FAILED"


async def test_a_join_that_fails_leaves_the_client_in_its_room(transport: Transport) -> None:
    async with world() as here, here.joined_by(transport) as peer:
        await peer.call("join-retreat", "none")
        assert (await peer.call("update-gbs-number", EDIT))["status"] == "OK"


async def test_a_token_for_another_retreat_may_not_join(transport: Transport) -> None:
    async with (
        world() as here,
        here.outside_by(transport, OTHER_SLUG, retreats=(OTHER_SLUG,)) as peer,
    ):
        assert (await peer.call("join-retreat", SLUG))["code"] == "FORBIDDEN"
        assert (await peer.call("join-retreat", OTHER_SLUG))["status"] == "OK"


async def test_a_join_while_the_store_is_out_of_reach_is_worth_a_retry(
    transport: Transport,
) -> None:
    async with world() as here, here.outside_by(transport, OTHER_SLUG) as peer:
        here.store.begin_outage()
        ack = await peer.call("join-retreat", SLUG)
        assert (ack["code"], ack["retryable"]) == ("STORE_UNAVAILABLE", True)


async def test_joining_a_second_retreat_leaves_the_first(transport: Transport) -> None:
    async with (
        world() as here,
        here.joined_by(transport) as stays,
        here.joined_by(transport) as goes,
    ):
        assert (await goes.call("join-retreat", OTHER_SLUG))["status"] == "OK"
        goes.forget()
        await stays.call("update-gbs-number", EDIT)
        assert (await goes.call("update-gbs-number", OTHER_EDIT))["status"] == "OK"
        assert [row["id"] for row in goes.named("lineup-updated")] == [8]


async def test_events_behind_a_join_wait_until_it_has_loaded(transport: Transport) -> None:
    async with world() as here, here.outside_by(transport, OTHER_SLUG) as peer:
        here.store.loads_may_go_on = trio.Event()
        join = await peer.begin("join-retreat", SLUG)
        update = await peer.begin("update-gbs-number", EDIT)
        await trio.testing.wait_all_tasks_blocked()
        assert sequence(peer) == []
        here.store.loads_may_go_on.set()
        assert (await peer.reply(update))["status"] == "OK"
        assert (await peer.reply(join))["full"] is True
        order = [name for name in sequence(peer) if name != "room-presence"]
        assert order == ["reply", "lineup-updated", "reply"]


async def test_leaving_is_answered_with_null_outside_any_room(transport: Transport) -> None:
    async with world() as here, here.joined_by(transport) as peer:
        ack = await peer.call("leave-retreat", SLUG)
        assert ack.content == {"status": "OK", "data": None, "revision": None}
        assert (await peer.call("user-editing", {"lineupId": 2}))["code"] == "NOT_IN_ROOM"
        assert (await peer.call("join-retreat", SLUG))["status"] == "OK"


async def test_who_has_left_gets_no_updates(transport: Transport) -> None:
    async with (
        world() as here,
        here.joined_by(transport) as stays,
        here.joined_by(transport) as goes,
    ):
        await goes.call("leave-retreat", SLUG)
        goes.forget()
        await stays.call("update-gbs-number", EDIT)
        await goes.call("leave-retreat", SLUG)
        assert goes.named("lineup-updated") == []


async def test_leaving_a_retreat_one_is_not_in_does_nothing(transport: Transport) -> None:
    async with world() as here, here.joined_by(transport) as peer:
        ack = await peer.call("leave-retreat", OTHER_SLUG)
        assert (ack["status"], ack["data"]) == ("OK", None)
        assert (await peer.call("update-gbs-number", EDIT))["status"] == "OK"


async def test_a_connection_that_ends_leaves_its_room(
    autojump_clock: trio.testing.MockClock, transport: Transport
) -> None:
    async with world() as here, here.joined_by(transport) as stays:
        async with here.joined_by(transport, user_id=8):
            await stays.event("room-presence", where=lambda presence: presence["total"] == 2)
        stays.forget()
        await stays.event("room-presence", where=lambda presence: presence["total"] == 1)
        statistics = here.clients.statistics()
        assert (statistics.clients, statistics.expiring) == (1, 1)


async def test_who_declines_presence_is_sent_it_behind_the_join_only(transport: Transport) -> None:
    async with world() as here:
        declining = here.connect(transport, presence=False)
        async with declining as peer, here.joined_by(transport, user_id=8) as other:
            if transport == "socketio":
                await peer.join(SLUG)
            await other.event("room-presence", where=lambda presence: presence["total"] == 2)
            async with here.joined_by(transport, user_id=9):
                await other.event("room-presence", where=lambda presence: presence["total"] == 3)
            await peer.call("update-gbs-number", EDIT)
            assert [presence["total"] for presence in peer.named("room-presence")] == [1]


async def test_users_without_a_connection_are_not_counted(transport: Transport) -> None:
    async with world() as here:
        async with here.joined_by(transport), here.joined_by(transport):
            assert here.clients._connection_limit.of(7) == 2
        with trio.fail_after(5):
            while here.clients.statistics().clients:
                await trio.testing.wait_all_tasks_blocked()
        assert len(here.clients._connection_limit) == 0


# Mutations


async def test_an_edit_is_answered_with_the_row_and_its_revision(transport: Transport) -> None:
    async with world() as here, here.joined_by(transport) as peer:
        ack = await peer.call("update-gbs-number", EDIT)
        assert ack.content.keys() == {"status", "data", "revision"}
        assert (ack["status"], ack["revision"]) == ("OK", 1)
        assert (ack["data"]["gbsNumber"], ack["data"]["revision"]) == (3, 1)


async def test_the_author_gets_the_update_too_and_before_the_reply(transport: Transport) -> None:
    async with world() as here, here.joined_by(transport) as peer:
        peer.forget()
        await peer.call("update-gbs-number", EDIT)
        order = [name for name in sequence(peer) if name != "room-presence"]
        assert order == ["lineup-updated", "reply"]


async def test_an_edit_that_waits_for_no_reply_is_seen_by_its_update_only(
    transport: Transport,
) -> None:
    async with world() as here, here.joined_by(transport) as peer:
        peer.forget()
        await peer.emit("update-gbs-number", EDIT)
        await peer.emit("user-editing", {"lineupId": 2})
        assert (await peer.event("lineup-updated"))["gbsNumber"] == 3
        await peer.call("leave-retreat", SLUG)
        assert sequence(peer).count("reply") == 1


async def test_everyone_in_the_room_gets_the_update(transport: Transport) -> None:
    async with (
        world() as here,
        here.joined_by(transport) as author,
        here.joined_by(transport) as other,
    ):
        await author.call("update-gbs-number", EDIT)
        row = await other.event("lineup-updated")
        assert (row["id"], row["gbsNumber"], row["revision"]) == (2, 3, 1)


async def test_a_memo_is_created_changed_and_deleted(transport: Transport) -> None:
    async with world() as here, here.joined_by(transport) as peer:
        create = {"userRetreatRegistrationId": "2", "memo": " 허리 ", "color": "#fecaca"}
        row = (await peer.call("create-lineup-memo", create))["data"]
        assert (row["lineupMemo"], row["lineupMemocolor"]) == ("허리", "#FECACA")
        memo_id = row["lineupMemoId"]
        update = {"userRetreatRegistrationMemoId": str(memo_id), "memo": "무릎"}
        row = (await peer.call("update-lineup-memo", update))["data"]
        assert (row["lineupMemo"], row["lineupMemocolor"]) == ("무릎", "")
        row = (await peer.call("delete-lineup-memo", {"memoId": memo_id}))["data"]
        assert (row["lineupMemo"], row["lineupMemoId"]) == ("", None)


async def test_a_conflict_shows_the_current_row_and_whose_change_it_is(
    transport: Transport,
) -> None:
    async with (
        world() as here,
        here.joined_by(transport) as peer,
        here.joined_by(transport, name="이수진") as other,
    ):
        await other.call("update-gbs-number", {**EDIT, "baseRevision": 0})
        ack = await peer.call("update-gbs-number", {**EDIT, "gbsNumber": 4, "baseRevision": 0})
        assert (ack["status"], ack["code"]) == ("ERROR", "CONFLICT")
        assert ack["legacyCode"] == "UPDATE_FAILED"
        assert ack["data"]["gbsNumber"] == 3
        assert ack["conflict"]["field"] == "gbsNumber"
        assert ack["conflict"]["theirs"] == 3
        assert ack["conflict"]["changedBy"] == "이수진"
        assert ack["conflict"]["revision"] == 1


async def test_a_repeated_command_id_gets_the_first_ones_answer(transport: Transport) -> None:
    async with world() as here, here.joined_by(transport) as peer:
        payload = {**EDIT, "commandId": ID}
        first = await peer.call("update-gbs-number", payload)
        assert await peer.call("update-gbs-number", payload) == first


@pytest.mark.parametrize(
    "event",
    [
        "update-gbs-number",
        "create-lineup-memo",
        "update-lineup-memo",
        "delete-lineup-memo",
        "user-editing",
    ],
)
async def test_who_may_not_edit_is_refused_before_the_payload_is_looked_at(
    transport: Transport, event: str
) -> None:
    async with world() as here, here.joined_by(transport, role=Role.ACCOUNT_STAFF) as peer:
        assert (await peer.call(event, "nonsense"))["code"] == "FORBIDDEN"


async def test_a_grant_lets_somebody_edit_in_one_retreat_only(transport: Transport) -> None:
    async with (
        world() as here,
        here.joined_by(transport, OTHER_SLUG, user_id=52, role=Role.ACCOUNT_STAFF) as peer,
    ):
        assert (await peer.call("update-gbs-number", OTHER_EDIT))["status"] == "OK"
        await peer.call("join-retreat", SLUG)
        assert (await peer.call("update-gbs-number", OTHER_EDIT))["code"] == "FORBIDDEN"


async def test_who_leaves_a_retreat_leaves_what_was_granted_there(transport: Transport) -> None:
    async with (
        world() as here,
        here.joined_by(transport, OTHER_SLUG, user_id=52, role=Role.ACCOUNT_STAFF) as peer,
    ):
        await peer.call("leave-retreat", OTHER_SLUG)
        assert (await peer.call("update-gbs-number", EDIT))["code"] == "FORBIDDEN"
        await peer.call("join-retreat", SLUG)
        assert (await peer.call("update-gbs-number", EDIT))["code"] == "FORBIDDEN"


async def test_a_leave_answered_late_takes_nothing_from_the_room_joined_since(
    transport: Transport,
) -> None:
    async with (
        world() as here,
        here.joined_by(transport, user_id=9) as slow,
        here.joined_by(transport, user_id=52, role=Role.ACCOUNT_STAFF) as peer,
    ):
        here.store.commits_may_go_on = trio.Event()
        await slow.begin("update-gbs-number", EDIT)
        await here.store.commit_waits.wait()
        leave = await peer.begin("leave-retreat", SLUG)
        await peer.reply(await peer.begin("join-retreat", OTHER_SLUG))
        here.store.commits_may_go_on.set()
        await peer.reply(leave)
        assert (await peer.call("update-gbs-number", OTHER_EDIT))["status"] == "OK"


@pytest.mark.parametrize(("command_id", "retryable"), [({"commandId": ID}, True), ({}, None)])
async def test_an_unknown_outcome_is_worth_a_retry_only_with_a_command_id(
    monkeypatch: pytest.MonkeyPatch,
    transport: Transport,
    command_id: dict[str, str],
    retryable: bool | None,
) -> None:
    async with world() as here, here.joined_by(transport) as peer:

        def lose(_: Subscriber, __: Command, reply: CommandReply, ___: float) -> None:
            reply(Rejection(Code.OUTCOME_UNKNOWN, "nobody knows"))

        monkeypatch.setattr(here.rooms, "submit", lose)
        ack = await peer.call("update-gbs-number", {**EDIT, **command_id})
        assert (ack["code"], ack.content.get("retryable")) == ("OUTCOME_UNKNOWN", retryable)


async def test_a_grant_can_take_editing_away(transport: Transport) -> None:
    async with world() as here, here.joined_by(transport, user_id=50) as peer:
        assert (await peer.call("update-gbs-number", EDIT))["code"] == "FORBIDDEN"


# Errors


async def test_where_no_reply_is_waited_for_an_error_goes_out_as_event_error(
    transport: Transport,
) -> None:
    async with world() as here, here.joined_by(transport) as peer:
        await peer.emit("update-gbs-number", {"lineupId": 2})
        assert await peer.event("error") == {
            "event": "update-gbs-number",
            "code": "VALIDATION_FAILED",
            "message": "gbsNumber is required.",
            "legacyCode": "UPDATE_FAILED",
        }


async def test_where_a_reply_is_waited_for_an_error_is_the_reply_only(
    transport: Transport,
) -> None:
    async with world() as here, here.joined_by(transport) as peer:
        assert (await peer.call("update-gbs-number", {"lineupId": 2}))["status"] == "ERROR"
        await peer.call("leave-retreat", SLUG)
        assert peer.named("error") == []


@pytest.mark.parametrize("event", ["no-such-event", "initial-data", ""])
async def test_an_unknown_event_is_refused(transport: Transport, event: str) -> None:
    async with world() as here, here.joined_by(transport) as peer:
        assert (await peer.call(event, {}))["code"] == "VALIDATION_FAILED"


async def test_the_name_of_an_unknown_event_is_repeated_only_in_part(
    transport: Transport,
) -> None:
    async with world() as here, here.joined_by(transport) as peer:
        await peer.emit("x" * 5_000, None)
        assert len(str(await peer.event("error"))) < 1_000


async def test_an_exception_is_answered_with_internal_and_the_connection_lives(
    monkeypatch: pytest.MonkeyPatch, transport: Transport
) -> None:
    async with world() as here, here.joined_by(transport) as peer:

        def broken(*_: object) -> None:
            raise RuntimeError("secret detail")

        with monkeypatch.context() as patch:
            patch.setattr(here.rooms, "submit", broken)
            ack = await peer.call("update-gbs-number", EDIT)
        assert ack["code"] == "INTERNAL"
        assert "retryable" not in ack.content
        assert "secret" not in ack["message"]
        assert here.dispatch.statistics().internal_errors == 1
        assert (await peer.call("leave-retreat", SLUG))["status"] == "OK"


@pytest.mark.parametrize("error", [RuntimeError("a bug"), StoreUnavailable("away")])
async def test_what_raises_behind_its_reply_gets_no_other_one(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    transport: Transport,
    error: Exception,
) -> None:
    async with world() as here, here.joined_by(transport) as peer:
        join = here.rooms.join

        async def joined_and_broken(*args: Any, **options: Any) -> None:
            await join(*args, **options)
            raise error

        with monkeypatch.context() as patch:
            patch.setattr(here.rooms, "join", joined_and_broken)
            assert (await peer.call("join-retreat", SLUG))["status"] == "OK"
            await peer.emit("join-retreat", SLUG)
            assert len(await peer.event("initial-data")) == 6
        assert (await peer.call("leave-retreat", SLUG))["status"] == "OK"
        assert peer.named("error") == []
    assert "was replied to before" not in caplog.text


# Limits


async def test_who_sends_faster_than_the_rate_is_refused(
    autojump_clock: trio.testing.MockClock, transport: Transport
) -> None:
    config = settings_with(event_rate=1.0, event_burst=2)
    async with world(config) as here, here.joined_by(transport) as peer:
        edits = [
            await peer.begin("update-gbs-number", {"lineupId": 2, "gbsNumber": number})
            for number in range(1, 4)
        ]
        acks = [await peer.reply(edit) for edit in edits]
        assert [ack["status"] for ack in acks] == ["OK", "OK", "ERROR"]
        assert (acks[2]["code"], acks[2]["retryable"]) == ("RATE_LIMITED", True)
        # A join behind edits that were typed offline must not be refused for them.
        assert (await peer.call("join-retreat", SLUG))["status"] == "OK"


async def test_a_users_connections_and_requests_share_one_rate(
    autojump_clock: trio.testing.MockClock, transport: Transport
) -> None:
    config = settings_with(user_rate=0.001, user_burst=2)
    async with (
        world(config) as here,
        here.joined_by(transport) as one,
        here.joined_by(transport) as two,
    ):
        assert here.services.rates.take(7, trio.current_time())  # over HTTP, say
        assert (await one.call("update-gbs-number", EDIT))["status"] == "OK"
        for peer in (one, two):
            ack = await peer.call("update-gbs-number", EDIT)
            assert (ack["code"], ack["retryable"]) == ("RATE_LIMITED", True)
        async with here.joined_by(transport, user_id=8) as other:
            assert (await other.call("update-gbs-number", EDIT))["status"] == "OK"


async def test_more_commands_without_an_answer_than_allowed_are_refused(
    transport: Transport,
) -> None:
    config = settings_with(max_unanswered_events=2)
    async with world(config) as here, here.joined_by(transport) as peer:
        here.store.commits_may_go_on = trio.Event()
        edits = [
            await peer.begin("update-gbs-number", {"lineupId": 2, "gbsNumber": number})
            for number in range(1, 4)
        ]
        assert (await peer.reply(edits[2]))["code"] == "RATE_LIMITED"
        here.store.commits_may_go_on.set()
        assert (await peer.reply(edits[0]))["status"] == "OK"
        assert (await peer.reply(edits[1]))["status"] == "OK"


# Editing marks


async def test_an_editing_mark_goes_to_the_others_and_not_to_the_author(
    transport: Transport,
) -> None:
    async with (
        world() as here,
        here.joined_by(transport) as author,
        here.joined_by(transport, user_id=8) as other,
    ):
        ack = await author.call("user-editing", {"lineupId": 2, "field": "lineupMemo"})
        assert ack.content == {"status": "OK", "data": None, "revision": 0}
        mark = await other.event("user-editing")
        assert (mark["lineupId"], mark["userId"], mark["editing"]) == (2, 7, True)
        assert mark["userName"] == "김하늘"
        assert author.named("user-editing") == []


async def test_an_editing_mark_outside_a_room_is_refused(transport: Transport) -> None:
    async with world() as here, here.outside_by(transport) as peer:
        assert (await peer.call("user-editing", {"lineupId": 2}))["code"] == "NOT_IN_ROOM"


@pytest.mark.parametrize("limited", ["events of the connection", "marks of the user"])
async def test_of_a_client_whose_mark_is_refused_no_mark_is_shown(
    autojump_clock: trio.testing.MockClock, transport: Transport, limited: str
) -> None:
    config = (
        settings_with(event_rate=0.001, event_burst=1)
        if limited == "events of the connection"
        else settings_with(user_editing_rate=0.001, user_editing_burst=1)
    )
    async with (
        world(config) as here,
        here.joined_by(transport, user_id=8) as other,
        here.joined_by(transport) as peer,
    ):
        mark = {"lineupId": 2, "field": "lineupMemo"}
        assert (await peer.call("user-editing", mark))["status"] == "OK"
        assert (await other.event("user-editing"))["editing"]
        ack = await peer.call("user-editing", mark | {"editing": False})
        assert (ack["code"], ack["retryable"]) == ("RATE_LIMITED", True)
        with trio.fail_after(1):
            await other.event("user-editing", where=lambda mark: not mark["editing"])
        assert here.dispatch.statistics().refused_by_rate == 1


async def test_marks_beyond_the_users_rate_leave_other_events_and_other_users_alone(
    autojump_clock: trio.testing.MockClock, transport: Transport
) -> None:
    config = settings_with(user_editing_rate=0.001, user_editing_burst=1)
    async with (
        world(config) as here,
        here.joined_by(transport, user_id=8) as other,
        here.joined_by(transport) as peer,
    ):
        acks = [await peer.call("user-editing", {"lineupId": 2}) for _ in range(2)]
        assert [ack["status"] for ack in acks] == ["OK", "ERROR"]
        assert (await other.call("user-editing", {"lineupId": 2}))["status"] == "OK"
        assert (await peer.call("update-gbs-number", EDIT))["status"] == "OK"


async def test_marks_that_go_out_together_arrive_as_an_event_each(
    autojump_clock: trio.testing.MockClock, transport: Transport
) -> None:
    async with (
        world() as here,
        here.joined_by(transport, user_id=8) as one,
        here.joined_by(transport, user_id=9) as two,
        here.joined_by(transport) as watcher,
    ):
        await one.call("user-editing", {"lineupId": 3})
        await trio.sleep(1)
        await one.emit("user-editing", {"lineupId": 2})
        await two.emit("user-editing", {"lineupId": 4})
        await trio.sleep(1)
        marks = [(mark["lineupId"], mark["editing"]) for mark in watcher.named("user-editing")]
        assert marks[0] == (3, True)
        assert sorted(marks[1:]) == [(2, True), (3, False), (4, True)]


# Tokens that expire


async def test_a_client_is_notified_when_its_token_has_expired(
    autojump_clock: trio.testing.MockClock, transport: Transport
) -> None:
    async with world() as here, here.joined_by(transport, expires_in=60) as peer:
        await trio.sleep(60 + 29)
        assert peer.named("error") == []
        await trio.sleep(2)
        assert await peer.event("error") == {
            "event": None,
            "code": "TOKEN_EXPIRED",
            "message": "Token expired",
        }


async def test_an_expired_token_does_not_edit(
    autojump_clock: trio.testing.MockClock, transport: Transport
) -> None:
    async with world() as here, here.joined_by(transport, expires_in=60) as peer:
        await trio.sleep(60 + 31)
        assert (await peer.call("update-gbs-number", EDIT))["code"] == "TOKEN_EXPIRED"


async def test_with_a_new_token_in_time_everything_goes_on(
    autojump_clock: trio.testing.MockClock, transport: Transport
) -> None:
    async with world() as here, here.joined_by(transport, expires_in=60) as peer:
        await trio.sleep(60 + 31)
        ack = await peer.call("authenticate", {"token": here.token()})
        assert ack.content == {"status": "OK", "data": None, "revision": 0}
        await trio.sleep(120)
        assert not peer.disconnected.is_set()
        assert (await peer.call("update-gbs-number", EDIT))["status"] == "OK"


async def test_a_new_token_expires_as_the_first_one_did(
    autojump_clock: trio.testing.MockClock, transport: Transport
) -> None:
    async with world() as here, here.joined_by(transport, expires_in=60) as peer:
        await peer.call("authenticate", {"token": here.token(expires_in=600)})
        await trio.sleep(600)
        assert peer.named("error") == []
        await trio.sleep(31)
        assert len(peer.named("error")) == 1


async def test_after_a_renewal_the_client_is_notified_of_the_next_expiry(
    autojump_clock: trio.testing.MockClock, transport: Transport
) -> None:
    async with world() as here, here.joined_by(transport, expires_in=60) as peer:
        await trio.sleep(60 + 31)
        await peer.call("authenticate", {"token": here.token(expires_in=60)})
        await trio.sleep(60 + 31)
        assert len(peer.named("error")) == 2
        assert not peer.disconnected.is_set()
        assert not peer.closed.is_set()


async def test_what_one_does_with_a_new_token_bears_its_name(transport: Transport) -> None:
    async with world() as here, here.joined_by(transport) as peer:
        await peer.call("authenticate", {"token": here.token(name="새 이름")})
        await peer.call("update-gbs-number", EDIT)
        ack = await peer.call("update-gbs-number", {**EDIT, "gbsNumber": 4, "baseRevision": 0})
        assert ack["conflict"]["changedBy"] == "새 이름"


async def test_who_has_a_new_token_is_shown_by_its_name(transport: Transport) -> None:
    async with (
        world() as here,
        here.joined_by(transport, user_id=8) as other,
        here.joined_by(transport) as peer,
    ):
        await peer.call("authenticate", {"token": here.token(name="새 이름")})
        await peer.call("user-editing", {"lineupId": 2})
        assert (await other.event("user-editing"))["userName"] == "새 이름"


@pytest.mark.parametrize("name", ["", "7@example.org", "\u3000"])
async def test_nobody_is_shown_by_e_mail(transport: Transport, name: str) -> None:
    shown = "사용자 7"
    async with (
        world() as here,
        here.joined_by(transport, user_id=8) as other,
        here.joined_by(transport, name=name, email="7@example.org") as peer,
    ):
        presence = await other.event("room-presence", where=lambda presence: presence["total"] == 2)
        assert [user["userName"] for user in presence["users"]] == ["김하늘", shown]
        await peer.call("user-editing", {"lineupId": 2})
        assert (await other.event("user-editing"))["userName"] == shown
        await peer.call("update-gbs-number", EDIT)
        ack = await other.call("update-gbs-number", {**EDIT, "gbsNumber": 4, "baseRevision": 0})
        assert ack["conflict"]["changedBy"] == shown
        statistics = here.rooms.room_statistics(SLUG)
        assert statistics is not None
        assert {each.user_name for each in statistics.subscribers} == {"김하늘", shown}


async def test_an_operator_sees_what_a_subscriber_speaks_and_since_when(
    transport: Transport, autojump_clock: MockClock
) -> None:
    async with world() as here, here.joined_by(transport) as peer:
        await trio.sleep(30)
        await peer.call("update-gbs-number", EDIT)
        room = here.rooms.room_statistics(SLUG)
        assert room is not None
        (subscriber,) = room.subscribers
        protocol = "socket.io" if transport == "socketio" else "websocket"
        assert (subscriber.user_id, subscriber.sink.protocol) == (7, protocol)
        assert subscriber.connected_for == pytest.approx(30)
        assert (subscriber.sent_revision, subscriber.lag) == (1, 0)
        assert (subscriber.sink.queued, subscriber.sink.queued_bytes) == (0, 0)


async def test_another_users_token_is_refused_and_changes_nothing(transport: Transport) -> None:
    async with world() as here, here.joined_by(transport) as peer:
        ack = await peer.call("authenticate", {"token": here.token(user_id=8)})
        assert (ack["status"], ack["code"]) == ("ERROR", "INVALID_TOKEN")
        assert (await peer.call("update-gbs-number", EDIT))["status"] == "OK"


async def test_a_new_token_that_may_not_enter_the_room_is_refused(transport: Transport) -> None:
    async with world() as here, here.joined_by(transport) as peer:
        token = here.token(retreats=(OTHER_SLUG,))
        assert (await peer.call("authenticate", {"token": token}))["code"] == "FORBIDDEN"


async def test_a_new_token_with_another_role_changes_what_one_may_do(
    transport: Transport,
) -> None:
    async with world() as here, here.joined_by(transport) as peer:
        await peer.call("authenticate", {"token": here.token(role=Role.ACCOUNT_STAFF)})
        assert (await peer.call("update-gbs-number", EDIT))["code"] == "FORBIDDEN"


async def test_a_cookie_that_has_expired_reads_on_and_does_not_edit(
    autojump_clock: trio.testing.MockClock, transport: Transport
) -> None:
    async with world() as here:
        cookie = here.token(user_id=8, expires_in=60)
        async with (
            here.joined_by(transport) as editor,
            here.joined_by(transport, cookie=cookie) as reader,
        ):
            await trio.sleep(600)
            assert reader.named("error") == []
            await editor.call("update-gbs-number", EDIT)
            assert (await reader.event("lineup-updated"))["id"] == 2
            assert (await reader.call("update-gbs-number", EDIT))["code"] == "TOKEN_EXPIRED"


async def test_a_client_by_cookie_may_go_on_editing_with_a_token(
    autojump_clock: trio.testing.MockClock, transport: Transport
) -> None:
    async with world() as here:
        cookie = here.token(expires_in=60)
        async with here.joined_by(transport, cookie=cookie) as peer:
            await trio.sleep(600)
            await peer.call("authenticate", {"token": here.token()})
            assert (await peer.call("update-gbs-number", EDIT))["status"] == "OK"
