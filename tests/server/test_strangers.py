"""Clients without a token that take what they can get: who has one is served throughout."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
import trio

from gbs_actor.settings import Settings
from tests.gateway.peer import Peer, talking
from tests.server.running import Running, answer, running, settings, token

HANDSHAKE = b"GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: server.test\r\n%b\r\n"
UPGRADE = (
    b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: server.test\r\n"
    b"Upgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n%b\r\n"
)
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: server.test\r\n%b\r\n"
STRANGERS = [f"127.0.0.{number}" for number in range(2, 7)]


def narrow(**http: object) -> Settings:
    """Return settings with room for a hundred sessions."""
    made = settings()
    return made.model_copy(
        update={
            "socketio": made.socketio.model_copy(update={"max_connections": 100}),
            "http": made.http.model_copy(update=http),
        }
    )


async def status(server: Running, request: bytes, source: str, held: AsyncExitStack) -> bytes:
    """Send a request from an address on a connection that stays; return the status."""
    stream = await trio.open_tcp_stream(
        server.address.host, server.address.port, local_address=source
    )
    held.push_async_callback(trio.aclose_forcefully, stream)
    try:
        await stream.send_all(request)
        return bytes(await stream.receive_some(1_000))[9:12]
    except trio.BrokenResourceError:
        return b""


@asynccontextmanager
async def flooded(
    server: Running, requests: Sequence[tuple[bytes, str]]
) -> AsyncIterator[list[bytes]]:
    """Keep a connection for each request, and whatever it has opened."""
    async with AsyncExitStack() as held:
        yield [await status(server, request, source, held) for request, source in requests]


@asynccontextmanager
async def connecting(server: Running, source: str) -> AsyncIterator[Peer]:
    """Connect to the namespace from an address."""
    stream = await trio.open_tcp_stream(
        server.address.host, server.address.port, local_address=source
    )
    async with talking(stream, auth={"token": token()}) as peer:
        yield peer


@pytest.mark.parametrize(
    "request_", [HANDSHAKE, UPGRADE, HEALTH], ids=["polling", "websocket", "http"]
)
async def test_newcomers_are_served_while_five_addresses_take_what_they_get(
    request_: bytes,
) -> None:
    flood = [(request_ % b"", source) for source in STRANGERS * 40]
    async with running(using=narrow(http_connections=50)) as server, flooded(server, flood):
        for number in range(10, 20):
            async with connecting(server, f"127.0.0.{number}"):
                pass
        async with await server.stream() as http:
            assert (await answer(http, HEALTH % b""))[9:12] == b"200"


async def test_of_one_address_only_so_many_are_let_in() -> None:
    flood = [(HANDSHAKE % b"", "127.0.0.2")] * 30
    crowded = narrow(max_unauthenticated_per_address=20)
    async with running(using=crowded) as server, flooded(server, flood) as statuses:
        # Each holds a session, and the connection on which it was opened; the last one may
        # have come before the last connection was idle.
        assert 10 <= statuses.count(b"200") <= 11
        async with connecting(server, "127.0.0.3"):
            pass


async def test_behind_a_trusted_proxy_sessions_count_by_the_clients_address() -> None:
    flood = [
        (HANDSHAKE % (b"X-Forwarded-For: 198.51.100.%d\r\n" % (number // 10)), "127.0.0.2")
        for number in range(60)
    ]
    trusting = narrow(max_unauthenticated_per_address=5, trusted_proxies=("127.0.0.2",))
    async with running(using=trusting) as server, flooded(server, flood) as statuses:
        assert statuses.count(b"200") == 6 * 5


async def test_a_proxy_on_this_machine_that_is_not_trusted_is_reported_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    forwarded = b"X-Forwarded-For: 198.51.100.1\r\n"
    with caplog.at_level(logging.WARNING):
        async with running() as server, AsyncExitStack() as held:
            for _ in range(3):
                await status(server, HEALTH % forwarded, "127.0.0.1", held)
    assert caplog.text.count("is not among the trusted proxies") == 1
