from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import trio
import trio.testing
import trio_websocket

from gbs_actor.auth import Role
from gbs_actor.gateway.config import GatewayConfig
from gbs_actor.lineup.changes import Rejection
from gbs_actor.lineup.codes import Code
from gbs_actor.lineup.commands import Command
from gbs_actor.rooms import CommandReply, Subscriber
from gbs_actor.socketio import SocketServer
from gbs_actor.socketio.net.request import head_length, parse_request
from tests.gateway.composing import OTHER_SLUG, SLUG, Parts, Realtime, composed, served_namespace
from tests.gateway.peer import NAMESPACE, Peer, Refused, talking

ID = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
EDIT = {"lineupId": 2, "gbsNumber": 3}


@dataclass
class Lineup:
    """The namespace on a Socket.IO server without a network."""

    parts: Parts
    sockets: SocketServer
    realtime: Realtime
    nursery: trio.Nursery

    def connect(
        self, auth: dict[str, Any] | None = None, cookie: str | None = None, **token: Any
    ) -> AbstractAsyncContextManager[Peer]:
        """Connect: as the holder of such a token in the payload, unless told otherwise."""
        ours, theirs = trio.testing.memory_stream_pair()
        self.nursery.start_soon(self._serve, theirs)
        headers = {} if cookie is None else {"Cookie": f"accessToken={cookie}"}
        if auth is None and cookie is None:
            auth = {"token": self.parts.token(**token)}
        return talking(ours, auth=auth, headers=headers)

    @asynccontextmanager
    async def joined(self, slug: str = SLUG, **token: Any) -> AsyncIterator[Peer]:
        """Connect and join."""
        async with self.connect(**token) as peer:
            assert (await peer.call("join-retreat", slug))["status"] == "OK"
            yield peer

    async def _serve(self, stream: trio.StapledStream[Any, Any]) -> None:
        data = b""
        while (length := head_length(data)) is None:
            data += await stream.receive_some()
        request = parse_request(data[:length])
        assert request is not None
        await self.sockets.serve_websocket(stream, request, data[length:])


@asynccontextmanager
async def lineup(
    config: GatewayConfig | None = None, *, readers: tuple[Role, ...] = tuple(Role)
) -> AsyncIterator[Lineup]:
    async with composed(config, readers=readers) as parts:
        sockets = SocketServer(cookie_names=["accessToken"])
        async with (
            served_namespace(parts, sockets) as realtime,
            sockets.serving(),
            trio.open_nursery() as nursery,
        ):
            yield Lineup(parts, sockets, realtime, nursery)
            nursery.cancel_scope.cancel()


# Connecting


async def refusal(connecting: AbstractAsyncContextManager[Peer]) -> dict[str, Any]:
    try:
        async with connecting:
            pytest.fail("it was let in")
    except* Refused as group:
        refused = group.exceptions[0]
        assert isinstance(refused, Refused)
        error = refused.error
    return error


@pytest.mark.parametrize(
    ("auth", "message", "code"),
    [
        ({}, "Authentication required", "AUTH_REQUIRED"),
        ({"token": ""}, "Authentication required", "AUTH_REQUIRED"),
        ({"token": 7}, "Authentication required", "AUTH_REQUIRED"),
        ({"token": "x"}, "Invalid token", "INVALID_TOKEN"),
    ],
)
async def test_who_has_no_good_token_is_refused_with_message_and_code(
    auth: dict[str, Any], message: str, code: str
) -> None:
    async with lineup() as here:
        assert await refusal(here.connect(auth)) == {"message": message, "data": {"code": code}}


async def test_an_expired_token_is_refused() -> None:
    async with lineup() as here:
        token = here.parts.token(expires_in=60)
        here.parts.clock.advance(91)
        error = await refusal(here.connect({"token": token}))
        assert error == {"message": "Token expired", "data": {"code": "TOKEN_EXPIRED"}}


async def test_a_role_that_may_not_read_is_refused() -> None:
    async with lineup(readers=(Role.LINEUP_STAFF,)) as here:
        error = await refusal(here.connect(role=Role.ACCOUNT_STAFF))
        assert error == {"message": "Forbidden", "data": {"code": "FORBIDDEN"}}


