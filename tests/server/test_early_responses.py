"""Responses that do not wait for their request, on our own listener and under stock Hypercorn.

The clock jumps when nothing has happened on any socket for a while of real time.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any, cast

import hypercorn.trio
import pytest
import trio
from hypercorn.config import Config
from trio.testing import MockClock

from gbs_actor.server.hypercorn import HttpServer, awaiting_requests, limit_hypercorn
from gbs_actor.server.hypercorn.early_responses import REST_TIMEOUT
from gbs_actor.socketio import FrontDoor
from tests.server.running import everything

POST = b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
GET = b"GET /early HTTP/1.1\r\nHost: x\r\n\r\n"
EARLY = b"who are you?"

Dial = Callable[[], Any]
Serve = Callable[[], AbstractAsyncContextManager[Dial]]


@pytest.fixture
def clock() -> MockClock:
    return MockClock(autojump_threshold=0.03)


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answer without a look at the request; ``/attentive`` receives meanwhile, as Quart does."""
    if scope["type"] != "http":
        raise NotImplementedError

    async def listen() -> None:
        while (await receive())["type"] == "http.request":
            pass

    async with trio.open_nursery() as nursery:
        if scope["path"] == "/attentive":
            nursery.start_soon(listen)
        status = 408 if scope["path"] == "/late" else 401
        length = [(b"content-length", b"%d" % len(EARLY))]
        await send({"type": "http.response.start", "status": status, "headers": length})
        await send({"type": "http.response.body", "body": EARLY})
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def own() -> AsyncIterator[Dial]:
    http = HttpServer(
        awaiting_requests(app), head_limit=16_384, max_payload=1_000, http_idle_timeout=60
    )
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with trio.open_nursery() as nursery:
        await nursery.start(FrontDoor({}, http.serve).serve, listeners)
        yield partial(trio.open_tcp_stream, *listeners[0].socket.getsockname())
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def stock() -> AsyncIterator[Dial]:
    limit_hypercorn()
    config = Config()
    config.bind = ["127.0.0.1:0"]
    config.errorlog = None
    config.keep_alive_timeout = 60
    serve = partial(hypercorn.trio.serve, cast(Any, awaiting_requests(app)), config)
    async with trio.open_nursery() as nursery:
        (bound,) = await nursery.start(serve)
        host, _, port = bound.removeprefix("http://").rpartition(":")
        yield partial(trio.open_tcp_stream, host, int(port))
        nursery.cancel_scope.cancel()


@pytest.fixture(params=[own, stock])
def serve(request: pytest.FixtureRequest) -> Serve:
    serve: Serve = request.param
    return serve


async def response(stream: trio.abc.Stream) -> bytes:
    received = b""
    with trio.fail_after(20):
        while not received.endswith(EARLY):
            chunk = await stream.receive_some()
            assert chunk, received
            received += chunk
    return received


@pytest.mark.parametrize("path", [b"/early", b"/attentive"])
@pytest.mark.parametrize("size", [10, 1_000_000])
async def test_the_rest_is_read_and_the_connection_is_used_again(
    clock: MockClock, serve: Serve, path: bytes, size: int
) -> None:
    async with serve() as dial, await dial() as stream:
        for _ in range(3):
            await stream.send_all(POST % (path, size))
            await stream.send_all(bytes(size))
            assert b"connection: close" not in (await response(stream)).lower()
        await stream.send_all(GET)
        assert (await response(stream)).startswith(b"HTTP/1.1 401 ")
        assert trio.current_time() < REST_TIMEOUT


@pytest.mark.parametrize("path", [b"/early", b"/attentive"])
async def test_a_rest_that_does_not_come_ends_the_connection_behind_the_response(
    clock: MockClock, serve: Serve, path: bytes
) -> None:
    async with serve() as dial, await dial() as stream:
        began = trio.current_time()
        await stream.send_all(POST % (path, 10))
        assert b"connection: close" in (await response(stream)).lower()
        assert trio.current_time() - began == pytest.approx(REST_TIMEOUT, abs=0.5)
        assert await everything(stream) == b""


async def test_an_endless_rest_does_not_keep_the_response(clock: MockClock, serve: Serve) -> None:
    async with serve() as dial, await dial() as stream:
        began = trio.current_time()
        await stream.send_all(POST % (b"/early", 1_000_000_000))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_drip, stream)
            assert b"connection: close" in (await response(stream)).lower()
            nursery.cancel_scope.cancel()
        assert trio.current_time() - began < REST_TIMEOUT + 1


async def _drip(stream: trio.abc.Stream) -> None:
    while True:
        await stream.send_all(b"x")
        await trio.sleep(0.1)


async def test_a_refusal_of_what_comes_too_slowly_waits_no_longer(
    clock: MockClock, serve: Serve
) -> None:
    async with serve() as dial, await dial() as stream:
        began = trio.current_time()
        await stream.send_all(POST % (b"/late", 10))
        assert (await response(stream)).startswith(b"HTTP/1.1 408 ")
        assert trio.current_time() - began < REST_TIMEOUT / 2


async def test_a_request_without_a_body_is_answered_at_once(clock: MockClock, serve: Serve) -> None:
    async with serve() as dial, await dial() as stream:
        began = trio.current_time()
        for _ in range(3):
            await stream.send_all(GET)
            await response(stream)
        assert trio.current_time() - began < REST_TIMEOUT / 2


async def test_an_upgrade_to_http_2_is_ignored(clock: MockClock, serve: Serve) -> None:
    offer = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
    async with serve() as dial, await dial() as stream:
        for _ in range(2):
            await stream.send_all(GET.replace(b"\r\n\r\n", b"\r\n%b\r\n" % offer))
            assert (await response(stream)).startswith(b"HTTP/1.1 401 ")


async def test_the_preface_of_http_2_ends_its_connection(clock: MockClock, serve: Serve) -> None:
    async with serve() as dial, await dial() as stream:
        await stream.send_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0")
        received = await everything(stream)
        assert received.startswith((b"HTTP/1.1 4", b"HTTP/1.1 505 "))
