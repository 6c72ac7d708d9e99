"""WebSockets on plain sockets: taken at their turn, without a task before."""

from __future__ import annotations

import gc
import os
import socket as stdlib
from collections.abc import Callable
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from gbs_actor.socketio import (
    FrontDoor,
    HttpResponse,
    Request,
    SocketServer,
    TrustedProxies,
    UnauthenticatedLimit,
)
from gbs_actor.socketio.net.front_door import first_request
from gbs_actor.socketio.net.front_door.admission import AdmittedConnection
from gbs_actor.socketio.net.front_door.fair_queue import FairQueue, QueuedWork
from gbs_actor.socketio.net.front_door.first_request import FirstRequest
from gbs_actor.socketio.net.sockets import Socket
from tests.apps.echo_socketio import echo_server
from tests.socketio.net.socket_listener import Kept, SocketListener
from tests.socketio.net.test_front_door import UPGRADE, Rooms, opened, read_all
from tests.socketio.peer import TARGET, Close, Duplex, Peer, Refused


class World:
    """A front door whose handlers note what they are given."""

    def __init__(self, answer: Callable[[], HttpResponse | None] | None = None, **options: Any):
        self.listener = SocketListener()
        self.taken: list[tuple[str | None, str, bytes]] = []
        self.served: list[bytes] = []
        self.kept: list[Kept] = []
        self.rooms = Rooms()
        self.unauthenticated = UnauthenticatedLimit(3, 2)
        self._answer = answer
        options = {"unauthenticated": self.unauthenticated, **options}
        self.door = FrontDoor(
            {"/socket.io/": self.serve, "/other/": self.serve},
            self.rooms.fallback,
            sockets={"/socket.io/": self.take},
            **options,
        )

    def take(
        self, socket: Socket, peer: str | None, request: Request, leftover: bytes
    ) -> Kept | HttpResponse | None:
        self.taken.append((peer, request.path, leftover))
        if self._answer is not None:
            return self._answer()
        self.kept.append(Kept(socket))
        return self.kept[-1]

    async def serve(self, stream: Duplex, request: Request, leftover: bytes) -> None:
        self.served.append(leftover)
        await stream.send_all(b"served")

    def assert_nothing_counted(self) -> None:
        statistics = self.door.statistics()
        assert (statistics.connections, statistics.waiting) == (0, 0)
        assert len(self.door._admission._limit) == 0
        assert not self.door._admission._limit._per_address
        assert len(self.unauthenticated) == 0


@pytest.fixture
def world() -> World:
    return World()


