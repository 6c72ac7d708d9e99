"""How long an HTTP connection may take over what, through Hypercorn and over real sockets.

The clock jumps when nothing has happened on any socket for a while of real time.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from gbs_actor.concurrency import background
from gbs_actor.server.hypercorn import HttpServer
from gbs_actor.socketio import FrontDoor
from tests.gateway.serving import SLUG
from tests.server.running import everything, running, token

App = Callable[[Any, Any, Any], Awaitable[None]]

IDLE, REQUEST, WRITE = 60.0, 30.0, 20.0
POLL = 200.0
"""Seconds that ``/poll`` waits: longer than any limit."""


@pytest.fixture
def clock() -> MockClock:
    return MockClock(autojump_threshold=0.03)


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answer with the body; ``/poll`` late, ``/large`` with much, ``/half`` fails."""
    body = b""
    more = True
    while more:
        event = await receive()
        if event["type"] == "http.disconnect":
            return
        body += event["body"]
        more = event["more_body"]
    if scope["path"] == "/poll":
        await trio.sleep(POLL)
    if scope["path"] == "/half":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise OSError("meant to happen")
    if scope["path"] == "/large":
        body = bytes(1_000_000)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body, "more_body": False})


class Dial:
    """Connects to a server, whose front door can be looked at."""

    def __init__(self, door: FrontDoor, listener: trio.SocketListener) -> None:
        self.door = door
        self._address = listener.socket.getsockname()

    async def __call__(self) -> trio.SocketStream:
        return await trio.open_tcp_stream(*self._address)


@asynccontextmanager
async def serving() -> AsyncIterator[Dial]:
    http = HttpServer(app, head_limit=16_384, max_payload=1_000_000, http_idle_timeout=IDLE)
    door = FrontDoor(
        {}, http.serve, http_idle_timeout=IDLE, request_timeout=REQUEST, write_timeout=WRITE
    )
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with trio.open_nursery() as nursery:
        await nursery.start(door.serve, listeners)
        yield Dial(door, listeners[0])
        nursery.cancel_scope.cancel()
    assert http.statistics().failed_streams == 0


async def ask(stream: trio.SocketStream, request: bytes) -> tuple[bytes, float]:
    await stream.send_all(request)
    answer = b""
    while not answer.endswith(b"\r\n0\r\n\r\n"):
        received = await stream.receive_some()
        assert received
        answer += received
    return answer, trio.current_time()


async def test_a_poll_waits(clock: MockClock) -> None:
    async with serving() as dial:
        stream = await dial()
        for number in (1, 2):
            answer, at = await ask(stream, b"GET /poll HTTP/1.1\r\nHost: x\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 200")
            assert at == pytest.approx(number * POLL, abs=1)


@pytest.mark.parametrize("former", [0, 1])
@pytest.mark.parametrize(
    ("part", "limit"),
    [
        (b"POST /quick HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nx", REQUEST + 1),
        (b"GET /quick HTTP/1.1\r\nHost:", REQUEST),
    ],
    ids=["body", "head"],
)
async def test_half_a_request_is_given_up(
    clock: MockClock, former: int, part: bytes, limit: float
) -> None:
    if not former and part.startswith(b"GET"):
        limit = 10.0  # the front door's, for a first head
    async with serving() as dial:
        stream = await dial()
        for _ in range(former):
            await ask(stream, b"GET /quick HTTP/1.1\r\nHost: x\r\n\r\n")
            await trio.sleep(20)
        began = trio.current_time()
        await stream.send_all(part)
        while await stream.receive_some():
            pass
        # A refusal is followed by two seconds in which the client may take it.
        assert limit - 1 <= trio.current_time() - began <= limit + 3


@pytest.mark.parametrize("reset", [False, True])
async def test_a_client_that_leaves_an_idle_connection_gives_its_place_back(
    clock: MockClock, reset: bool
) -> None:
    async with serving() as dial:
        for _ in range(20):
            stream = await dial()
            await ask(stream, b"GET /quick HTTP/1.1\r\nHost: x\r\n\r\n")
            await trio.sleep(0.02)
            if reset:
                stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            await stream.aclose()
        await trio.sleep(2)
        assert dial.door.statistics().connections == 0


async def test_an_idle_connection_is_closed(clock: MockClock) -> None:
    async with serving() as dial:
        stream = await dial()
        await ask(stream, b"GET /quick HTTP/1.1\r\nHost: x\r\n\r\n")
        while await stream.receive_some():
            pass
        assert trio.current_time() == pytest.approx(IDLE, abs=1)


async def test_an_answer_that_fails_in_the_middle_does_not_look_complete(clock: MockClock) -> None:
    async with serving() as dial:
        stream = await dial()
        await stream.send_all(b"GET /half HTTP/1.1\r\nHost: x\r\n\r\n")
        received = await everything(stream)
        assert received.endswith(b"\r\n\r\n4\r\nhalf\r\n")
        assert trio.current_time() < 1


async def test_a_connection_is_used_again_after_a_long_pause(clock: MockClock) -> None:
    async with serving() as dial:
        stream = await dial()
        for _ in range(3):
            answer, _ = await ask(stream, b"GET /quick HTTP/1.1\r\nHost: x\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 200")
            await trio.sleep(IDLE - 5)


async def test_a_body_that_drips_is_refused_in_time(clock: MockClock) -> None:
    request = (
        f"POST /api/v1/retreat/{SLUG}/line-up/assign-gbs HTTP/1.1\r\nHost: x\r\n"
        f"Authorization: Bearer {token()}\r\nContent-Type: application/json\r\n"
        "Content-Length: 1000\r\n\r\n"
    )
    async with running() as server, await server.stream() as stream:
        await stream.send_all(request.encode())
        began = trio.current_time()

        async def drip() -> None:
            while True:
                await stream.send_all(b"x")
                await trio.sleep(5)

        async with background(drip):
            with trio.fail_after(100):
                received = await stream.receive_some()
        assert received.startswith(b"HTTP/1.1 408 ")
        assert trio.current_time() - began < 30 + 3
