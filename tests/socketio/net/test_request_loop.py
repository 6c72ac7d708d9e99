"""HTTP/1.1 at the front door: which requests are served there, and what of a connection is not."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from gbs_actor.socketio import FrontDoor, HttpResponse, HttpStream, SocketServer
from gbs_actor.socketio.net.http_exchange import ClientGone, HttpExchange, RequestHandler
from tests.socketio.peer import Duplex, MemoryListener

GET = b"GET /here/ HTTP/1.1\r\nHost: a\r\n\r\n"


async def echo(exchange: HttpExchange) -> HttpResponse:
    return HttpResponse(200, await exchange.read_body(100_000))


async def no_fallback(_stream: HttpStream) -> None:
    raise AssertionError


async def ignore_body(_exchange: HttpExchange) -> HttpResponse:
    await trio.lowlevel.checkpoint()
    return HttpResponse(401, b"no")


def post(body: bytes, length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    return b"POST /here/ HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%b" % (size, body)


@dataclass
class Service:
    """A front door, and what came through it."""

    door: FrontDoor
    listener: MemoryListener
    fallbacks: list[bytes] = field(default_factory=list)
    """The first bytes of each connection that went to the HTTP server."""

    def dial(self) -> Duplex:
        return self.listener.dial()


@asynccontextmanager
async def serving(handler: RequestHandler = echo, failures: int = 0) -> AsyncIterator[Service]:
    async def fallback(stream: HttpStream) -> None:
        service.fallbacks.append(bytes(await stream.receive_some()))

    door = FrontDoor({}, fallback, requests={"/here/": handler})
    service = Service(door, MemoryListener())
    async with trio.open_nursery() as nursery:
        await nursery.start(door.serve, [service.listener])
        yield service
        nursery.cancel_scope.cancel()
    assert door.statistics().failures == failures


async def until(stream: Duplex, end: bytes) -> bytes:
    received = b""
    while not received.endswith(end):
        part = await stream.receive_some()
        assert part, received
        received += part
    return received


async def until_closed(stream: Duplex) -> bytes:
    return b"".join([bytes(part) async for part in stream])


async def test_requests_of_a_connection_are_served_one_after_the_other(clock: MockClock) -> None:
    async with serving() as service:
        client = service.dial()
        for body in (b"one", b"two"):
            await client.send_all(post(body))
            assert (await until(client, body)).startswith(b"HTTP/1.1 200 OK\r\nDate: ")
        await client.send_all(post(b"three") + post(b"four"))
        received = await until(client, b"four")
        assert b"\r\n\r\nthreeHTTP/1.1 200 OK\r\n" in received
        assert b"Connection: close" not in received
    assert service.fallbacks == []


@pytest.mark.parametrize(
    "request_",
    [
        GET.replace(b"/here/", b"/there/"),
        GET.replace(b"GET", b"HEAD"),
        GET.replace(b"HTTP/1.1", b"HTTP/1.0"),
        GET.replace(b"\r\n\r\n", b"\r\nContent-Length: 3\r\n\r\nabc"),
        post(b"abc").replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n"),
        b"POST /here/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
)
@pytest.mark.parametrize("former", [0, 1])
async def test_what_is_not_common_goes_to_the_http_server_as_it_came(
    clock: MockClock, request_: bytes, former: int
) -> None:
    async with serving() as service:
        client = service.dial()
        for _ in range(former):
            await client.send_all(post(b"x"))
            await until(client, b"x")
        await client.send_all(request_ + b"behind")
        await until_closed(client)
    assert service.fallbacks == [request_ + b"behind"]


@pytest.mark.parametrize("former", [b"", post(b"x")])
@pytest.mark.parametrize("malformed", [b"G\0T / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\r\n\r\n"])
async def test_what_is_malformed_is_never_served(
    clock: MockClock, former: bytes, malformed: bytes
) -> None:
    async with serving() as service:
        client = service.dial()
        await client.send_all(former + malformed + GET)
        await until_closed(client)
    assert service.fallbacks == ([malformed + GET] if former else [])


@pytest.mark.parametrize("options", [b"close", b"Keep-Alive, Close"])
async def test_the_client_may_end_the_connection(clock: MockClock, options: bytes) -> None:
    async with serving() as service:
        client = service.dial()
        await client.send_all(GET.replace(b"\r\n\r\n", b"\r\nConnection: %b\r\n\r\n" % options))
        assert b"\r\nConnection: close\r\n" in await until_closed(client)


async def test_a_body_that_nobody_has_read_is_dropped(clock: MockClock) -> None:
    async with serving(ignore_body) as service:
        client = service.dial()
        for _ in range(2):
            await client.send_all(post(b"x" * 50_000))
            assert (await until(client, b"no")).startswith(b"HTTP/1.1 401 ")


async def test_one_that_does_not_come_ends_the_connection_after_the_response(
    clock: MockClock,
) -> None:
    async with serving(ignore_body) as service:
        client = service.dial()
        await client.send_all(post(b"x", 50_000))
        received = await until_closed(client)
        assert received.startswith(b"HTTP/1.1 401 ")
        assert b"\r\nConnection: close\r\n" in received
        assert trio.current_time() < 5


async def test_a_body_that_comes_too_slowly_ends_the_connection(clock: MockClock) -> None:
    async with serving() as service:
        client = service.dial()
        await client.send_all(post(b"x", 50))
        assert await until_closed(client) == b""
        assert 30 <= trio.current_time() <= 32


async def test_every_request_but_the_first_waits_for_its_turn_on_the_stream(
    clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns: list[bytes] = []
    async with serving() as service:

        async def turn(_peer: str | None, head: bytes | bytearray = b"") -> None:
            await trio.lowlevel.checkpoint()
            turns.append(bytes(head))

        monkeypatch.setattr(service.door._turns, "turn", turn)
        client = service.dial()
        await client.send_all(post(b"1") + post(b"2"))
        await until(client, b"2")
        await client.send_all(post(b"3"))
        await until(client, b"3")
    assert turns == [post(b"1") + post(b"2"), post(b"2"), post(b"3")]


async def test_a_body_that_is_given_up_as_too_slow_gets_its_response(clock: MockClock) -> None:
    async def give_up(exchange: HttpExchange) -> HttpResponse:
        with trio.move_on_after(30):
            await exchange.read_body(100)
        return HttpResponse(408, b"late")

    async with serving(give_up) as service:
        client = service.dial()
        await client.send_all(post(b""))
        await until(client, b"late")
        request = post(b"x", 50)
        await client.send_all(request[:20])
        await trio.sleep(0.1)
        await client.send_all(request[20:])
        assert (await until_closed(client)).endswith(b"late")


async def test_a_connection_that_is_reset_in_a_body_is_reported_to_the_handler() -> None:
    gone = trio.Event()

    async def note(exchange: HttpExchange) -> HttpResponse:
        try:
            return await echo(exchange)
        except ClientGone:
            gone.set()
            raise

    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    door = FrontDoor({}, no_fallback, requests={"/here/": note})
    async with trio.open_nursery() as nursery:
        await nursery.start(door.serve, listeners)
        with trio.fail_after(10):
            client = await trio.open_tcp_stream(*listeners[0].socket.getsockname())
            await client.send_all(post(b"x", 50))
            await wait_all_tasks_blocked(0.05)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            await client.aclose()
            await gone.wait()
        nursery.cancel_scope.cancel()


async def test_a_handler_that_raises_is_answered_for(
    clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(_exchange: HttpExchange) -> HttpResponse:
        raise RuntimeError("secret")

    async with serving(fail, failures=1) as service:
        client = service.dial()
        await client.send_all(GET)
        received = await until_closed(client)
        assert received.startswith(b"HTTP/1.1 500 ")
        assert b"secret" not in received
    assert "a connection failed" in caplog.text


async def test_an_idle_connection_is_closed(clock: MockClock) -> None:
    async with serving() as service:
        client = service.dial()
        await client.send_all(post(b"x"))
        await until(client, b"x")
        assert await until_closed(client) == b""
        assert trio.current_time() == pytest.approx(75, abs=1)
    assert service.door.statistics().connections == 0


async def test_drain_waits_for_a_response_and_closes_idle_connections(clock: MockClock) -> None:
    async def slow(_exchange: HttpExchange) -> HttpResponse:
        await trio.sleep(1)
        return HttpResponse(200, b"slow")

    async with serving(slow) as service:
        idle, waiting = service.dial(), service.dial()
        await idle.send_all(GET)
        await until(idle, b"slow")
        await waiting.send_all(GET)
        await wait_all_tasks_blocked()
        service.door.stop_accepting()
        await service.door.drain(10)
        assert await until_closed(idle) == b""
        assert (await until_closed(waiting)).endswith(b"slow")


# Long-polling


@pytest.mark.parametrize("half", [False, True])
async def test_a_client_that_leaves_its_poll_ends_its_session(clock: MockClock, half: bool) -> None:
    server = SocketServer()
    async with server.serving(), serving(server.serve_http) as service:
        poll = GET.replace(b"/here/", b"/here/?EIO=4&transport=polling")
        client = service.dial()
        await client.send_all(poll)
        opened = await until(client, b"}")
        sid = json.loads(opened.partition(b"\r\n\r\n0")[2])["sid"]
        await client.send_all(poll.replace(b"polling", b"polling&sid=" + sid.encode()))
        await wait_all_tasks_blocked()
        assert server.statistics().connections == 1
        await (client.send_eof() if half else client.aclose())
        await wait_all_tasks_blocked()
        assert server.statistics().closes == {"transport close": 1}
        assert service.door.statistics().connections == 0
