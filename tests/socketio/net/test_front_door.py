"""The listener: who gets which connection, and what no connection can do to the others."""

from __future__ import annotations

import errno
import gc
import json
import logging
import os
import socket as stdlib_socket
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from gbs_actor.socketio import (
    CorsPolicy,
    FrontDoor,
    HttpStream,
    Request,
    TrustedProxies,
    encode_event,
)
from tests.apps.echo_socketio import echo_server
from tests.socketio.peer import TARGET, Close, Duplex, MemoryListener, Peer

UPGRADE = (
    b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: server.test\r\n"
    b"Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


class Rooms:
    """Handlers that note what they were given."""

    def __init__(self) -> None:
        self.upgrades: list[tuple[str, Request, bytes]] = []
        self.fallbacks: list[bytes] = []

    def handler(self, name: str) -> Any:
        async def handle(stream: Duplex, request: Request, leftover: bytes) -> None:
            self.upgrades.append((name, request, leftover))

        return handle

    async def fallback(self, stream: HttpStream) -> None:
        self.fallbacks.append(bytes(await stream.receive_some()))
        await stream.send_all(b"HTTP/1.1 200 OK\r\n\r\n")


@asynccontextmanager
async def opened(
    door: FrontDoor, listeners: Sequence[trio.abc.Listener[Any]]
) -> AsyncIterator[None]:
    async with trio.open_nursery() as nursery:
        await nursery.start(door.serve, listeners)
        yield
        nursery.cancel_scope.cancel()


async def read_all(stream: trio.abc.ReceiveStream) -> bytes:
    data = b""
    try:
        while received := await stream.receive_some(65_536):
            data += received
    except trio.BrokenResourceError:
        pass
    return data


@pytest.mark.parametrize(
    ("path", "handler"),
    [
        ("/socket.io/?EIO=4", "socket.io"),
        ("/socket.io/", "socket.io"),
        ("/ws/retreats/summer", "ws"),
        ("/ws/retreats/special/x", "special"),
        ("/other", None),
        ("/", None),
    ],
)
async def test_an_upgrade_goes_to_the_handler_with_the_longest_matching_path(
    clock: MockClock, path: str, handler: str | None
) -> None:
    rooms, listener = Rooms(), MemoryListener()
    door = FrontDoor(
        {
            "/ws/retreats/": rooms.handler("ws"),
            "/socket.io/": rooms.handler("socket.io"),
            "/ws/retreats/special/": rooms.handler("special"),
        },
        rooms.fallback,
    )
    async with opened(door, [listener]):
        head = UPGRADE.replace(b"/socket.io/?EIO=4&transport=websocket", path.encode())
        await listener.dial().send_all(head + b"behind")
        await wait_all_tasks_blocked()
    assert [name for name, _, _ in rooms.upgrades] == ([handler] if handler else [])
    assert rooms.fallbacks == ([] if handler else [head + b"behind"])
    for _, request, leftover in rooms.upgrades:
        assert request.target == path
        assert leftover == b"behind"


async def test_the_preface_of_http_2_is_answered_with_505_and_goes_to_nobody(
    clock: MockClock,
) -> None:
    rooms, listener = Rooms(), MemoryListener()
    door = FrontDoor({"/": rooms.handler("x")}, rooms.fallback)
    async with opened(door, [listener]):
        client = listener.dial()
        await client.send_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0")
        await client.send_eof()
        assert (await read_all(client)).startswith(b"HTTP/1.1 505 HTTP Version Not Supported")
    assert (rooms.upgrades, rooms.fallbacks) == ([], [])
    assert door.statistics().bad_heads == 1


@pytest.mark.parametrize(
    "data",
    [
        b"GET /socket.io/ HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST /socket.io/ HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
        b"GET /socket.io/ HTTP/1.0\r\nUpgrade: websocket\r\n\r\n",
        b"GET /socket.io/ HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nZZZ\r\n\xff\xff",
        b"GET / HTTP/1.1\nHost: a\n\n",
    ],
)
async def test_everything_else_goes_to_the_fallback_byte_by_byte(
    clock: MockClock, data: bytes
) -> None:
    rooms, listener = Rooms(), MemoryListener()
    door = FrontDoor({"/socket.io/": rooms.handler("x")}, rooms.fallback)
    async with opened(door, [listener]):
        await listener.dial().send_all(data)
        await wait_all_tasks_blocked()
    assert rooms.fallbacks == [data]


@pytest.mark.parametrize(
    ("data", "status"),
    [
        pytest.param(b"\x16\x03\x01\x02\x00 something", 400, id="TLS"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\n folded: header\r\n\r\n", 400, id="folded"),
        pytest.param(b"GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505, id="another version"),
    ],
)
async def test_what_is_malformed_is_refused_at_once_and_goes_to_nobody(
    clock: MockClock, data: bytes, status: int
) -> None:
    rooms, listener = Rooms(), MemoryListener()
    door = FrontDoor({"/socket.io/": rooms.handler("x")}, rooms.fallback)
    async with opened(door, [listener]):
        client = listener.dial()
        start = trio.current_time()
        await client.send_all(data)
        await client.send_eof()
        assert (await read_all(client)).startswith(b"HTTP/1.1 %d " % status)
        assert trio.current_time() == start
    assert (rooms.upgrades, rooms.fallbacks) == ([], [])
    assert door.statistics().bad_heads == 1


async def test_a_head_may_come_byte_by_byte(clock: MockClock) -> None:
    rooms, listener = Rooms(), MemoryListener()
    door = FrontDoor({"/socket.io/": rooms.handler("x")}, rooms.fallback)
    async with opened(door, [listener]):
        client = listener.dial()
        for byte in UPGRADE:
            await client.send_all(bytes([byte]))
            await wait_all_tasks_blocked()
    (upgrade,) = rooms.upgrades
    assert upgrade[1].target == "/socket.io/?EIO=4&transport=websocket"
    assert upgrade[2] == b""


async def test_half_a_head_is_given_up_in_time(clock: MockClock) -> None:
    listener = MemoryListener()
    door = FrontDoor({}, Rooms().fallback, head_timeout=10.0)
    async with opened(door, [listener]):
        client = listener.dial()
        await client.send_all(UPGRADE[:-3])
        answer = await client.receive_some(100)
        assert trio.current_time() == 10.0
        assert answer.startswith(b"HTTP/1.1 408 ")
        await client.aclose()
        await wait_all_tasks_blocked()
        statistics = door.statistics()
    assert (statistics.bad_heads, statistics.connections) == (1, 0)


async def test_a_connection_that_says_nothing_is_closed_without_a_word(clock: MockClock) -> None:
    listener = MemoryListener()
    door = FrontDoor({}, Rooms().fallback, head_timeout=10.0)
    async with opened(door, [listener]):
        assert await read_all(listener.dial()) == b""
        assert trio.current_time() == 10.0


async def test_dripping_does_not_prolong_the_time_for_a_head(clock: MockClock) -> None:
    listener = MemoryListener()
    door = FrontDoor({}, Rooms().fallback, head_timeout=10.0)
    async with opened(door, [listener]):
        client = listener.dial()
        async with trio.open_nursery() as nursery:

            async def drip() -> None:
                while True:
                    await client.send_all(b"x")
                    await trio.sleep(1)

            nursery.start_soon(drip)
            await client.receive_some(100)
            assert trio.current_time() == 10.0
            nursery.cancel_scope.cancel()


@pytest.mark.parametrize("ended", [True, False])
async def test_a_head_that_is_too_large_is_refused(clock: MockClock, ended: bool) -> None:
    rooms, listener = Rooms(), MemoryListener()
    door = FrontDoor({}, rooms.fallback, head_limit=1_000)
    async with opened(door, [listener]):
        client = listener.dial()
        end = b"\r\n\r\n" if ended else b""
        await client.send_all(b"GET / HTTP/1.1\r\nX: " + b"y" * 2_000 + end)
        assert (await client.receive_some(100)).startswith(b"HTTP/1.1 431 ")
    assert rooms.fallbacks == []


async def test_a_large_body_behind_a_small_head_is_no_large_head(clock: MockClock) -> None:
    rooms, listener = Rooms(), MemoryListener()
    door = FrontDoor({}, rooms.fallback, head_limit=1_000)
    async with opened(door, [listener]):
        await listener.dial().send_all(b"POST / HTTP/1.1\r\nHost: a\r\n\r\n" + b"y" * 2_000)
        await wait_all_tasks_blocked()
    assert len(rooms.fallbacks[0]) == 2_028


async def test_a_failing_connection_is_logged_and_the_next_one_is_served(
    clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    listener = MemoryListener()
    calls = 0

    async def fail(stream: HttpStream) -> None:
        nonlocal calls
        calls += 1
        async with trio.open_nursery():
            raise LookupError("a fault of the HTTP server")

    door = FrontDoor({}, fail)
    async with opened(door, [listener]):
        for _ in range(2):
            client = listener.dial()
            await client.send_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert await read_all(client) == b""
        assert door.statistics().failures == 2
    assert calls == 2
    assert "a fault of the HTTP server" in caplog.text


async def test_connections_beyond_the_limit_are_refused(clock: MockClock) -> None:
    listener = MemoryListener()
    door = FrontDoor({}, Rooms().fallback, connections=2)
    async with opened(door, [listener]):
        clients = [listener.dial() for _ in range(3)]
        await wait_all_tasks_blocked()
        assert (await clients[2].receive_some(100)).startswith(b"HTTP/1.1 503 ")
        await clients[2].aclose()
        await wait_all_tasks_blocked()
        assert door.statistics().refused == 1
        assert door.statistics().connections == 2


async def test_connections_that_are_being_refused_are_bounded_too(clock: MockClock) -> None:
    listener = MemoryListener()
    door = FrontDoor({}, Rooms().fallback, connections=1)
    async with opened(door, [listener]):
        clients = [listener.dial() for _ in range(103)]
        await wait_all_tasks_blocked()
        assert door.statistics().connections == 101
        # Those beyond are closed without a word, which costs nothing.
        assert await read_all(clients[101]) == b""
        for client in clients[1:101]:
            assert (await client.receive_some(100)).startswith(b"HTTP/1.1 503 ")
        # They take no place of those that are served.
        await clients[0].aclose()
        await wait_all_tasks_blocked()
        late = listener.dial()
        await late.send_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (await late.receive_some(100)).startswith(b"HTTP/1.1 200 ")
        assert trio.current_time() == 1  # how long a request is waited for that says who asks
        assert door.statistics().refused == 102


async def answers_to(port: int, sources: Sequence[str]) -> list[bytes]:
    """Connect from each address and ask, and leave all connections open until all have."""
    answers = []
    async with AsyncExitStack() as connected:
        for source in sources:
            stream = await trio.open_tcp_stream("127.0.0.1", port, local_address=source)
            await connected.enter_async_context(stream)
            await stream.send_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            answers.append((await stream.receive_some(100))[:12])
    return answers


@pytest.mark.parametrize("trusted", [[], ["127.0.0.2"]])
async def test_one_address_does_not_get_the_places_of_all(trusted: list[str]) -> None:
    async def keep(stream: HttpStream) -> None:
        await stream.receive_some()
        await stream.send_all(b"HTTP/1.1 200 OK\r\n\r\n")
        await stream.receive_some()

    door = FrontDoor({}, keep, connections_per_address=2, trusted_proxies=TrustedProxies(trusted))
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    served, refused = b"HTTP/1.1 200", b"HTTP/1.1 503"
    with trio.fail_after(10):
        async with opened(door, [listener]):
            answers = await answers_to(port, ["127.0.0.2"] * 3 + ["127.0.0.3"])
            assert answers == [served, served, served if trusted else refused, served]
            while door.statistics().connections:
                await trio.lowlevel.checkpoint()
            assert await answers_to(port, ["127.0.0.2"]) == [served]


@pytest.mark.parametrize("status", [408, 431, 503])
async def test_a_page_can_read_what_is_answered_before_http(clock: MockClock, status: int) -> None:
    page = "https://page.example"
    listener = MemoryListener()
    door = FrontDoor(
        {},
        Rooms().fallback,
        head_limit=100,
        connections=1,
        cors=CorsPolicy.of([page], ["GET"]),
    )
    async with opened(door, [listener]):
        if status == 503:
            listener.dial()
        answers = []
        for origin in (page, "https://evil.example"):
            client = listener.dial()
            rest = "x" * (100 if status == 431 else 1)
            await client.send_all(f"GET / HTTP/1.1\r\norigin: \t{origin} \r\n{rest}".encode())
            answers.append(await read_all(client))
            await client.aclose()
            await wait_all_tasks_blocked()
    for answer in answers:
        assert answer.startswith(b"HTTP/1.1 %d " % status)
        assert b"\r\nVary: Origin\r\n" in answer
    allowed = b"\r\nAccess-Control-Allow-Origin: https://page.example\r\n"
    assert [allowed in answer for answer in answers] == [True, False]
    assert b"evil" not in answers[1]


@pytest.mark.parametrize("status", [408, 431, 503])
async def test_what_is_answered_before_http_says_in_json_what_is_wrong(
    clock: MockClock, status: int
) -> None:
    listener = MemoryListener()
    door = FrontDoor({}, Rooms().fallback, head_limit=100, connections=1)
    async with opened(door, [listener]):
        if status == 503:
            listener.dial()
        client = listener.dial()
        await client.send_all(b"x" * (200 if status == 431 else 50))
        answer = await read_all(client)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert b"Content-Type: application/json" in head
    said = json.loads(body)
    assert said["code"].isupper()
    assert said["message"].endswith(".")


class FailingListener(trio.abc.Listener[Duplex]):
    """Fails at first, as an operating system does that is out of descriptors."""

    def __init__(self, number: int) -> None:
        self._errors = [OSError(number, "accept failed") for _ in range(3)]
        self._inner = MemoryListener()
        self.dial = self._inner.dial

    async def accept(self) -> Duplex:
        await trio.lowlevel.checkpoint()
        if self._errors:
            raise self._errors.pop()
        return await self._inner.accept()

    async def aclose(self) -> None:
        await self._inner.aclose()


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ECONNABORTED])
async def test_a_failing_accept_does_not_end_the_listener(clock: MockClock, number: int) -> None:
    rooms, listener = Rooms(), FailingListener(number)
    door = FrontDoor({}, rooms.fallback)
    async with opened(door, [listener]):
        await listener.dial().send_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await trio.sleep(1)
        assert door.statistics().accept_failures == 3
    assert len(rooms.fallbacks) == 1


async def test_after_accepting_has_stopped_open_connections_go_on(clock: MockClock) -> None:
    server = echo_server()
    listener = MemoryListener()
    door = FrontDoor({"/socket.io/": server.serve_websocket}, Rooms().fallback)
    async with server.serving(), trio.open_nursery() as nursery:
        await nursery.start(door.serve, [listener])
        peer = Peer(listener.dial())
        await peer.join()
        await peer.receive_event()
        door.stop_accepting()
        await wait_all_tasks_blocked()
        with pytest.raises(trio.BrokenResourceError):
            listener.dial()
        await peer.send('420["message-with-ack"]')
        assert await peer.receive_text() == "430[]"
        await peer.close()
    # The nursery was left, so serving has ended with its last connection.


async def test_draining_waits_for_the_request_under_way(clock: MockClock) -> None:
    listener = MemoryListener()

    async def slow(stream: HttpStream) -> None:
        await stream.receive_some()
        await trio.sleep(3)
        await stream.send_all(b"HTTP/1.1 200 OK\r\n\r\n")
        await stream.receive_some()

    door = FrontDoor({}, slow)
    async with opened(door, [listener]):
        client = listener.dial()
        await client.send_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await wait_all_tasks_blocked()
        await door.drain(30)
        assert 3 <= trio.current_time() < 4
        assert await client.receive_some(100) == b"HTTP/1.1 200 OK\r\n\r\n"


async def test_draining_takes_a_bounded_time(clock: MockClock) -> None:
    listener = MemoryListener()

    async def never(stream: HttpStream) -> None:
        await trio.sleep_forever()

    door = FrontDoor({}, never)
    async with opened(door, [listener]):
        await listener.dial().send_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await wait_all_tasks_blocked()
        await door.drain(30)
        assert trio.current_time() == 30


# The rest needs the real thing: sockets, and what a kernel does to them.


@asynccontextmanager
async def real_server() -> AsyncIterator[tuple[int, FrontDoor, Any]]:
    server = echo_server(close_timeout=0.1)
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    door = FrontDoor({"/socket.io/": server.serve_websocket}, Rooms().fallback)
    async with server.serving(), opened(door, listeners):
        yield listeners[0].socket.getsockname()[1], door, server
        await server.shutdown()


async def test_draining_closes_a_stream_that_is_used_behind_a_shield() -> None:
    waiting = trio.Event()
    ended: list[BaseException] = []

    async def stubborn(stream: HttpStream) -> None:
        await stream.receive_some()
        with trio.CancelScope(shield=True):
            waiting.set()
            try:
                await stream.receive_some()
            except trio.ClosedResourceError as error:
                ended.append(error)

    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    door = FrontDoor({}, stubborn)
    async with opened(door, listeners):
        client = await trio.open_tcp_stream(*listeners[0].socket.getsockname()[:2])
        await client.send_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await waiting.wait()
        await door.drain(0.1)
        await read_all(client)
    assert len(ended) == 1


async def test_a_conversation_over_tcp() -> None:
    async with real_server() as (port, _, server):
        peer = Peer(await trio.open_tcp_stream("127.0.0.1", port))
        await peer.join()
        await peer.receive_event()
        await peer.send('420["message-with-ack","' + "x" * 300_000 + '"]')
        assert len(await peer.receive_text()) == 300_000 + len('430[""]')
        (socket,) = server.namespace("/").sockets
        assert socket.handshake.remote_address == "127.0.0.1"
        assert await peer.close() == Close(1000)


async def test_the_kernels_queue_stays_small_so_that_slow_clients_conflate_here() -> None:
    async with real_server() as (port, _, server):
        peer = Peer(await trio.open_tcp_stream("127.0.0.1", port))
        await peer.join()
        (socket,) = server.namespace("/").sockets
        for revision in range(20_000):
            socket.deliver(
                encode_event("/", "row", revision % 80, revision, "x" * 600, key=revision % 80)
            )
        assert socket.statistics().queued <= 82
        assert socket.statistics().conflated > 1_000
        latest: dict[int, int] = {}
        while latest.get(79) != 19_999:
            name, *args = await peer.receive_event()
            if name == "row":
                latest[args[0]] = args[1]
        assert sorted(latest.values()) == list(range(19_920, 20_000))


@pytest.mark.parametrize(
    "data",
    [
        UPGRADE.replace(b"dGhlIHNhbXBsZSBub25jZQ==", b"malformed") + b"x" * 30,
        UPGRADE.replace(b"dGhlIHNhbXBsZSBub25jZQ==", b"AAAA") + b"x" * 30,
        UPGRADE.replace(b"Version: 13", b"Version: 8"),
        UPGRADE.replace(b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", b""),
        UPGRADE.replace(b"EIO=4", b"EIO=%ff%fe"),
    ],
)
async def test_a_malformed_upgrade_gets_an_http_error_and_no_trace(
    data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with real_server() as (port, door, _):
        client = await trio.open_tcp_stream("127.0.0.1", port)
        await client.send_all(data)
        await client.send_eof()
        answer = await read_all(client)
        assert answer.startswith(b"HTTP/1.1 4")
        assert b"Traceback" not in answer
        assert door.statistics().failures == 0
        await Peer(await trio.open_tcp_stream("127.0.0.1", port)).join()
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def reset(client: trio.SocketStream) -> None:
    """Close so that the other side gets a reset."""
    client.socket.setsockopt(
        stdlib_socket.SOL_SOCKET, stdlib_socket.SO_LINGER, struct.pack("ii", 1, 0)
    )
    client.socket.close()


@pytest.mark.parametrize("point", range(5))
async def test_a_reset_at_any_point_concerns_that_connection_only(
    point: int, caplog: pytest.LogCaptureFixture
) -> None:
    async with real_server() as (port, door, server):
        client = await trio.open_tcp_stream("127.0.0.1", port)
        peer = Peer(client)
        if point == 1:
            await client.send_all(UPGRADE[:50])
        if point == 2:
            await peer.upgrade(TARGET)
        if point >= 3:
            await peer.join()
        if point == 4:
            for number in range(20):
                await peer.send(f'42{number}["message-with-ack","{"x" * 50_000}"]')
        reset(client)
        other = Peer(await trio.open_tcp_stream("127.0.0.1", port))
        await other.join()
        with trio.fail_after(5):
            while server.statistics().connections > 1:
                server.namespace("/").emit("probe")
                await trio.testing.wait_all_tasks_blocked(0.01)
        assert door.statistics().failures == 0
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_the_descriptors_of_all_connections_are_given_back() -> None:
    async with real_server() as (port, door, _):
        gc.collect()  # what earlier tests left may close descriptors in between
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(20):
            peer = Peer(await trio.open_tcp_stream("127.0.0.1", port))
            await peer.join()
            await peer.close()
            await peer.stream.aclose()
        with trio.fail_after(5):
            while door.statistics().connections:
                await trio.testing.wait_all_tasks_blocked(0.01)
        assert len(os.listdir("/proc/self/fd")) == before
