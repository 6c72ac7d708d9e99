"""Plain WebSocket: who gets in, and how the others learn why not."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

import pytest

from gbs_actor.auth import Role
from tests.gateway.plain_peer import PlainPeer, Rejected
from tests.gateway.serving import OTHER_SLUG, SLUG, settings_with, world

HOME, AWAY = "http://testserver", "https://elsewhere.example"


async def closing(connecting: AbstractAsyncContextManager[PlainPeer]) -> tuple[int, str | None]:
    """Return how a connection that was opened is closed; nothing comes before."""
    async with connecting as peer:
        end = await peer.end()
        assert peer.received == []
        return end


async def rejection(connecting: AbstractAsyncContextManager[PlainPeer]) -> Rejected:
    """Return the HTTP answer of a handshake that fails."""
    try:
        async with connecting:
            pytest.fail("it was let in")
    except* Rejected as group:
        rejected = group.exceptions[0]
        assert isinstance(rejected, Rejected)
    return rejected


# Tokens and where they are


async def test_a_token_in_the_header_lets_in() -> None:
    async with world() as here, here.plainly() as peer:
        assert len(await peer.event("initial-data")) == 6


async def test_a_token_in_the_cookie_lets_in() -> None:
    async with world() as here:
        cookie = {"Cookie": f"accessToken={here.token()}"}
        async with here.plainly_with(headers=cookie) as peer:
            assert len(await peer.event("initial-data")) == 6


async def test_a_token_among_the_subprotocols_lets_in_and_gbs_v1_is_selected() -> None:
    async with world() as here:
        offered = [f"bearer.{here.token()}", "gbs.v1"]
        async with here.plainly_with(subprotocols=offered) as peer:
            assert len(await peer.event("initial-data")) == 6
            assert peer.websocket.subprotocol == "gbs.v1"


async def test_a_token_as_the_only_subprotocol_is_selected_itself() -> None:
    async with world() as here:
        offered = [f"bearer.{here.token()}"]
        async with here.plainly_with(subprotocols=offered) as peer:
            assert len(await peer.event("initial-data")) == 6
            assert peer.websocket.subprotocol == offered[0]


async def test_of_the_tokens_among_the_subprotocols_the_first_that_is_one_decides() -> None:
    async with world() as here:
        offered = ["bearer.", f"bearer.{here.token()}", "bearer.bad"]
        async with here.plainly_with(subprotocols=offered) as peer:
            assert len(await peer.event("initial-data")) == 6
            assert peer.websocket.subprotocol == offered[1]


async def test_gbs_v1_can_be_had_without_a_token_in_the_subprotocols() -> None:
    async with world() as here:
        header = {"Authorization": f"Bearer {here.token()}"}
        async with here.plainly_with(headers=header, subprotocols=["other", "gbs.v1"]) as peer:
            assert len(await peer.event("initial-data")) == 6
            assert peer.websocket.subprotocol == "gbs.v1"


async def test_of_subprotocols_that_are_all_unknown_none_is_selected() -> None:
    async with world() as here:
        header = {"Authorization": f"Bearer {here.token()}"}
        async with here.plainly_with(headers=header, subprotocols=["other"]) as peer:
            assert len(await peer.event("initial-data")) == 6
            assert peer.websocket.subprotocol is None


@pytest.mark.parametrize(
    ("subprotocol", "header", "cookie", "code"),
    [
        ("bad", "good", "good", 4401),
        ("good", "bad", "bad", None),
        (None, "bad", "good", 4401),
        (None, "good", "bad", None),
        ("", "good", "bad", None),
    ],
)
async def test_the_first_token_of_subprotocol_header_and_cookie_decides(
    subprotocol: str | None, header: str, cookie: str, code: int | None
) -> None:
    async with world() as here:
        tokens = {"good": here.token(), "bad": "bad", "": ""}
        how = here.plainly_with(
            headers={
                "Authorization": f"Bearer {tokens[header]}",
                "Cookie": f"accessToken={tokens[cookie]}",
            },
            subprotocols=None if subprotocol is None else [f"bearer.{tokens[subprotocol]}"],
        )
        if code is None:
            async with how as peer:
                assert len(await peer.event("initial-data")) == 6
        else:
            assert await closing(how) == (code, "INVALID_TOKEN")


async def test_who_has_no_token_gets_the_reason_in_the_close_frame() -> None:
    async with world() as here:
        assert await closing(here.plainly_with()) == (4401, "AUTH_REQUIRED")


async def test_who_has_a_bad_token_gets_the_reason_in_the_close_frame() -> None:
    async with world() as here:
        end = await closing(here.plainly_with(token="x"))
        assert end == (4401, "INVALID_TOKEN")


async def test_whose_token_has_expired_gets_the_reason_in_the_close_frame() -> None:
    async with world() as here:
        token = here.token(expires_in=60)
        here.server.wall.advance(91)
        assert await closing(here.plainly_with(token=token)) == (4401, "TOKEN_EXPIRED")


# Roles and retreats


async def test_a_role_that_may_not_read_is_forbidden() -> None:
    async with world(settings_with(reader_roles=(Role.LINEUP_STAFF,))) as here:
        assert await closing(here.plainly(role=Role.ACCOUNT_STAFF)) == (4403, "FORBIDDEN")


async def test_a_token_for_another_retreat_is_forbidden() -> None:
    async with world() as here:
        assert await closing(here.plainly(retreats=(OTHER_SLUG,))) == (4403, "FORBIDDEN")


async def test_a_grant_that_takes_reading_away_is_obeyed() -> None:
    async with world() as here:
        assert await closing(here.plainly(user_id=51)) == (4403, "FORBIDDEN")


@pytest.mark.parametrize(
    "slug", ["none", "", "%01", "%ff", "x" * 201, f"{SLUG}/", f"{SLUG}%20", "%ED%A0%80"]
)
async def test_a_retreat_that_there_is_not_is_not_found(slug: str) -> None:
    async with world() as here:
        assert await closing(here.plainly(slug)) == (4404, "RETREAT_NOT_FOUND")


async def test_who_has_no_token_does_not_learn_which_retreats_there_are() -> None:
    async with world() as here:
        assert await closing(here.plainly_with("none")) == (4401, "AUTH_REQUIRED")
        assert await closing(here.plainly_with("%ff")) == (4401, "AUTH_REQUIRED")


async def test_a_slug_is_percent_decoded() -> None:
    async with world() as here, here.plainly("2024%2Dwinter?x=1") as peer:
        assert len(await peer.event("initial-data")) == 6


async def test_while_the_store_is_out_of_reach_one_is_asked_to_try_again() -> None:
    async with world() as here:
        here.store.begin_outage()
        assert await closing(here.plainly()) == (1013, "STORE_UNAVAILABLE")


async def test_who_is_not_let_in_leaves_nothing_behind() -> None:
    async with world() as here:
        await closing(here.plainly("none"))
        await closing(here.plainly_with(token="x"))
        assert here.clients.statistics().clients == 0
        assert here.services.plain().connections == 0
        assert (
            len(here.services.sockets.connection_limit) == len(here.clients._connection_limit) == 0
        )


# Origins


@pytest.mark.parametrize("origin", [AWAY, HOME.replace("http:", "https:")])
async def test_a_page_of_a_foreign_origin_with_the_cookie_is_refused_before_the_upgrade(
    origin: str,
) -> None:
    async with world() as here:
        headers = {"Cookie": f"accessToken={here.token()}", "Origin": origin}
        rejected = await rejection(here.plainly_with(headers=headers))
        assert (rejected.status, rejected.body["code"]) == (403, "FORBIDDEN")
        assert here.services.plain().refused == 1


async def test_a_page_of_our_own_origin_may_connect_with_the_cookie() -> None:
    async with world() as here:
        headers = {"Cookie": f"accessToken={here.token()}", "Origin": HOME}
        async with here.plainly_with(headers=headers) as peer:
            assert len(await peer.event("initial-data")) == 6


async def test_a_page_of_an_allowed_origin_may_connect_with_the_cookie() -> None:
    async with world(settings_with(allowed_origins=(AWAY,))) as here:
        headers = {"Cookie": f"accessToken={here.token()}", "Origin": AWAY}
        async with here.plainly_with(headers=headers) as peer:
            assert len(await peer.event("initial-data")) == 6


async def test_a_page_that_has_a_token_itself_may_be_of_any_origin() -> None:
    async with world() as here:
        headers = {"Cookie": "accessToken=of-somebody", "Origin": AWAY}
        offered = ["gbs.v1", f"bearer.{here.token()}"]
        async with here.plainly_with(headers=headers, subprotocols=offered) as peer:
            assert len(await peer.event("initial-data")) == 6


async def test_a_query_with_too_many_fields_is_a_bad_request() -> None:
    async with world() as here:
        query = "&".join(f"a{number}=1" for number in range(200))
        rejected = await rejection(here.plainly(f"{SLUG}?{query}"))
        assert (rejected.status, rejected.body["code"]) == (400, "VALIDATION_FAILED")