class Turns:
    """Withholds turns until they are released."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        run = FairQueue.run
        self.release = trio.Event()

        async def held(queue: FairQueue) -> None:
            await self.release.wait()
            await run(queue)

        patch.setattr(FairQueue, "run", held)


@pytest.fixture
def turns(monkeypatch: pytest.MonkeyPatch) -> Turns:
    return Turns(monkeypatch)


async def test_a_websocket_is_taken_by_its_socket(clock: MockClock, world: World) -> None:
    async with opened(world.door, [world.listener]):
        world.listener.dial(UPGRADE + b"behind")
        await wait_all_tasks_blocked()
        assert world.taken == [("192.0.2.1", "/socket.io/", b"behind")]
        assert world.served == []
        assert world.door.statistics().connections == len(world.door._admission._limit) == 1
        assert len(world.unauthenticated) == 0
        world.kept[0].drop()
        world.assert_nothing_counted()


async def test_what_waited_is_freed_at_its_turn(clock: MockClock, world: World) -> None:
    gc.collect()
    gc.disable()
    try:
        async with opened(world.door, [world.listener]):
            world.listener.dial(UPGRADE)
            await wait_all_tasks_blocked()
            assert len(world.taken) == 1
            kinds = (QueuedWork, FirstRequest, AdmittedConnection)
            assert not [each for each in gc.get_objects() if isinstance(each, kinds)]
    finally:
        gc.enable()


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param([b"", UPGRADE + b"behind"], id="late"),
        pytest.param([UPGRADE[:50], UPGRADE[50:] + b"behind"], id="in two parts"),
        pytest.param([UPGRADE.replace(b"socket.io", b"other") + b"behind"], id="another path"),
        pytest.param([b"\r\n" + UPGRADE + b"behind"], id="behind an empty line"),
    ],
)
async def test_another_beginning_goes_to_a_task(
    clock: MockClock, world: World, parts: list[bytes]
) -> None:
    async with opened(world.door, [world.listener]):
        client = world.listener.dial(parts[0])
        for part in parts[1:]:
            await wait_all_tasks_blocked()
            await client.send_all(part)
        assert await read_all(client) == b"served"
        assert world.taken == []
        assert world.served == [b"behind"]
        await wait_all_tasks_blocked()
        world.assert_nothing_counted()


@pytest.mark.parametrize(
    ("data", "response"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"HTTP/1.1 200 "),
        (b"GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n", b"HTTP/1.1 400 "),
        (UPGRADE.replace(b"Version: 13", b"Version: 8"), b"HTTP/1.1 426 "),
        (b"\x16\x03\x01\x02\x00 something", b"HTTP/1.1 400 "),
        (UPGRADE.replace(b"Host", b"X: " + b"x" * 1_000 + b"\r\nHost"), b"HTTP/1.1 431 "),
        (UPGRADE[:-2], b"HTTP/1.1 408 "),
        (b"", b""),
    ],
)
async def test_what_is_no_websocket_is_served_as_ever(
    clock: MockClock, data: bytes, response: bytes
) -> None:
    world = World(head_limit=1_000)
    async with opened(world.door, [world.listener]):
        client = world.listener.dial(data)
        assert (await client.receive_some(1_000)).startswith(response)
        await client.aclose()
        await trio.sleep(5)
        assert world.rooms.fallbacks == ([data] if b"200" in response else [])
        assert world.door.statistics().bad_heads == (b"200" not in response)
        world.assert_nothing_counted()


async def test_a_handler_can_leave_it_to_the_one_of_streams(clock: MockClock) -> None:
    world = World(answer=lambda: None)
    async with opened(world.door, [world.listener]):
        client = world.listener.dial(UPGRADE + b"behind")
        assert await read_all(client) == b"served"
        assert world.served == [b"behind"]
        await wait_all_tasks_blocked()
        world.assert_nothing_counted()


async def test_a_handler_can_refuse(clock: MockClock) -> None:
    world = World(answer=lambda: HttpResponse(403, b"no"))
    async with opened(world.door, [world.listener]):
        client = world.listener.dial(UPGRADE)
        assert (await client.receive_some(1_000)).startswith(b"HTTP/1.1 403 ")
        await client.aclose()
        await wait_all_tasks_blocked()
        assert world.served == []
        world.assert_nothing_counted()


async def test_a_handler_that_fails_ends_its_connection_only(
    clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise LookupError("a fault of the handler")

    world = World(answer=fail)
    async with opened(world.door, [world.listener]):
        for _ in range(2):
            world.listener.dial(UPGRADE)
        await wait_all_tasks_blocked()
        assert len(world.taken) == world.door.statistics().failures == 2
        world.assert_nothing_counted()
    assert "a fault of the handler" in caplog.text


async def test_a_fault_before_the_handler_ends_its_connection_only(
    clock: MockClock, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(head: bytes) -> Request:
        raise LookupError("a fault of the parser")

    async with opened(world.door, [world.listener]):
        with monkeypatch.context() as patch:
            patch.setattr(first_request, "parse_request", fail)
            assert await read_all(world.listener.dial(UPGRADE)) == b""
        world.assert_nothing_counted()
        assert world.door.statistics().failures == 1
        world.listener.dial(UPGRADE)
        await wait_all_tasks_blocked()
        assert len(world.taken) == 1


@pytest.mark.parametrize(
    "options",
    [{"connections": 1}, {"connections_per_address": 1}],
)
async def test_the_limits_refuse_it(clock: MockClock, options: dict[str, Any]) -> None:
    world = World(**options)
    async with opened(world.door, [world.listener]):
        world.listener.dial(UPGRADE)
        await wait_all_tasks_blocked()
        client = world.listener.dial(UPGRADE)
        assert (await client.receive_some(1_000))[9:12] == b"503"
        assert world.door.statistics().refused == len(world.taken) == 1


async def test_one_that_waits_for_its_turn_makes_room(
    clock: MockClock, world: World, turns: Turns
) -> None:
    async with opened(world.door, [world.listener]):
        old = world.listener.dial(UPGRADE)
        await wait_all_tasks_blocked()
        statistics = world.door.statistics()
        assert (statistics.connections, statistics.waiting) == (1, 1)
        await trio.sleep(2)
        for _ in range(2):
            world.listener.dial(UPGRADE)
        await wait_all_tasks_blocked()
        assert await read_all(old) == b""
        assert world.door.statistics().waiting == 2
        turns.release.set()
        await wait_all_tasks_blocked()
        assert len(world.taken) == 2
        assert world.door.statistics().evicted == 1


async def test_a_cancelled_door_closes_those_that_wait(
    clock: MockClock, world: World, turns: Turns
) -> None:
    async with opened(world.door, [world.listener]):
        clients = [world.listener.dial(UPGRADE) for _ in range(2)]
        await wait_all_tasks_blocked()
        assert world.door.statistics().waiting == 2
    assert [await read_all(client) for client in clients] == [b"", b""]
    assert world.taken == []
    world.assert_nothing_counted()


@pytest.mark.parametrize("answer", [None, lambda: HttpResponse(403, b"no")])
async def test_the_end_of_accepting_waits_for_their_turns(
    clock: MockClock, turns: Turns, answer: Callable[[], HttpResponse] | None
) -> None:
    world = World(answer)
    ended = trio.Event()

    async def serve(*, task_status: trio.TaskStatus[None]) -> None:
        await world.door.serve([world.listener], task_status=task_status)
        ended.set()

    async with trio.open_nursery() as nursery:
        await nursery.start(serve)
        client = world.listener.dial(UPGRADE)
        await wait_all_tasks_blocked()
        world.door.stop_accepting()
        await wait_all_tasks_blocked()
        assert not ended.is_set()
        turns.release.set()
        await wait_all_tasks_blocked()
        assert len(world.taken) == 1
        if answer is None:
            world.kept[0].drop()
        else:
            assert (await client.receive_some(1_000)).startswith(b"HTTP/1.1 403 ")
            await client.aclose()
        with trio.fail_after(1):
            await ended.wait()
    world.assert_nothing_counted()


async def test_draining_waits_for_their_turns(clock: MockClock, world: World, turns: Turns) -> None:
    async with opened(world.door, [world.listener]):
        world.listener.dial(UPGRADE)
        await wait_all_tasks_blocked()
        await world.door.drain(30)
        assert trio.current_time() == 30
        turns.release.set()
        await wait_all_tasks_blocked()
        await world.door.drain(30)
        assert trio.current_time() < 31
        assert world.door.statistics().longest_wait == 30


async def test_addresses_take_turns_behind_a_proxy_too(clock: MockClock, turns: Turns) -> None:
    world = World(
        trusted_proxies=TrustedProxies(["10.0.0.1"]), unauthenticated=UnauthenticatedLimit(9, 9)
    )

    def head(name: str, forwarded: str) -> bytes:
        added = b"?%b HTTP/1.1\r\nX-Forwarded-For: %b\r\n" % (name.encode(), forwarded.encode())
        return UPGRADE.replace(b"?EIO=4&transport=websocket HTTP/1.1\r\n", added)

    async with opened(world.door, [world.listener]):
        for number in range(3):
            world.listener.dial(head(f"/flood{number}", "192.0.2.1"), "10.0.0.1")
        world.listener.dial(UPGRADE.replace(b"socket.io/?", b"socket.io/a?"), "192.0.2.1")
        world.listener.dial(UPGRADE.replace(b"socket.io/?", b"socket.io/b?"), "192.0.2.2")
        await wait_all_tasks_blocked()
        turns.release.set()
        await wait_all_tasks_blocked()
    order = [path for _, path, _ in world.taken]
    assert order.index("/socket.io/b") == 1
    assert order.index("/socket.io/a") == 4  # behind the flood, as it is from the same address


# With the servers of WebSockets behind it.


async def test_a_server_takes_plain_ones(clock: MockClock) -> None:
    server, listener = echo_server(), SocketListener()

    async def not_called(*_: object) -> None:
        raise AssertionError

    door = FrontDoor(
        {server.path: not_called}, Rooms().fallback, sockets={server.path: server.take_websocket}
    )
    async with server.serving(), opened(door, [listener]):
        client = await dialed(listener)
        assert (await client.receive_text()).startswith("0")
        await client.connect()
        (socket,) = server.namespace("/").sockets
        assert socket.handshake.remote_address == "192.0.2.1"
        assert await client.close() == Close(1000)
        await client.finish_close()
        await wait_all_tasks_blocked()
        assert door.statistics().connections == len(server.connection_limit) == 0


async def dialed(listener: SocketListener, target: str = TARGET, **options: Any) -> Peer:
    """Return a peer whose request is there when the connection is accepted."""
    ours, theirs = stdlib.socketpair()
    peer = Peer(trio.SocketStream(trio.socket.from_stdlib_socket(ours)))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: peer.upgrade(target, **options))
        await wait_all_tasks_blocked()
        listener.add(theirs)
    return peer


def door_of(server: SocketServer) -> FrontDoor:
    """Return a door in front of a server that takes sockets and serves streams."""
    return FrontDoor(
        {server.path: server.serve_websocket},
        Rooms().fallback,
        sockets={server.path: server.take_websocket},
    )


@pytest.mark.parametrize(
    ("target", "status"),
    [(TARGET.replace("EIO=4", "EIO=3"), 400), (TARGET + "&sid=unknown", 400)],
)
async def test_a_server_refuses(clock: MockClock, target: str, status: int) -> None:
    server, listener = echo_server(), SocketListener()
    door = door_of(server)
    async with server.serving(), opened(door, [listener]):
        refused = await (client := await dialed(listener, target)).receive()
        assert isinstance(refused, Refused)
        assert refused.status == status
        await client.stream.aclose()
        await wait_all_tasks_blocked()
        assert door.statistics().connections == 0
        assert door.statistics().failures == 0
        assert server.statistics().refused == 1
        assert len(server.unauthenticated) == 0


async def test_the_descriptors_are_given_back_whatever_fails(
    clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> Any:
        raise LookupError

    server, listener = echo_server(), SocketListener()
    door = door_of(server)
    async with server.serving(), opened(door, [listener]):
        gc.collect()  # what earlier tests left may close descriptors in between
        before = len(os.listdir("/proc/self/fd"))
        for name in ("accept", "subprotocols", "make_channel"):
            with monkeypatch.context() as patch:
                patch.setattr(server, name, fail)
                client = await dialed(listener)
                assert await client.receive() == Close(1006)
                await client.stream.aclose()
        assert door.statistics().failures == 3
        assert door.statistics().connections == 0
        assert len(server.unauthenticated) == len(server.connection_limit) == 0
        assert len(os.listdir("/proc/self/fd")) == before