async def test_a_cookie_lets_in_without_a_payload() -> None:
    async with lineup() as here, here.connect(cookie=here.parts.token()) as peer:
        assert (await peer.call("join-retreat", SLUG))["status"] == "OK"


async def test_a_bad_token_in_the_payload_is_not_made_up_for_by_a_good_cookie() -> None:
    async with lineup() as here:
        error = await refusal(here.connect({"token": "x"}, cookie=here.parts.token()))
        assert error["data"]["code"] == "INVALID_TOKEN"


async def test_a_refused_connection_leaves_nothing_behind() -> None:
    async with lineup() as here:
        await refusal(here.connect({"token": "x"}))
        assert here.realtime.clients.statistics().clients == 0


# Joining and leaving


async def test_a_join_is_answered_with_the_whole_list() -> None:
    async with lineup() as here, here.connect() as peer:
        ack = await peer.call("join-retreat", SLUG)
        assert ack.keys() == {"status", "data", "revision", "epoch", "full"}
        assert (ack["status"], ack["revision"], ack["full"]) == ("OK", 0, True)
        assert len(ack["data"]) == 6


async def test_a_join_without_an_ack_is_answered_with_initial_data() -> None:
    async with lineup() as here, here.connect() as peer:
        await peer.emit("join-retreat", SLUG)
        assert len(await peer.event("initial-data")) == 6


async def test_a_join_with_an_ack_sends_no_initial_data() -> None:
    async with lineup() as here, here.joined() as peer:
        await peer.call("leave-retreat", SLUG)
        assert peer.named("initial-data") == []


async def test_a_client_that_comes_back_gets_the_rows_since_its_last_one() -> None:
    async with lineup() as here, here.connect() as peer:
        epoch = (await peer.call("join-retreat", SLUG))["epoch"]
        await peer.call("update-gbs-number", {"lineupId": 2, "gbsNumber": 3})
        await peer.call("update-gbs-number", {"lineupId": 3, "gbsNumber": 4})
        ack = await peer.call("join-retreat", {"retreatSlug": SLUG, "since": 2, "epoch": epoch})
        assert ack["full"] is False
        assert [row["id"] for row in ack["data"]] == [3]


async def test_a_join_to_an_unknown_retreat_fails_with_both_codes() -> None:
    async with lineup() as here, here.connect() as peer:
        ack = await peer.call("join-retreat", "none")
        assert (ack["status"], ack["code"]) == ("ERROR", "RETREAT_NOT_FOUND")
        assert ack["legacyCode"] == "JOIN_FAILED"


async def test_a_join_that_fails_leaves_the_client_in_its_room() -> None:
    async with lineup() as here, here.joined() as peer:
        await peer.call("join-retreat", "none")
        ack = await peer.call("update-gbs-number", {"lineupId": 2, "gbsNumber": 3})
        assert ack["status"] == "OK"


async def test_a_token_for_another_retreat_may_not_join() -> None:
    async with lineup() as here, here.connect(retreats=(OTHER_SLUG,)) as peer:
        assert (await peer.call("join-retreat", SLUG))["code"] == "FORBIDDEN"
        assert (await peer.call("join-retreat", OTHER_SLUG))["status"] == "OK"


async def test_a_grant_that_takes_reading_away_refuses_the_join() -> None:
    async with lineup() as here, here.connect(user_id=51) as peer:
        assert (await peer.call("join-retreat", SLUG))["code"] == "FORBIDDEN"


async def test_a_join_while_the_store_is_out_of_reach_is_worth_a_retry() -> None:
    async with lineup() as here, here.connect() as peer:
        here.parts.store.broken = True
        ack = await peer.call("join-retreat", SLUG)
        assert (ack["code"], ack["retryable"]) == ("STORE_UNAVAILABLE", True)


