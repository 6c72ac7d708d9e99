"""``/gbs-lineup`` over Socket.IO: what only this transport has; for the rest see test_events."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
import trio
import trio.testing
import trio_websocket

from gbs_actor.auth import Role
from tests.gateway.composing import SLUG, settings_with
from tests.gateway.peer import NAMESPACE, Peer, Refused
from tests.gateway.world import world

EDIT = {"lineupId": 2, "gbsNumber": 3}


# Connecting


async def test_of_an_admitted_client_no_token_is_kept() -> None:
    async with world() as here, here.connect_socketio({"token": here.parts.token()}):
        (socket,) = here.sockets.namespace(NAMESPACE).sockets
        assert socket.handshake.auth is None


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
    async with world() as here:
        assert await refusal(here.connect_socketio(auth)) == {
            "message": message,
            "data": {"code": code},
        }


async def test_an_expired_token_is_refused() -> None:
    async with world() as here:
        token = here.parts.token(expires_in=60)
        here.parts.clock.advance(91)
        error = await refusal(here.connect_socketio({"token": token}))
        assert error == {"message": "Token expired", "data": {"code": "TOKEN_EXPIRED"}}


async def test_a_role_that_may_not_read_is_refused() -> None:
    async with world(readers=(Role.LINEUP_STAFF,)) as here:
        error = await refusal(here.connect_socketio(role=Role.ACCOUNT_STAFF))
        assert error == {"message": "Forbidden", "data": {"code": "FORBIDDEN"}}


async def test_a_cookie_lets_in_without_a_payload() -> None:
    async with world() as here, here.connect_socketio(cookie=here.parts.token()) as peer:
        assert (await peer.call("join-retreat", SLUG))["status"] == "OK"


async def test_a_bad_token_in_the_payload_is_not_made_up_for_by_a_good_cookie() -> None:
    async with world() as here:
        error = await refusal(here.connect_socketio({"token": "x"}, cookie=here.parts.token()))
        assert error["data"]["code"] == "INVALID_TOKEN"


async def test_a_refused_connection_leaves_nothing_behind() -> None:
    async with world() as here:
        await refusal(here.connect_socketio({"token": "x"}))
        assert here.realtime.clients.statistics().clients == 0


async def test_a_grant_that_takes_reading_away_refuses_the_join() -> None:
    async with world() as here, here.connect_socketio(user_id=51) as peer:
        assert (await peer.call("join-retreat", SLUG))["code"] == "FORBIDDEN"


# Events


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
    async with world() as here, here.joined_by_socketio() as peer:
        assert (await peer.call("", raw=raw))["code"] == "VALIDATION_FAILED"
        ack = await peer.call("update-gbs-number", {"lineupId": 2, "gbsNumber": 3})
        assert ack["status"] == "OK"


async def test_a_connection_too_many_is_closed_so_that_it_comes_back_later() -> None:
    config = settings_with(max_connections_per_user=2)
    async with world(config) as here, here.connect_socketio(), here.connect_socketio() as second:
        with pytest.raises(BaseExceptionGroup) as caught:
            async with here.connect_socketio():
                pytest.fail("it was let in")
        closed = caught.value.exceptions[0]
        assert isinstance(closed, trio_websocket.ConnectionClosed)
        assert closed.reason is not None
        assert closed.reason.code == 1013
        async with here.connect_socketio(user_id=8):
            assert here.realtime.clients.statistics().clients == 3
        assert here.realtime.clients.statistics().refused == 1
        await second.send(f"41{NAMESPACE},")
        await trio.testing.wait_all_tasks_blocked()
        async with here.connect_socketio():
            assert here.realtime.clients.statistics().clients == 2


# Tokens that expire


async def test_without_a_new_token_the_namespace_is_left_a_minute_later(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with world() as here, here.joined_by_socketio(expires_in=60) as peer:
        await trio.sleep(60 + 30 + 59)
        assert peer.named("disconnect") == []
        await trio.sleep(2)
        assert len(peer.named("disconnect")) == 1
        assert not peer.closed.is_set()


async def test_after_its_grace_a_cookie_connection_is_closed_so_that_it_comes_back(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with (
        world(settings_with(cookie_grace=3_600)) as here,
        here.connect_socketio(cookie=here.parts.token(expires_in=60)) as peer,
    ):
        await trio.sleep(60 + 30 + 3_590)
        assert not peer.closed.is_set()
        await trio.sleep(20)
        assert peer.closed.is_set()
        assert peer.close_code == 1012
        assert peer.named("disconnect") == []
