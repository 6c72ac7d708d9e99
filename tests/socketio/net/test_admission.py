"""Which connections the front door serves, and which of them make room."""

from __future__ import annotations

import errno
from collections.abc import Awaitable, Callable
from contextlib import ExitStack

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from gbs_actor.socketio import (
    ConnectionLimit,
    ConnectionLimitReached,
    FrontDoor,
    HttpStream,
    TrustedProxies,
    UnauthenticatedLimit,
)
from gbs_actor.socketio.net.front_door.admission import Admission
from tests.socketio.net.test_front_door import opened, read_all
from tests.socketio.peer import Duplex, MemoryListener

REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


def http(work: Callable[[], Awaitable[None]] = trio.lowlevel.checkpoint) -> object:
    """Return a server of HTTP that keeps its connections; ``work`` is done for each request."""

    async def serve(stream: HttpStream) -> None:
        while await stream.receive_some():
            with stream.answering() as arrived:
                arrived()
                await work()
                await stream.send_all(RESPONSE)

    return serve


def door_of(fallback: object, total: int, *, connections: int = 100) -> FrontDoor:
    assert callable(fallback)
    return FrontDoor(
        {}, fallback, connections=connections, unauthenticated=UnauthenticatedLimit(total, total)
    )


async def answer(stream: Duplex) -> bytes:
    """Send a request, and return the beginning of its response."""
    await stream.send_all(REQUEST)
    return bytes(await stream.receive_some(1_000))[9:12]


async def test_idle_connections_are_limited(clock: MockClock) -> None:
    listener = MemoryListener()
    async with opened(door_of(http(), 2), [listener]):
        clients = [listener.dial() for _ in range(3)]
        assert [await answer(client) for client in clients] == [b"200", b"200", b"503"]


async def test_an_idle_connection_of_more_than_two_seconds_makes_room(clock: MockClock) -> None:
    listener = MemoryListener()
    door = door_of(http(), 2)
    async with opened(door, [listener]):
        first, second = listener.dial(), listener.dial()
        assert await answer(first) == b"200"
        await trio.sleep(1)
        assert await answer(second) == b"200"
        assert await answer(first) == b"200"  # it has begun to be idle anew
        await trio.sleep(2)
        third = listener.dial()
        assert await answer(third) == b"200"
        assert await read_all(second) == b""
        assert await answer(first) == b"200"
        assert door.statistics().evicted == 1
        assert door.statistics().failures == 0


async def test_a_connection_does_not_count_while_its_request_is_in_flight(
    clock: MockClock,
) -> None:
    listener = MemoryListener()
    release = trio.Event()
    door = door_of(http(release.wait), 1)
    async with opened(door, [listener]):
        clients = []
        for _ in range(3):
            clients.append(listener.dial())
            await clients[-1].send_all(REQUEST)
            await wait_all_tasks_blocked()
        release.set()
        assert [bytes(await each.receive_some(1_000)) for each in clients] == [RESPONSE] * 3
        await wait_all_tasks_blocked()
        # Only one of them has room as an idle connection.
        assert door.statistics().http_connections == 1


async def test_a_full_server_closes_the_oldest_idle_connection(clock: MockClock) -> None:
    listener = MemoryListener()
    door = door_of(http(), 100, connections=2)
    async with opened(door, [listener]):
        first, second = listener.dial(), listener.dial()
        assert [await answer(each) for each in (first, second)] == [b"200", b"200"]
        assert await answer(listener.dial()) == b"503"
        await trio.sleep(2)
        assert await answer(listener.dial()) == b"200"
        assert await read_all(first) == b""
        assert await answer(second) == b"200"


async def test_connections_of_a_trusted_proxy_make_no_room(clock: MockClock) -> None:
    listener = MemoryListener()
    limit = UnauthenticatedLimit(1, 1)
    fallback = http()
    assert callable(fallback)
    door = FrontDoor({}, fallback, unauthenticated=limit, trusted_proxies=TrustedProxies(["unix"]))
    async with opened(door, [listener]):
        assert [await answer(listener.dial()) for _ in range(5)] == [b"200"] * 5
        assert len(limit) == 0


async def test_nobody_makes_room_for_an_address_that_is_refused_anyway(clock: MockClock) -> None:
    unauthenticated = UnauthenticatedLimit(10, 2)
    limit = ConnectionLimit(3, 10)
    admission = Admission(limit, unauthenticated, TrustedProxies())
    with ExitStack() as held:
        held.enter_context(admission.admit("192.0.2.1"))
        await trio.sleep(2)
        for _ in range(2):
            held.enter_context(admission.admit("192.0.2.2"))
        with pytest.raises(ConnectionLimitReached) as full:
            admission.admit("192.0.2.2")
        assert full.value.of_address
        assert unauthenticated.statistics().evicted == 0
        held.enter_context(admission.admit("192.0.2.3"))
        assert unauthenticated.statistics().evicted == 1
    assert (len(limit), len(unauthenticated)) == (0, 0)


class Exhausted(MemoryListener):
    """Accepts nothing while there are no descriptors."""

    def __init__(self) -> None:
        super().__init__()
        self.free = 0

    async def accept(self) -> Duplex:
        stream = await super().accept()
        if not self.free:
            self._send.send_nowait(stream)
            raise OSError(errno.EMFILE, "Too many open files")
        return stream


async def test_without_descriptors_idle_connections_are_closed_for_newcomers(
    clock: MockClock,
) -> None:
    listener = Exhausted()
    door = door_of(http(), 100)
    async with opened(door, [listener]):
        listener.free = 1
        idle = [listener.dial() for _ in range(3)]
        assert [await answer(each) for each in idle] == [b"200"] * 3
        listener.free = 0
        newcomer = listener.dial()
        await newcomer.send_all(REQUEST)
        await wait_all_tasks_blocked()
        assert [await read_all(each) for each in idle] == [b""] * 3
        listener.free = 1
        assert bytes(await newcomer.receive_some(1_000)) == RESPONSE
        assert door.statistics().accept_failures == 1