async def test_joining_a_second_retreat_leaves_the_first() -> None:
    async with lineup() as here, here.joined() as stays, here.joined() as goes:
        await goes.call("join-retreat", OTHER_SLUG)
        goes.forget()
        await stays.call("update-gbs-number", {"lineupId": 2, "gbsNumber": 3})
        await goes.call("leave-retreat", OTHER_SLUG)
        assert goes.named("lineup-updated") == []


async def test_events_behind_a_join_wait_until_it_has_loaded() -> None:
    async with lineup() as here, here.connect() as peer:
        here.parts.store.loads_may_go_on = trio.Event()
        join = await peer.begin("join-retreat", SLUG)
        update = await peer.begin("update-gbs-number", {"lineupId": 2, "gbsNumber": 3})
        await trio.testing.wait_all_tasks_blocked()
        assert peer.received == []
        here.parts.store.loads_may_go_on.set()
        assert (await peer.ack(update))["status"] == "OK"
        names = [got.ack_id for got in peer.received if got.ack_id is not None]
        assert names == [join, update]


async def test_leaving_is_acknowledged_with_null_outside_any_room() -> None:
    async with lineup() as here, here.joined() as peer:
        ack = await peer.call("leave-retreat", SLUG)
        assert ack == {"status": "OK", "data": None, "revision": None}


async def test_who_has_left_gets_no_updates() -> None:
    async with lineup() as here, here.joined() as stays, here.joined() as goes:
        await goes.call("leave-retreat", SLUG)
        goes.forget()
        await stays.call("update-gbs-number", {"lineupId": 2, "gbsNumber": 3})
        await goes.call("leave-retreat", SLUG)
        assert goes.named("lineup-updated") == []


async def test_leaving_a_retreat_one_is_not_in_does_nothing() -> None:
    async with lineup() as here, here.joined() as peer:
        ack = await peer.call("leave-retreat", OTHER_SLUG)
        assert (ack["status"], ack["data"]) == ("OK", None)
        ack = await peer.call("update-gbs-number", {"lineupId": 2, "gbsNumber": 3})
        assert ack["status"] == "OK"


