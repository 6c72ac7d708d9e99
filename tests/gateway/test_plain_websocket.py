"""Plain WebSocket: what is said over it once somebody is in."""

from __future__ import annotations

import json
from typing import Any

import pytest
import trio
import trio.testing

from gbs_actor.auth import Role
from gbs_actor.gateway.config import GatewayConfig
from tests.gateway.composing import OTHER_SLUG, SLUG
from tests.gateway.plain_world import plain_world

EDIT = {"lineupId": 2, "gbsNumber": 3}


# Rooms


async def test_connecting_joins_and_brings_the_rows_first() -> None:
    async with plain_world() as here, here.joined() as peer:
        first = peer.received[0]
        assert first["event"] == "initial-data"
        assert len(first["data"]) == 6
        assert (first["revision"], first["full"]) == (0, True)
        assert isinstance(first["epoch"], str)


async def test_what_is_asked_before_the_rows_are_loaded_is_answered_behind_them() -> None:
    async with plain_world() as here:
        here.parts.store.loads_may_go_on = trio.Event()
        async with here.connect() as peer:
            edit = await peer.begin("update-gbs-number", EDIT)
            await trio.testing.wait_all_tasks_blocked()
            assert peer.received == []
            here.parts.store.loads_may_go_on.set()
            assert (await peer.answer(edit))["status"] == "OK"
            assert [name for name in peer.order() if name != "room-presence"] == [
                "initial-data",
                "lineup-updated",
                "answer",
            ]


async def test_joining_the_room_one_is_in_answers_with_what_changed_since() -> None:
    async with plain_world() as here, here.joined() as peer:
        epoch = peer.received[0]["epoch"]
        await peer.call("update-gbs-number", {"lineupId": 2, "gbsNumber": 3})
        await peer.call("update-gbs-number", {"lineupId": 3, "gbsNumber": 4})
        again = {"retreatSlug": SLUG, "since": 2, "epoch": epoch}
        answer = await peer.call("join-retreat", again)
        assert answer.keys() == {"id", "status", "data", "revision", "epoch", "full"}
        assert answer["full"] is False
        assert [row["id"] for row in answer["data"]] == [3]


async def test_a_join_without_an_id_brings_all_rows_as_initial_data() -> None:
    async with plain_world() as here, here.joined() as peer:
        peer.forget()
        epoch = (await peer.call("join-retreat", SLUG))["epoch"]
        await peer.emit("join-retreat", {"retreatSlug": SLUG, "since": 0, "epoch": epoch})
        assert len(await peer.event("initial-data")) == 6


async def test_joining_another_retreat_moves_there() -> None:
    async with plain_world() as here, here.joined() as stays, here.joined() as goes:
        assert (await goes.call("join-retreat", OTHER_SLUG))["status"] == "OK"
        goes.forget()
        await stays.call("update-gbs-number", EDIT)
        edit = {"lineupId": 8, "gbsNumber": 3}
        assert (await goes.call("update-gbs-number", edit))["status"] == "OK"
        assert [row["id"] for row in goes.named("lineup-updated")] == [8]


async def test_a_join_that_fails_leaves_the_client_in_its_room() -> None:
    async with plain_world() as here, here.joined() as peer:
        answer = await peer.call("join-retreat", "none")
        assert (answer["code"], answer["legacyCode"]) == ("RETREAT_NOT_FOUND", "JOIN_FAILED")
        assert (await peer.call("update-gbs-number", EDIT))["status"] == "OK"


async def test_who_has_left_stays_connected_and_may_join_again() -> None:
    async with plain_world() as here, here.joined() as peer:
        answer = await peer.call("leave-retreat", SLUG)
        assert answer == {"id": 1, "status": "OK", "data": None, "revision": None}
        assert (await peer.call("update-gbs-number", EDIT))["code"] == "NOT_IN_ROOM"
        assert (await peer.call("join-retreat", SLUG))["status"] == "OK"


async def test_who_disconnects_leaves_the_room(autojump_clock: trio.testing.MockClock) -> None:
    async with plain_world() as here, here.joined() as stays:
        async with here.joined(user_id=8):
            await stays.wait_for(lambda got: _total(got) == 2)
        stays.forget()
        await stays.wait_for(lambda got: _total(got) == 1)
        assert here.realtime.clients.statistics().clients == 1


