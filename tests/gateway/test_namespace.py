"""``/gbs-lineup`` over Socket.IO: what only this transport has; for the rest see test_events."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing

from gbs_actor.auth import Role
from gbs_actor.contract.events import NAMESPACE
from gbs_actor.testing import PeerRefused
from tests.gateway.serving import SLUG, settings_with, world

EDIT = {"lineupId": 2, "gbsNumber": 3}


# Connecting


async def test_of_an_admitted_client_no_token_is_kept() -> None:
    async with world() as here, here.connect("socketio"):
        (socket,) = here.services.sockets.namespace(NAMESPACE).sockets
        assert socket.handshake.auth is None


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
        with pytest.raises(PeerRefused) as refused:
            async with here.connect_with_auth(auth):
                pass
        assert (refused.value.message, refused.value.code) == (message, code)


async def test_an_expired_token_is_refused() -> None:
    async with world() as here:
        token = here.token(expires_in=60)
        here.server.wall.advance(91)
        error = await here.refusal("socketio", token=token)
        assert error == ("TOKEN_EXPIRED", "Token expired")


async def test_a_role_that_may_not_read_is_refused() -> None:
    async with world(settings_with(reader_roles=(Role.LINEUP_STAFF,))) as here:
        error = await here.refusal("socketio", role=Role.ACCOUNT_STAFF)
        assert error == ("FORBIDDEN", "Forbidden")


async def test_a_cookie_lets_in_without_a_payload() -> None:
    async with world() as here, here.connect("socketio", cookie=here.token()) as peer:
        assert (await peer.call("join-retreat", SLUG))["status"] == "OK"


async def test_a_bad_token_in_the_payload_is_not_made_up_for_by_a_good_cookie() -> None:
    async with world() as here:
        headers = {"Cookie": f"accessToken={here.token()}"}
        code, _ = await here.refusal("socketio", token="x", headers=headers)
        assert code == "INVALID_TOKEN"


async def test_a_refused_connection_leaves_nothing_behind() -> None:
    async with world() as here:
        await here.refusal("socketio", token="x")
        assert here.clients.statistics().clients == 0


async def test_a_grant_that_takes_reading_away_refuses_the_join() -> None:
    async with world() as here, here.connect("socketio", user_id=51) as peer:
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
    async with world() as here, here.joined_by("socketio") as peer:
        await peer.send_raw(f"42{NAMESPACE},99{raw}")
        assert (await peer.reply(99))["code"] == "VALIDATION_FAILED"
        ack = await peer.call("update-gbs-number", {"lineupId": 2, "gbsNumber": 3})
        assert ack["status"] == "OK"


async def test_a_connection_too_many_is_closed_so_that_it_comes_back_later() -> None:
    config = settings_with(max_connections_per_user=2)
    async with world(config) as here, here.connect("socketio"), here.connect("socketio") as second:
        assert (await here.refusal("socketio"))[0] == 1013
        async with here.connect("socketio", user_id=8):
            assert here.clients.statistics().clients == 3
        assert here.clients.statistics().refused == 1
        await second.send_raw(f"41{NAMESPACE},")
        await trio.testing.wait_all_tasks_blocked()
        async with here.connect("socketio"):
            assert here.clients.statistics().clients == 2


# Tokens that expire


async def test_without_a_new_token_the_namespace_is_left_a_minute_later(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with world() as here, here.joined_by("socketio", expires_in=60) as peer:
        await trio.sleep(60 + 30 + 59)
        assert not peer.disconnected.is_set()
        await trio.sleep(2)
        assert peer.disconnected.is_set()
        assert not peer.closed.is_set()


async def test_after_its_grace_a_cookie_connection_is_closed_so_that_it_comes_back(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with (
        world(settings_with(cookie_grace=3_600)) as here,
        here.connect("socketio", cookie=here.token(expires_in=60)) as peer,
    ):
        await trio.sleep(60 + 30 + 3_590)
        assert not peer.closed.is_set()
        await trio.sleep(20)
        assert peer.closed.is_set()
        assert peer.close_code == 1012
        assert not peer.disconnected.is_set()
