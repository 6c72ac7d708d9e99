"""Plain WebSocket: what only this transport has; for the rest see test_events."""

from __future__ import annotations

import json
from typing import Any

import pytest
import trio
import trio.testing

from tests.gateway.serving import SLUG, settings_with, world

EDIT = {"lineupId": 2, "gbsNumber": 3}


# Rooms


async def test_connecting_joins_and_brings_the_rows_first() -> None:
    async with world() as here, here.joined_plainly() as peer:
        first = peer.received[0]
        assert first["event"] == "initial-data"
        assert len(first["data"]) == 6
        assert (first["revision"], first["full"]) == (0, True)
        assert isinstance(first["epoch"], str)


async def test_what_is_asked_before_the_rows_are_loaded_is_answered_behind_them() -> None:
    async with world() as here:
        here.store.loads_may_go_on = trio.Event()
        async with here.plainly() as peer:
            edit = await peer.begin("update-gbs-number", EDIT)
            await trio.testing.wait_all_tasks_blocked()
            assert peer.received == []
            here.store.loads_may_go_on.set()
            assert (await peer.reply(edit))["status"] == "OK"
            assert [name for name in peer.order() if name != "room-presence"] == [
                "initial-data",
                "lineup-updated",
                "reply",
            ]


# Events and their order


async def test_clients_of_both_protocols_see_the_same_updates() -> None:
    async with (
        world() as here,
        here.joined_plainly() as peer,
        here.joined_by("socketio", user_id=8) as page,
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
        world() as here,
        here.joined_plainly(name="이수진") as peer,
        here.joined_by("socketio", user_id=8) as page,
    ):
        answer = await peer.call("user-editing", {"lineupId": 2, "field": "lineupMemo"})
        assert (answer["status"], answer["data"]) == ("OK", None)
        mark = await page.event("user-editing")
        assert (mark["lineupId"], mark["userName"], mark["editing"]) == (2, "이수진", True)
        await page.call("user-editing", {"lineupId": 3})
        assert (await peer.event("user-editing"))["lineupId"] == 3
        assert len(peer.named("user-editing")) == 1


# Ids


@pytest.mark.parametrize(
    "identifier",
    ["0", '""', "null", "false", "1.5", "-0", '"\\u0000\\ud83d\\ude00"', '{"a": [1, null]}', "[]",
     "9" * 400],
)  # fmt: skip
async def test_any_json_value_is_an_id_and_comes_back_as_it_was(identifier: str) -> None:
    async with world() as here, here.joined_plainly() as peer:
        await peer.send(f'{{"event":"leave-retreat","data":"{SLUG}","id":{identifier}}}')
        answer = await peer.wait_for(lambda got: "status" in got)
        expected = json.loads(identifier)
        assert answer["id"] == expected
        assert type(answer["id"]) is type(expected)


async def test_requests_with_the_same_id_are_each_answered() -> None:
    async with world() as here, here.joined_plainly() as peer:
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
    async with world() as here, here.joined_plainly() as peer:
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
    async with world() as here, here.joined_plainly() as peer:
        await peer.send(f'{{"id":"mine"{rest}}}')
        answer = await peer.reply("mine")
        assert (answer["status"], answer["code"]) == ("ERROR", "VALIDATION_FAILED")
        assert peer.named("error") == []


async def test_a_name_that_socketio_reserves_is_an_unknown_event() -> None:
    async with world() as here, here.joined_plainly() as peer:
        assert (await peer.call("connect", {}))["code"] == "VALIDATION_FAILED"


@pytest.mark.parametrize("event", ["join-retreat", "update-gbs-number", "authenticate"])
async def test_an_event_that_takes_data_is_refused_without_them(event: str) -> None:
    async with world() as here, here.joined_plainly() as peer:
        await peer.send(json.dumps({"id": 1, "event": event}))
        answer = await peer.reply(1)
        assert answer["code"] == "VALIDATION_FAILED"
        assert answer["message"] == f"{event} takes data."


async def test_members_that_mean_nothing_are_ignored() -> None:
    async with world() as here, here.joined_plainly() as peer:
        await peer.send(json.dumps({"v": 1, "id": 1, "event": "leave-retreat", "data": SLUG}))
        assert (await peer.reply(1))["status"] == "OK"


async def test_a_binary_frame_closes_the_connection() -> None:
    async with world() as here, here.joined_plainly() as peer:
        await peer.send(b'{"id":1,"event":"leave-retreat","data":"2024-winter"}')
        assert (await peer.end())[0] == 1003


async def test_a_frame_that_is_too_large_closes_the_connection() -> None:
    async with world(settings_with(max_payload=2_000)) as here, here.joined_plainly() as peer:
        await peer.send("x" * 2_001)
        assert (await peer.end())[0] == 1009


async def test_an_exception_at_the_join_closes_with_internal_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with world() as here:

        async def broken(*_: object, **__: object) -> None:
            raise RuntimeError("secret detail")

        monkeypatch.setattr(here.rooms, "join", broken)
        async with here.plainly() as peer:
            assert await peer.end() == (1011, "INTERNAL")


# Tokens that expire


async def test_without_a_new_token_the_connection_is_closed_a_minute_later(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with world() as here, here.joined_plainly(expires_in=60) as peer:
        await trio.sleep(60 + 30 + 59)
        assert not peer.closed.is_set()
        await trio.sleep(2)
        assert await peer.end() == (4401, "TOKEN_EXPIRED")


async def test_a_token_among_the_subprotocols_expires_as_one_in_the_header_does(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with world() as here:
        offered = ["gbs.v1", f"bearer.{here.token(expires_in=60)}"]
        async with here.plainly_with(subprotocols=offered) as peer:
            await trio.sleep(60 + 31)
            assert len(peer.named("error")) == 1
            await trio.sleep(60)
            assert await peer.end() == (4401, "TOKEN_EXPIRED")


async def test_after_its_grace_a_connection_by_cookie_is_closed(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with world(settings_with(cookie_grace=3_600)) as here:
        cookie = {"Cookie": f"accessToken={here.token(expires_in=60)}"}
        async with here.plainly_with(headers=cookie) as peer:
            await trio.sleep(60 + 30 + 3_590)
            assert not peer.closed.is_set()
            await trio.sleep(20)
            assert await peer.end() == (4401, "TOKEN_EXPIRED")


# Shutdown


@pytest.mark.parametrize("code", [1001, 1012])
async def test_a_shutdown_closes_with_its_code_behind_what_waits(code: int) -> None:
    async with world() as here, here.joined_plainly() as peer:
        await here.server.composition.plain.shutdown(code)
        assert (await peer.end())[0] == code
        assert here.services.plain().connections == 0


async def test_a_join_under_way_at_a_shutdown_is_given_up() -> None:
    async with world() as here:
        here.store.loads_may_go_on = trio.Event()
        async with here.plainly() as peer:
            await trio.testing.wait_all_tasks_blocked()
            await here.server.composition.plain.shutdown()
            assert (await peer.end())[0] == 1001
            assert here.clients.statistics().clients == 0
        here.store.loads_may_go_on.set()