def _total(frame: dict[str, Any]) -> int | None:
    total = frame["data"]["total"] if frame.get("event") == "room-presence" else None
    assert total is None or isinstance(total, int)
    return total


# Events and their order


async def test_an_edit_is_answered_under_its_id_behind_its_update() -> None:
    async with plain_world() as here, here.joined() as peer:
        peer.forget()
        answer = await peer.call("update-gbs-number", EDIT)
        assert answer.keys() == {"id", "status", "data", "revision"}
        assert (answer["status"], answer["revision"]) == ("OK", 1)
        assert answer["data"]["gbsNumber"] == 3
        order = [name for name in peer.order() if name != "room-presence"]
        assert order == ["lineup-updated", "answer"]


async def test_an_edit_without_an_id_is_seen_by_its_update_only() -> None:
    async with plain_world() as here, here.joined() as peer:
        await peer.emit("update-gbs-number", EDIT)
        assert (await peer.event("lineup-updated"))["gbsNumber"] == 3
        await peer.call("leave-retreat", SLUG)
        assert peer.order().count("answer") == 1


async def test_clients_of_both_protocols_see_the_same_updates() -> None:
    async with (
        plain_world() as here,
        here.joined() as peer,
        here.joined_by_socketio(user_id=8) as page,
    ):
        await peer.call("update-gbs-number", EDIT)
        await page.call("create-lineup-memo", {"lineupId": 2, "memo": "허리", "color": "#FECACA"})
        await peer.wait_for(lambda got: got.get("event") == "lineup-updated" and _is_second(got))
        assert peer.named("lineup-updated") == page.named("lineup-updated")
        assert [row["revision"] for row in peer.named("lineup-updated")] == [1, 2]


def _is_second(frame: dict[str, Any]) -> bool:
    return bool(frame["data"]["revision"] == 2)


async def test_editing_marks_cross_between_the_protocols_and_spare_their_author() -> None:
    async with (
        plain_world() as here,
        here.joined(name="이수진") as peer,
        here.joined_by_socketio(user_id=8) as page,
    ):
        answer = await peer.call("user-editing", {"lineupId": 2, "field": "lineupMemo"})
        assert (answer["status"], answer["data"]) == ("OK", None)
        mark = await page.event("user-editing")
        assert (mark["lineupId"], mark["userName"], mark["editing"]) == (2, "이수진", True)
        await page.call("user-editing", {"lineupId": 3})
        assert (await peer.event("user-editing"))["lineupId"] == 3
        assert len(peer.named("user-editing")) == 1


async def test_a_conflict_is_answered_with_the_current_row() -> None:
    async with plain_world() as here, here.joined() as peer:
        await peer.call("update-gbs-number", {**EDIT, "baseRevision": 0})
        answer = await peer.call("update-gbs-number", {**EDIT, "gbsNumber": 4, "baseRevision": 0})
        assert (answer["status"], answer["code"]) == ("ERROR", "CONFLICT")
        assert answer["data"]["gbsNumber"] == answer["conflict"]["theirs"] == 3


async def test_a_mere_reader_may_not_edit() -> None:
    async with plain_world() as here, here.joined(role=Role.ACCOUNT_STAFF) as peer:
        assert (await peer.call("update-gbs-number", "nonsense"))["code"] == "FORBIDDEN"


async def test_without_an_id_an_error_goes_out_as_event_error() -> None:
    async with plain_world() as here, here.joined() as peer:
        await peer.emit("update-gbs-number", {"lineupId": 2})
        assert await peer.event("error") == {
            "event": "update-gbs-number",
            "code": "VALIDATION_FAILED",
            "message": "gbsNumber is required.",
            "legacyCode": "UPDATE_FAILED",
        }


async def test_with_an_id_an_error_is_the_answer_only() -> None:
    async with plain_world() as here, here.joined() as peer:
        assert (await peer.call("update-gbs-number", {"lineupId": 2}))["status"] == "ERROR"
        await peer.call("leave-retreat", SLUG)
        assert peer.named("error") == []


# Ids