async def test_a_connection_that_ends_leaves_its_room(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with lineup() as here, here.joined() as stays:
        async with here.joined(user_id=8):
            await stays.wait_for(lambda got: got.name == "room-presence" and _total(got) == 2)
        stays.forget()
        await stays.wait_for(lambda got: got.name == "room-presence" and _total(got) == 1)
        statistics = here.realtime.clients.statistics()
        assert (statistics.clients, statistics.expiring) == (1, 1)


def _total(got: Any) -> int:
    total = got.payload["total"]
    assert isinstance(total, int)
    return total


# Mutations


async def test_an_edit_is_acknowledged_with_the_row_and_its_revision() -> None:
    async with lineup() as here, here.joined() as peer:
        ack = await peer.call("update-gbs-number", {"lineupId": 2, "gbsNumber": 3})
        assert ack.keys() == {"status", "data", "revision"}
        assert (ack["status"], ack["revision"]) == ("OK", 1)
        assert (ack["data"]["gbsNumber"], ack["data"]["revision"]) == (3, 1)


async def test_the_author_gets_the_update_too_and_before_the_ack() -> None:
    async with lineup() as here, here.joined() as peer:
        peer.forget()
        await peer.call("update-gbs-number", {"lineupId": 2, "gbsNumber": 3})
        names = [got.name for got in peer.received if got.name in {"lineup-updated", "ack"}]
        assert names == ["lineup-updated", "ack"]


async def test_everyone_in_the_room_gets_the_update() -> None:
    async with lineup() as here, here.joined() as author, here.joined() as other:
        await author.call("update-gbs-number", {"lineupId": 2, "gbsNumber": 3})
        row = await other.event("lineup-updated")
        assert (row["id"], row["gbsNumber"], row["revision"]) == (2, 3, 1)


async def test_a_memo_is_created_changed_and_deleted() -> None:
    async with lineup() as here, here.joined() as peer:
        create = {"userRetreatRegistrationId": "2", "memo": " 허리 ", "color": "#fecaca"}
        row = (await peer.call("create-lineup-memo", create))["data"]
        assert (row["lineupMemo"], row["lineupMemocolor"]) == ("허리", "#FECACA")
        memo_id = row["lineupMemoId"]
        update = {"userRetreatRegistrationMemoId": str(memo_id), "memo": "무릎"}
        row = (await peer.call("update-lineup-memo", update))["data"]
        assert (row["lineupMemo"], row["lineupMemocolor"]) == ("무릎", "")
        row = (await peer.call("delete-lineup-memo", {"memoId": memo_id}))["data"]
        assert (row["lineupMemo"], row["lineupMemoId"]) == ("", None)


async def test_a_conflict_shows_the_current_row_and_whose_change_it_is() -> None:
    async with lineup() as here, here.joined() as peer, here.joined(name="이수진") as other:
        await other.call("update-gbs-number", {"lineupId": 2, "gbsNumber": 3, "baseRevision": 0})
        ack = await peer.call(
            "update-gbs-number", {"lineupId": 2, "gbsNumber": 4, "baseRevision": 0}
        )
        assert (ack["code"], ack["legacyCode"]) == ("CONFLICT", "UPDATE_FAILED")
        assert ack["data"]["gbsNumber"] == 3
        assert ack["conflict"]["field"] == "gbsNumber"
        assert ack["conflict"]["theirs"] == 3
        assert ack["conflict"]["changedBy"] == "이수진"
        assert ack["conflict"]["revision"] == 1


async def test_a_repeated_command_id_gets_the_first_ones_answer() -> None:
    async with lineup() as here, here.joined() as peer:
        payload = {"lineupId": 2, "gbsNumber": 3, "commandId": ID}
        first = await peer.call("update-gbs-number", payload)
        assert await peer.call("update-gbs-number", payload) == first


async def test_outside_a_room_an_edit_is_refused() -> None:
    async with lineup() as here, here.connect() as peer:
        ack = await peer.call("update-gbs-number", {"lineupId": 2, "gbsNumber": 3})
        assert (ack["code"], ack["legacyCode"]) == ("NOT_IN_ROOM", "UPDATE_FAILED")


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
async def test_who_may_not_edit_is_told_so_before_the_payload_is_looked_at(event: str) -> None:
    async with lineup() as here, here.joined(role=Role.ACCOUNT_STAFF) as peer:
        assert (await peer.call(event, "nonsense"))["code"] == "FORBIDDEN"


async def test_a_grant_lets_somebody_edit_in_one_retreat_only() -> None:
    async with lineup() as here, here.connect(user_id=52, role=Role.ACCOUNT_STAFF) as peer:
        await peer.call("join-retreat", OTHER_SLUG)
        edit = {"lineupId": 8, "gbsNumber": 3}
        assert (await peer.call("update-gbs-number", edit))["status"] == "OK"
        await peer.call("join-retreat", SLUG)
        assert (await peer.call("update-gbs-number", edit))["code"] == "FORBIDDEN"


async def test_who_leaves_a_retreat_leaves_what_was_granted_there() -> None:
    async with lineup() as here, here.connect(user_id=52, role=Role.ACCOUNT_STAFF) as peer:
        await peer.call("join-retreat", OTHER_SLUG)
        await peer.call("leave-retreat", OTHER_SLUG)
        assert (await peer.call("update-gbs-number", EDIT))["code"] == "NOT_IN_ROOM"
        await peer.call("join-retreat", SLUG)
        assert (await peer.call("update-gbs-number", EDIT))["code"] == "FORBIDDEN"


async def test_a_leave_answered_late_takes_nothing_from_the_room_joined_since() -> None:
    async with (
        lineup() as here,
        here.joined(user_id=9) as slow,
        here.connect(user_id=52, role=Role.ACCOUNT_STAFF) as peer,
    ):
        await peer.call("join-retreat", SLUG)
        here.parts.store.commits_may_go_on = trio.Event()
        await slow.begin("update-gbs-number", EDIT)
        await here.parts.store.commit_waits.wait()
        leave = await peer.begin("leave-retreat", SLUG)
        await peer.ack(await peer.begin("join-retreat", OTHER_SLUG))
        here.parts.store.commits_may_go_on.set()
        await peer.ack(leave)
        edit = {"lineupId": 8, "gbsNumber": 3}
        assert (await peer.call("update-gbs-number", edit))["status"] == "OK"


async def test_initial_data_is_always_the_whole_list() -> None:
    async with lineup() as here, here.joined() as peer:
        edited = await peer.call("update-gbs-number", EDIT)
        await peer.emit("join-retreat", {"retreatSlug": SLUG, "since": edited["revision"]})
        assert len(await peer.event("initial-data")) == 6


@pytest.mark.parametrize(("command_id", "retryable"), [({"commandId": ID}, True), ({}, None)])
async def test_an_unknown_outcome_is_worth_a_retry_only_with_a_command_id(
    monkeypatch: pytest.MonkeyPatch, command_id: dict[str, str], retryable: bool | None
) -> None:
    async with lineup() as here, here.joined() as peer:

        def lose(_: Subscriber, __: Command, reply: CommandReply) -> None:
            reply(Rejection(Code.OUTCOME_UNKNOWN, "nobody knows"))

        monkeypatch.setattr(here.parts.rooms, "submit", lose)
        ack = await peer.call("update-gbs-number", {**EDIT, **command_id})
        assert (ack["code"], ack.get("retryable")) == ("OUTCOME_UNKNOWN", retryable)


async def test_a_grant_can_take_editing_away() -> None:
    async with lineup() as here, here.joined(user_id=50) as peer:
        ack = await peer.call("update-gbs-number", {"lineupId": 2, "gbsNumber": 3})
        assert ack["code"] == "FORBIDDEN"


async def test_without_an_ack_an_error_goes_out_as_event_error() -> None:
    async with lineup() as here, here.joined() as peer:
        await peer.emit("update-gbs-number", {"lineupId": 2})
        assert await peer.event("error") == {
            "event": "update-gbs-number",
            "code": "VALIDATION_FAILED",
            "message": "gbsNumber is required.",
            "legacyCode": "UPDATE_FAILED",
        }


async def test_with_an_ack_an_error_is_the_ack_only() -> None:
    async with lineup() as here, here.joined() as peer:
        assert (await peer.call("update-gbs-number", {"lineupId": 2}))["status"] == "ERROR"
        await peer.call("leave-retreat", SLUG)
        assert peer.named("error") == []


async def test_an_unknown_event_is_acknowledged_with_validation_failed() -> None:
    async with lineup() as here, here.connect() as peer:
        assert (await peer.call("no-such-event", 1))["code"] == "VALIDATION_FAILED"


async def test_the_name_of_an_unknown_event_is_repeated_only_in_part() -> None:
    async with lineup() as here, here.connect() as peer:
        await peer.emit("x" * 5_000)
        assert len(str(await peer.event("error"))) < 1_000


@pytest.mark.parametrize(
    "raw",
    [
        '["update-gbs-number"]',
        '["update-gbs-number",' + "[" * 50_000 + "]" * 50_000 + "]",
        '["update-gbs-number",{"lineupId":' + "9" * 5_000 + ',"gbsNumber":1}]',
        '["update-gbs-number",{"lineupId":"\\ud800","gbsNumber":1}]',
        '["join-retreat"]',
        '["join-retreat","\\u0000"]',
        '["authenticate",null]',
    ],
    ids=["no argument", "deep", "long number", "surrogate", "no slug", "nul", "null"],
)
async def test_a_payload_that_cannot_be_read_is_refused_and_the_connection_lives(
    raw: str,
) -> None:
    async with lineup() as here, here.joined() as peer:
        assert (await peer.call("", raw=raw))["code"] == "VALIDATION_FAILED"
        ack = await peer.call("update-gbs-number", {"lineupId": 2, "gbsNumber": 3})
        assert ack["status"] == "OK"


async def test_an_exception_is_answered_with_internal_and_the_connection_lives(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with lineup() as here, here.joined() as peer:

        def broken(*_: object) -> None:
            raise RuntimeError("secret detail")

        with monkeypatch.context() as patch:
            patch.setattr(here.parts.rooms, "submit", broken)
            ack = await peer.call("update-gbs-number", {"lineupId": 2, "gbsNumber": 3})
        assert ack["code"] == "INTERNAL"
        assert "retryable" not in ack
        assert "secret" not in ack["message"]
        assert here.realtime.dispatch.statistics().internal_errors == 1
        assert (await peer.call("leave-retreat", SLUG))["status"] == "OK"


async def test_who_sends_faster_than_the_rate_is_told_so(
    autojump_clock: trio.testing.MockClock,
) -> None:
    config = GatewayConfig(event_rate=1.0, event_burst=3)
    async with lineup(config) as here, here.joined() as peer:
        edits = [
            await peer.begin("update-gbs-number", {"lineupId": 2, "gbsNumber": number})
            for number in range(1, 4)
        ]
        acks = [await peer.ack(edit) for edit in edits]
        assert [ack["status"] for ack in acks] == ["OK", "OK", "ERROR"]
        assert (acks[2]["code"], acks[2]["retryable"]) == ("RATE_LIMITED", True)


async def test_a_users_connections_and_requests_share_one_rate(
    autojump_clock: trio.testing.MockClock,
) -> None:
    config = GatewayConfig(user_rate=0.001, user_burst=4)
    async with lineup(config) as here, here.joined() as one, here.joined() as two:
        assert here.parts.rates.take(7, trio.current_time())  # over HTTP, say
        edit = {"lineupId": 2, "gbsNumber": 3}
        assert (await one.call("update-gbs-number", edit))["status"] == "OK"
        for peer in (one, two):
            ack = await peer.call("update-gbs-number", edit)
            assert (ack["code"], ack["retryable"]) == ("RATE_LIMITED", True)
        async with here.joined(user_id=8) as other:
            assert (await other.call("update-gbs-number", edit))["status"] == "OK"


async def test_a_connection_too_many_is_closed_so_that_it_comes_back_later() -> None:
    config = GatewayConfig(max_connections_per_user=2)
    async with lineup(config) as here, here.connect(), here.connect() as second:
        with pytest.raises(BaseExceptionGroup) as caught:
            async with here.connect():
                pytest.fail("it was let in")
        closed = caught.value.exceptions[0]
        assert isinstance(closed, trio_websocket.ConnectionClosed)
        assert closed.reason is not None
        assert closed.reason.code == 1013
        async with here.connect(user_id=8):
            assert here.realtime.clients.statistics().clients == 3
        assert here.realtime.clients.statistics().refused == 1
        await second.send(f"41{NAMESPACE},")
        await trio.testing.wait_all_tasks_blocked()
        async with here.connect():
            assert here.realtime.clients.statistics().clients == 2


async def test_users_without_a_connection_are_not_counted() -> None:
    async with lineup() as here:
        async with here.connect(), here.connect():
            assert here.parts.connection_limit.of(7) == 2
        with trio.fail_after(5):
            while here.realtime.clients.statistics().clients:
                await trio.testing.wait_all_tasks_blocked()
        assert len(here.parts.connection_limit) == 0


async def test_more_commands_without_an_answer_than_allowed_are_refused() -> None:
    async with lineup(GatewayConfig(commands_under_way=2)) as here, here.joined() as peer:
        here.parts.store.commits_may_go_on = trio.Event()
        edits = [
            await peer.begin("update-gbs-number", {"lineupId": 2, "gbsNumber": number})
            for number in range(1, 4)
        ]
        assert (await peer.ack(edits[2]))["code"] == "RATE_LIMITED"
        here.parts.store.commits_may_go_on.set()
        assert (await peer.ack(edits[0]))["status"] == "OK"
        assert (await peer.ack(edits[1]))["status"] == "OK"


# Editing marks


async def test_an_editing_mark_goes_to_the_others_and_not_to_the_author() -> None:
    async with lineup() as here, here.joined() as author, here.joined(user_id=8) as other:
        ack = await author.call("user-editing", {"lineupId": 2, "field": "lineupMemo"})
        assert ack == {"status": "OK", "data": None, "revision": 0}
        mark = await other.event("user-editing")
        assert (mark["lineupId"], mark["userId"], mark["editing"]) == (2, 7, True)
        assert mark["userName"] == "김하늘"
        assert author.named("user-editing") == []


async def test_an_editing_mark_outside_a_room_is_refused() -> None:
    async with lineup() as here, here.connect() as peer:
        assert (await peer.call("user-editing", {"lineupId": 2}))["code"] == "NOT_IN_ROOM"


# Tokens that expire


async def test_a_client_is_told_when_its_token_has_expired(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with lineup() as here, here.joined(expires_in=60) as peer:
        await trio.sleep(60 + 29)
        assert peer.named("error") == []
        await trio.sleep(2)
        assert await peer.event("error") == {
            "event": None,
            "code": "TOKEN_EXPIRED",
            "message": "Token expired",
        }


async def test_an_expired_token_does_not_edit(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with lineup() as here, here.joined(expires_in=60) as peer:
        await trio.sleep(60 + 31)
        assert (await peer.call("update-gbs-number", EDIT))["code"] == "TOKEN_EXPIRED"


async def test_without_a_new_token_the_namespace_is_left_a_minute_later(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with lineup() as here, here.joined(expires_in=60) as peer:
        await trio.sleep(60 + 30 + 59)
        assert peer.named("disconnect") == []
        await trio.sleep(2)
        assert len(peer.named("disconnect")) == 1
        assert not peer.closed.is_set()


async def test_with_a_new_token_in_time_everything_goes_on(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with lineup() as here, here.joined(expires_in=60) as peer:
        await trio.sleep(60 + 31)
        ack = await peer.call("authenticate", {"token": here.parts.token()})
        assert ack == {"status": "OK", "data": None, "revision": 0}
        await trio.sleep(120)
        assert peer.named("disconnect") == []
        assert (await peer.call("update-gbs-number", EDIT))["status"] == "OK"


async def test_a_new_token_expires_as_the_first_one_did(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with lineup() as here, here.joined(expires_in=60) as peer:
        await peer.call("authenticate", {"token": here.parts.token(expires_in=600)})
        await trio.sleep(600)
        assert peer.named("error") == []
        await trio.sleep(31)
        assert len(peer.named("error")) == 1


async def test_after_a_renewal_the_next_expiry_is_told_again(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with lineup() as here, here.joined(expires_in=60) as peer:
        await trio.sleep(60 + 31)
        await peer.call("authenticate", {"token": here.parts.token(expires_in=60)})
        await trio.sleep(60 + 31)
        assert len(peer.named("error")) == 2
        assert peer.named("disconnect") == []


async def test_what_one_does_with_a_new_token_bears_its_name() -> None:
    async with lineup() as here, here.joined() as peer:
        await peer.call("authenticate", {"token": here.parts.token(name="새 이름")})
        await peer.call("update-gbs-number", EDIT)
        conflicting = {"lineupId": 2, "gbsNumber": 4, "baseRevision": 0}
        ack = await peer.call("update-gbs-number", conflicting)
        assert ack["conflict"]["changedBy"] == "새 이름"


async def test_another_users_token_is_refused_and_changes_nothing() -> None:
    async with lineup() as here, here.joined() as peer:
        ack = await peer.call("authenticate", {"token": here.parts.token(user_id=8)})
        assert (ack["status"], ack["code"]) == ("ERROR", "INVALID_TOKEN")
        assert (await peer.call("update-gbs-number", EDIT))["status"] == "OK"


async def test_a_new_token_that_may_not_enter_the_room_is_refused(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with lineup() as here, here.joined() as peer:
        token = here.parts.token(retreats=(OTHER_SLUG,))
        assert (await peer.call("authenticate", {"token": token}))["code"] == "FORBIDDEN"


async def test_a_new_token_with_another_role_changes_what_one_may_do(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with lineup() as here, here.joined() as peer:
        await peer.call("authenticate", {"token": here.parts.token(role=Role.ACCOUNT_STAFF)})
        assert (await peer.call("update-gbs-number", EDIT))["code"] == "FORBIDDEN"


async def test_a_cookie_that_has_expired_reads_on_and_does_not_edit(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with lineup() as here:
        cookie = here.parts.token(user_id=8, expires_in=60)
        async with here.joined() as editor, here.connect(cookie=cookie) as reader:
            await reader.call("join-retreat", SLUG)
            await trio.sleep(600)
            assert reader.named("error") == []
            await editor.call("update-gbs-number", EDIT)
            assert (await reader.event("lineup-updated"))["id"] == 2
            assert (await reader.call("update-gbs-number", EDIT))["code"] == "TOKEN_EXPIRED"


async def test_a_cookie_connection_may_go_on_editing_with_a_token(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with lineup() as here:
        cookie = here.parts.token(expires_in=60)
        async with here.connect(cookie=cookie) as peer:
            await peer.call("join-retreat", SLUG)
            await trio.sleep(600)
            await peer.call("authenticate", {"token": here.parts.token()})
            assert (await peer.call("update-gbs-number", EDIT))["status"] == "OK"


async def test_after_its_grace_a_cookie_connection_is_closed_so_that_it_comes_back(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with (
        lineup(GatewayConfig(cookie_grace=3_600)) as here,
        here.connect(cookie=here.parts.token(expires_in=60)) as peer,
    ):
        await trio.sleep(60 + 30 + 3_590)
        assert not peer.closed.is_set()
        await trio.sleep(20)
        assert peer.closed.is_set()
        assert peer.close_code == 1012
        assert peer.named("disconnect") == []


@pytest.mark.parametrize(
    "config",
    [
        GatewayConfig(event_rate=0.001, event_burst=2),  # one for the join
        GatewayConfig(user_editing_rate=0.001, user_editing_burst=1),
    ],
    ids=["events of the connection", "marks of the user"],
)
async def test_of_a_client_whose_mark_is_refused_no_mark_is_shown(
    autojump_clock: trio.testing.MockClock, config: GatewayConfig
) -> None:
    async with lineup(config) as here, here.joined(user_id=8) as other, here.joined() as peer:
        mark = {"lineupId": 2, "field": "lineupMemo"}
        assert (await peer.call("user-editing", mark))["status"] == "OK"
        assert (await other.event("user-editing"))["editing"]
        ack = await peer.call("user-editing", mark | {"editing": False})
        assert (ack["code"], ack["retryable"]) == ("RATE_LIMITED", True)
        with trio.fail_after(1):
            await other.wait_for(
                lambda got: got.name == "user-editing" and not got.payload["editing"]
            )
        assert here.realtime.dispatch.statistics().refused_by_rate == 1


async def test_marks_beyond_the_users_rate_leave_other_events_and_other_users_alone(
    autojump_clock: trio.testing.MockClock,
) -> None:
    config = GatewayConfig(user_editing_rate=0.001, user_editing_burst=1)
    async with lineup(config) as here, here.joined(user_id=8) as other, here.joined() as peer:
        mark = {"lineupId": 2}
        acks = [await peer.call("user-editing", mark) for _ in range(2)]
        assert [ack["status"] for ack in acks] == ["OK", "ERROR"]
        assert (await other.call("user-editing", mark))["status"] == "OK"
        edit = {"lineupId": 2, "gbsNumber": 3}
        assert (await peer.call("update-gbs-number", edit))["status"] == "OK"


async def test_marks_that_are_told_together_arrive_as_an_event_each(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with (
        lineup() as here,
        here.joined(user_id=8) as one,
        here.joined(user_id=9) as two,
        here.joined() as watcher,
    ):
        await one.call("user-editing", {"lineupId": 3})
        await trio.sleep(1)
        await one.emit("user-editing", {"lineupId": 2})
        await two.emit("user-editing", {"lineupId": 4})
        await trio.sleep(1)
        told = [(t["lineupId"], t["editing"]) for t in watcher.named("user-editing")]
        assert told[0] == (3, True)
        assert sorted(told[1:]) == [(2, True), (3, False), (4, True)]
