"""WebSockets that do not come to a stream of our own: those on a reused connection."""

from __future__ import annotations

import pytest
import trio

from gbs_actor.settings import Settings
from tests.gateway.peer import Refused, talking
from tests.gateway.plain_peer import Rejected, talking_plainly
from tests.gateway.serving import SLUG
from tests.server.running import Running, answer, everything, running, settings, token

HEALTH = b"GET /healthz HTTP/1.1\r\nHost: here\r\n\r\n"


async def test_an_upgrade_on_a_reused_connection_is_served() -> None:
    async with running() as server, server.connect() as other:
        await other.call("join-retreat", SLUG)
        stream = await server.stream()
        assert b"200" in await answer(stream, HEALTH)
        async with talking(stream, auth={"token": token()}) as peer:
            joined = await peer.call("join-retreat", SLUG)
            assert len(joined["data"]) == 6
            edited = await peer.call("update-gbs-number", {"lineupId": 2, "gbsNumber": 3})
            assert edited["status"] == "OK"
            assert (await other.event("lineup-updated"))["gbsNumber"] == 3
            await other.call("update-gbs-number", {"lineupId": 3, "gbsNumber": 3})
            await peer.wait_for(
                lambda got: got.name == "lineup-updated" and got.payload["revision"] == 2
            )


async def test_it_is_refused_there_as_anywhere() -> None:
    async with running() as server:
        stream = await server.stream()
        await answer(stream, HEALTH)
        try:
            async with talking(stream, auth={"token": "nonsense"}):
                raise AssertionError("was let in")
        except* Refused as group:
            (refused,) = group.exceptions
            assert isinstance(refused, Refused)
            assert refused.error["data"] == {"code": "INVALID_TOKEN"}


async def test_it_is_told_of_the_shutdown() -> None:
    async with running() as server:
        stream = await server.stream()
        await answer(stream, HEALTH)
        async with talking(stream, auth={"token": token()}) as peer:
            server.scope.cancel()
            with trio.fail_after(10):
                await peer.closed.wait()
            assert peer.close_code == 1001


# Plain WebSockets


KEY = "dGhlIHNhbXBsZSBub25jZQ=="
PING = b"\x89\x00"
PLAIN = f"/ws/retreats/{SLUG}"
EDIT = {"lineupId": 2, "gbsNumber": 3}


async def reused(server: Running) -> trio.abc.Stream:
    """Return a connection on which something was asked already."""
    stream = await server.stream()
    assert b"200" in await answer(stream, HEALTH)
    return stream


async def test_a_plain_websocket_on_a_reused_connection_is_served() -> None:
    async with running() as server, server.connect() as page:
        await page.call("join-retreat", SLUG)
        offered = ["gbs.v1", f"bearer.{token()}"]
        async with talking_plainly(await reused(server), SLUG, subprotocols=offered) as peer:
            assert peer.websocket.subprotocol == "gbs.v1"
            assert len(await peer.event("initial-data")) == 6
            assert (await peer.call("update-gbs-number", EDIT))["status"] == "OK"
            assert (await page.event("lineup-updated"))["gbsNumber"] == 3


@pytest.mark.parametrize(
    ("slug", "bearer", "code"),
    [("none", None, 4404), (SLUG, "nonsense", 4401)],
)
async def test_it_is_closed_there_with_the_same_codes(
    slug: str, bearer: str | None, code: int
) -> None:
    async with running() as server:
        stream = await reused(server)
        async with talking_plainly(stream, slug, token=bearer or token()) as peer:
            assert (await peer.end())[0] == code


async def test_a_foreign_origin_is_refused_there_before_the_upgrade() -> None:
    async with running() as server:
        headers = {"Origin": "https://elsewhere.example", "Cookie": f"accessToken={token()}"}
        try:
            async with talking_plainly(await reused(server), SLUG, headers=headers):
                raise AssertionError("was let in")
        except* Rejected as group:
            (rejected,) = group.exceptions
            assert isinstance(rejected, Rejected)
            assert (rejected.status, rejected.body["code"]) == (403, "FORBIDDEN")


@pytest.mark.parametrize(("frame", "code"), [(b"binary", 1003), ("x" * 1_000_001, 1009)])
async def test_what_must_not_be_sent_closes_it_there_too(frame: str | bytes, code: int) -> None:
    async with (
        running() as server,
        talking_plainly(await reused(server), SLUG, token=token()) as peer,
    ):
        await peer.event("initial-data")
        await peer.send(frame)
        assert (await peer.end())[0] == code


def with_short_pings() -> Settings:
    basic = settings()
    short = basic.socketio.model_copy(update={"ping_interval": 0.3, "ping_timeout": 1.5})
    return basic.model_copy(update={"socketio": short})


async def test_a_client_there_that_answers_no_pings_is_dropped_and_one_that_does_is_not() -> None:
    async with (
        running(using=with_short_pings()) as server,
        talking_plainly(await reused(server), SLUG, token=token()) as answering,
        await reused(server) as silent,
    ):
        await answering.event("initial-data")
        request = (
            f"GET {PLAIN} HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer {token()}\r\n"
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: {KEY}\r\n\r\n"
        )
        await silent.send_all(request.encode())
        received = await everything(silent)
        assert received.startswith(b"HTTP/1.1 101")
        assert received.count(PING) >= 3
        assert (await answering.call("update-gbs-number", EDIT))["status"] == "OK"


async def test_a_plain_websocket_is_told_there_of_the_shutdown() -> None:
    async with (
        running() as server,
        talking_plainly(await reused(server), SLUG, token=token()) as peer,
    ):
        await peer.event("initial-data")
        server.scope.cancel()
        assert (await peer.end())[0] == 1001
