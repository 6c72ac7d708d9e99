"""How long an HTTP connection may take over what, through Hypercorn and over real sockets.

The clock jumps when nothing has happened on any socket for a while of real time.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import h2.config
import h2.connection
import h2.events
import pytest
import trio
from trio.testing import MockClock

from gbs_actor.server.hypercorn import HttpServer
from gbs_actor.socketio import FrontDoor
from tests.gateway.composing import SLUG
from tests.server.http2_client import http2 as speaking
from tests.server.running import running, token

App = Callable[[Any, Any, Any], Awaitable[None]]

IDLE, REQUEST, WRITE = 60.0, 30.0, 20.0
POLL = 200.0
"""Seconds that ``/poll`` waits: longer than any limit."""


@pytest.fixture
def clock() -> MockClock:
    return MockClock(autojump_threshold=0.03)


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answer with the body; ``/poll`` late, ``/large`` with much."""
    if scope["type"] == "lifespan":
        while True:
            event = (await receive())["type"]
            await send({"type": f"{event}.complete"})
            if event == "lifespan.shutdown":
                return
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
    async with http.running(), trio.open_nursery() as nursery:
        await nursery.start(door.serve, listeners)
        yield Dial(door, listeners[0])
        nursery.cancel_scope.cancel()
    assert http.statistics().failed_streams == 0


class Http2:
    """A client that says what it is told to, and notes what comes and when."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream
        self._h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
        self._news = trio.lowlevel.ParkingLot()
        self.ended: dict[int, float] = {}
        """When each answer was complete."""
        self.closed: float | None = None

    async def open(self, *, upgrade: bool = False) -> None:
        """Begin, with an upgrade from HTTP/1.1 if wished, which is the first request."""
        if not upgrade:
            self._h2.initiate_connection()
            await self.flush()
            return
        settings = self._h2.initiate_upgrade_connection()
        assert settings is not None
        await self._stream.send_all(
            b"GET /quick HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\n"
            b"Upgrade: h2c\r\nHTTP2-Settings: %b\r\n\r\n" % settings
        )
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            answer += await self._stream.receive_some(1)
        assert answer.startswith(b"HTTP/1.1 101 ")
        await self.flush()

    async def ask(self, method: str, path: str) -> int:
        stream_id = self._h2.get_next_available_stream_id()
        headers = [(":method", method), (":path", path), (":scheme", "http"), (":authority", "x")]
        self._h2.send_headers(stream_id, headers, end_stream=True)
        await self.flush()
        return stream_id

    async def open_window(self) -> None:
        self._h2.increment_flow_control_window(1)
        await self.flush()

    async def answered(self, *stream_ids: int) -> None:
        """Wait until these answers are complete, or the connection has ended."""
        with trio.fail_after(1_000):
            while self.closed is None and not set(stream_ids) <= set(self.ended):
                await self._news.park()

    async def end(self) -> float:
        """Wait until the server has ended the connection; return when."""
        with trio.fail_after(1_000):
            while self.closed is None:
                await self._news.park()
        return self.closed

    async def flush(self) -> None:
        await self._stream.send_all(self._h2.data_to_send())

    async def read(self) -> None:
        """Read until the server ends the connection."""
        try:
            while data := await self._stream.receive_some():
                for event in self._h2.receive_data(data):
                    if isinstance(event, h2.events.StreamEnded):
                        assert event.stream_id is not None
                        self.ended[event.stream_id] = trio.current_time()
                        self._news.unpark_all()
                await self.flush()
        except trio.BrokenResourceError:
            pass
        self.closed = trio.current_time()
        self._news.unpark_all()


@asynccontextmanager
async def http2(stream: trio.SocketStream, *, upgrade: bool = False) -> AsyncIterator[Http2]:
    client = Http2(stream)
    await client.open(upgrade=upgrade)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.read)
        yield client
        nursery.cancel_scope.cancel()


async def test_polls_wait_over_http_2_while_other_requests_go_on(clock: MockClock) -> None:
    async with serving() as dial, http2(await dial()) as client:
        polls = [await client.ask("GET", "/poll"), await client.ask("POST", "/poll")]
        for _ in range(4):
            await trio.sleep(40)
            await client.open_window()
            quick = await client.ask("GET", "/quick")
            await client.answered(quick)
            assert quick in client.ended
        await client.answered(*polls)
        assert [client.ended[poll] for poll in polls] == pytest.approx([POLL, POLL], abs=1)
        assert await client.end() == pytest.approx(POLL + IDLE, abs=1)


@pytest.mark.parametrize("upgrade", [False, True])
async def test_a_connection_over_http_2_is_used_again_after_a_long_pause(
    clock: MockClock, upgrade: bool
) -> None:
    async with serving() as dial, http2(await dial(), upgrade=upgrade) as client:
        await client.ask("GET", "/quick")
        await trio.sleep(1)
        await client.open_window()
        await trio.sleep(REQUEST + 10)
        second = await client.ask("GET", "/quick")
        await client.answered(second)
        assert second in client.ended


async def http1(stream: trio.SocketStream, request: bytes) -> tuple[bytes, float]:
    await stream.send_all(request)
    answer = b""
    while not answer.endswith(b"\r\n0\r\n\r\n"):
        received = await stream.receive_some()
        assert received
        answer += received
    return answer, trio.current_time()


async def test_a_poll_waits_over_http_1(clock: MockClock) -> None:
    async with serving() as dial:
        stream = await dial()
        for number in (1, 2):
            answer, at = await http1(stream, b"GET /poll HTTP/1.1\r\nHost: x\r\n\r\n")
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
async def test_half_a_request_over_http_1_is_given_up(
    clock: MockClock, former: int, part: bytes, limit: float
) -> None:
    if not former and part.startswith(b"GET"):
        limit = 10.0  # the front door's, for a first head
    async with serving() as dial:
        stream = await dial()
        for _ in range(former):
            await http1(stream, b"GET /quick HTTP/1.1\r\nHost: x\r\n\r\n")
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
            await http1(stream, b"GET /quick HTTP/1.1\r\nHost: x\r\n\r\n")
            await trio.sleep(0.02)
            if reset:
                stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            await stream.aclose()
        await trio.sleep(2)
        assert dial.door.statistics().connections == 0


async def test_an_idle_connection_over_http_1_is_closed(clock: MockClock) -> None:
    async with serving() as dial:
        stream = await dial()
        await http1(stream, b"GET /quick HTTP/1.1\r\nHost: x\r\n\r\n")
        while await stream.receive_some():
            pass
        assert trio.current_time() == pytest.approx(IDLE, abs=1)


async def test_a_body_that_drips_over_http_2_is_refused_and_ends_no_other_request(
    clock: MockClock,
) -> None:
    target = f"/api/v1/retreat/{SLUG}/line-up/assign-gbs"
    fields = (("authorization", f"Bearer {token()}"), ("content-type", "application/json"))
    async with running() as server, speaking(await server.stream_below()) as client:
        slow = await client.ask("POST", target, *fields, end=False)
        begun = trio.current_time()
        while not client.answers[slow].over:
            await client.send(slow, b"x")
            await trio.sleep(5)
        assert client.answers[slow].status == 408
        assert trio.current_time() - begun < 30 + 2 + 2 * 5
        assert (await client.request("GET", "/healthz")).status == 200
        assert not client.goaways
