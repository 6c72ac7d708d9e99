"""Requests for another protocol that stock Hypercorn does not cope with."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import MockClock

from gbs_actor.server.hypercorn import HttpServer
from gbs_actor.socketio import EngineApp, FrontDoor
from tests.apps.echo_socketio import echo_server
from tests.server.running import answer

HEALTH = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"
WEBSOCKET = (
    b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: here\r\nUpgrade: websocket\r\n"
    b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


@pytest.fixture
def clock() -> MockClock:
    return MockClock(autojump_threshold=0.03)


Dial = Callable[[], Awaitable[trio.SocketStream]]


@asynccontextmanager
async def serving() -> AsyncIterator[tuple[FrontDoor, Dial]]:
    server = echo_server()
    http = HttpServer(EngineApp(server), head_limit=16_384, max_payload=1_000, http_idle_timeout=60)
    door = FrontDoor({}, http.serve)
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    host, port = listeners[0].socket.getsockname()
    async with server.serving(), trio.open_nursery() as nursery:
        await nursery.start(door.serve, listeners)

        async def dial() -> trio.SocketStream:
            return await trio.open_tcp_stream(host, port)

        yield door, dial
        nursery.cancel_scope.cancel()


async def test_a_request_that_makes_no_sense_is_answered_whatever_it_wants_to_upgrade_to(
    clock: MockClock,
) -> None:
    async with serving() as (door, dial):
        stream = await dial()
        await stream.send_all(b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\n\r\n")
        assert (await stream.receive_some()).startswith(b"HTTP/1.1 400 ")
        await stream.aclose()
        await trio.sleep(1)
        assert door.statistics().connections == 0
        assert door.statistics().failures == 0


@pytest.mark.parametrize(
    "offer",
    [
        b"permessage-deflate; client_max_window_bits=x",
        b"x, permessage-deflate; client_max_window_bits",
    ],
)
async def test_no_extension_is_agreed_on_whatever_is_offered(
    clock: MockClock, caplog: pytest.LogCaptureFixture, offer: bytes
) -> None:
    async with serving() as (_, dial):
        stream = await dial()
        assert b" 404 " in await answer(stream, HEALTH)
        await stream.send_all(WEBSOCKET + b"Sec-WebSocket-Extensions: %b\r\n\r\n" % offer)
        agreed = await stream.receive_some()
        assert agreed.startswith(b"HTTP/1.1 101 ")
        assert b"sec-websocket-extensions" not in agreed.lower()
        await stream.aclose()
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize(
    "offer",
    [
        b"permessage-deflate; server_max_window_bits=",
        b"permessage-deflate; client_max_window_bits=15 folded",
        b";",
    ],
)
async def test_an_offer_that_is_malformed_fails_the_handshake(
    clock: MockClock, offer: bytes
) -> None:
    # RFC 6455 §9.1
    async with serving() as (_, dial):
        for data in ([], [HEALTH]):
            stream = await dial()
            for each in data:
                assert b" 404 " in await answer(stream, each)
            head = WEBSOCKET + b"Sec-WebSocket-Extensions: %b\r\n\r\n" % offer
            assert (await answer(stream, head)).startswith(b"HTTP/1.1 400 ")
            await stream.aclose()