@pytest.mark.parametrize(
    "identifier",
    ["0", '""', "null", "false", "1.5", "-0", '"\\u0000\\ud83d\\ude00"', '{"a": [1, null]}', "[]",
     "9" * 400],
)  # fmt: skip
async def test_any_json_value_is_an_id_and_comes_back_as_it_was(identifier: str) -> None:
    async with plain_world() as here, here.joined() as peer:
        await peer.send(f'{{"event":"leave-retreat","data":"{SLUG}","id":{identifier}}}')
        answer = await peer.wait_for(lambda got: "status" in got)
        expected = json.loads(identifier)
        assert answer["id"] == expected
        assert type(answer["id"]) is type(expected)


async def test_without_an_id_there_is_no_answer() -> None:
    async with plain_world() as here, here.joined() as peer:
        await peer.emit("user-editing", {"lineupId": 2})
        await peer.call("leave-retreat", SLUG)
        assert [got.get("id") for got in peer.received if "status" in got] == [1]


async def test_requests_with_the_same_id_are_each_answered() -> None:
    async with plain_world() as here, here.joined() as peer:
        for _ in range(2):
            await peer.send(f'{{"id":7,"event":"leave-retreat","data":"{SLUG}"}}')
        await peer.call("leave-retreat", SLUG)
        assert [got["id"] for got in peer.received if "status" in got] == [7, 7, 1]


# What is no event


@pytest.mark.parametrize(
    "text",
    ["", "x", "{", "[]", "null", "5", '"join-retreat"', "{}", '{"event":5}', '{"event":null}',
     '{"data":{}}', '{"id":1}x', '{"event":"leave-retreat","data":NaN}', "\ufeff{}", "{}" * 2,
     '{"event":"x","data":' + "[" * 50_000 + "]" * 50_000 + "}"],
)  # fmt: skip
async def test_a_frame_that_is_no_event_is_answered_with_an_error_and_harms_nothing(
    text: str,
) -> None:
    async with plain_world() as here, here.joined() as peer:
        await peer.send(text)
        error = await peer.event("error")
        assert error["code"] == "VALIDATION_FAILED"
        assert error["event"] is None
        assert error["message"]
        assert (await peer.call("update-gbs-number", EDIT))["status"] == "OK"


@pytest.mark.parametrize(
    "rest", ["", ',"event":5', ',"data":{}', ',"event":"authenticate","data":"\\ud800"']
)
async def test_who_gives_an_id_gets_the_error_under_it(rest: str) -> None:
    async with plain_world() as here, here.joined() as peer:
        await peer.send(f'{{"id":"mine"{rest}}}')
        answer = await peer.answer("mine")
        assert (answer["status"], answer["code"]) == ("ERROR", "VALIDATION_FAILED")
        assert peer.named("error") == []


@pytest.mark.parametrize("event", ["no-such-event", "initial-data", "connect", ""])
async def test_an_unknown_event_is_refused(event: str) -> None:
    async with plain_world() as here, here.joined() as peer:
        assert (await peer.call(event, {}))["code"] == "VALIDATION_FAILED"


@pytest.mark.parametrize("event", ["join-retreat", "update-gbs-number", "authenticate"])
async def test_an_event_that_takes_data_is_refused_without_them(event: str) -> None:
    async with plain_world() as here, here.joined() as peer:
        await peer.send(json.dumps({"id": 1, "event": event}))
        answer = await peer.answer(1)
        assert answer["code"] == "VALIDATION_FAILED"
        assert answer["message"] == f"{event} takes data."


async def test_members_that_mean_nothing_are_ignored() -> None:
    async with plain_world() as here, here.joined() as peer:
        await peer.send(json.dumps({"v": 1, "id": 1, "event": "leave-retreat", "data": SLUG}))
        assert (await peer.answer(1))["status"] == "OK"


async def test_a_binary_frame_closes_the_connection() -> None:
    async with plain_world() as here, here.joined() as peer:
        await peer.send(b'{"id":1,"event":"leave-retreat","data":"2024-winter"}')
        assert (await peer.end())[0] == 1003


async def test_a_frame_that_is_too_large_closes_the_connection() -> None:
    async with plain_world(max_payload=1_000) as here, here.joined() as peer:
        await peer.send("x" * 1_001)
        assert (await peer.end())[0] == 1009


async def test_an_exception_is_answered_with_internal_and_the_connection_lives(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with plain_world() as here, here.joined() as peer:

        def broken(*_: object) -> None:
            raise RuntimeError("secret detail")

        with monkeypatch.context() as patch:
            patch.setattr(here.parts.rooms, "submit", broken)
            answer = await peer.call("update-gbs-number", EDIT)
        assert answer["code"] == "INTERNAL"
        assert "secret" not in answer["message"]
        assert (await peer.call("leave-retreat", SLUG))["status"] == "OK"


async def test_an_exception_at_the_join_closes_with_internal_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with plain_world() as here:

        async def broken(*_: object, **__: object) -> None:
            raise RuntimeError("secret detail")

        monkeypatch.setattr(here.parts.rooms, "join", broken)
        async with here.connect() as peer:
            assert await peer.end() == (1011, "INTERNAL")


# Tokens that expire


async def test_a_client_is_told_when_its_token_has_expired(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with plain_world() as here, here.joined(expires_in=60) as peer:
        await trio.sleep(60 + 29)
        assert peer.named("error") == []
        await trio.sleep(2)
        told = {"event": None, "code": "TOKEN_EXPIRED", "message": "Token expired"}
        assert await peer.event("error") == told
        assert (await peer.call("update-gbs-number", EDIT))["code"] == "TOKEN_EXPIRED"


async def test_without_a_new_token_the_connection_is_closed_a_minute_later(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with plain_world() as here, here.joined(expires_in=60) as peer:
        await trio.sleep(60 + 30 + 59)
        assert not peer.closed.is_set()
        await trio.sleep(2)
        assert await peer.end() == (4401, "TOKEN_EXPIRED")


async def test_a_token_among_the_subprotocols_expires_as_one_in_the_header_does(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with plain_world() as here:
        offered = ["gbs.v1", f"bearer.{here.parts.token(expires_in=60)}"]
        async with here.connect_with(subprotocols=offered) as peer:
            await trio.sleep(60 + 31)
            assert len(peer.named("error")) == 1
            await trio.sleep(60)
            assert await peer.end() == (4401, "TOKEN_EXPIRED")


async def test_with_a_new_token_in_time_everything_goes_on(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with plain_world() as here, here.joined(expires_in=60) as peer:
        await trio.sleep(60 + 31)
        answer = await peer.call("authenticate", {"token": here.parts.token()})
        assert (answer["status"], answer["data"]) == ("OK", None)
        await trio.sleep(120)
        assert (await peer.call("update-gbs-number", EDIT))["status"] == "OK"


async def test_another_users_token_is_refused() -> None:
    async with plain_world() as here, here.joined() as peer:
        answer = await peer.call("authenticate", {"token": here.parts.token(user_id=8)})
        assert answer["code"] == "INVALID_TOKEN"


async def test_a_cookie_that_has_expired_reads_on_and_does_not_edit(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with plain_world() as here, here.joined(user_id=8) as editor:
        cookie = {"Cookie": f"accessToken={here.parts.token(expires_in=60)}"}
        async with here.connect_with(headers=cookie) as reader:
            await trio.sleep(600)
            assert reader.named("error") == []
            await editor.call("update-gbs-number", EDIT)
            assert (await reader.event("lineup-updated"))["id"] == 2
            assert (await reader.call("update-gbs-number", EDIT))["code"] == "TOKEN_EXPIRED"


async def test_after_its_grace_a_connection_by_cookie_is_closed(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with plain_world(GatewayConfig(cookie_grace=3_600)) as here:
        cookie = {"Cookie": f"accessToken={here.parts.token(expires_in=60)}"}
        async with here.connect_with(headers=cookie) as peer:
            await trio.sleep(60 + 30 + 3_590)
            assert not peer.closed.is_set()
            await trio.sleep(20)
            assert await peer.end() == (4401, "TOKEN_EXPIRED")


# Shutdown


@pytest.mark.parametrize("code", [1001, 1012])
async def test_a_shutdown_closes_with_its_code_behind_what_waits(code: int) -> None:
    async with plain_world() as here, here.joined() as peer:
        await here.plain.shutdown(code)
        assert (await peer.end())[0] == code
        assert here.plain.statistics().connections == 0


async def test_a_join_under_way_at_a_shutdown_is_given_up() -> None:
    async with plain_world() as here:
        here.parts.store.loads_may_go_on = trio.Event()
        async with here.connect() as peer:
            await trio.testing.wait_all_tasks_blocked()
            await here.plain.shutdown()
            assert (await peer.end())[0] == 1001
            assert here.realtime.clients.statistics().clients == 0
        here.parts.store.loads_may_go_on.set()
