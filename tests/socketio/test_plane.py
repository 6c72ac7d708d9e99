"""A served server whose WebSockets are in the plane: on real sockets, front door included."""

from __future__ import annotations

import os
import select
import socket as stdlib
import struct
from dataclasses import replace
from itertools import chain, count
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from gbs_actor.environment import SYSTEM
from gbs_actor.socketio import FrontDoor, Socket, SocketServer
from gbs_actor.socketio.channel.plane import Plane, PlaneConnection, open_plane
from gbs_actor.socketio.engineio.polling import PollingTransport
from gbs_actor.socketio.engineio.upgrade import Probe
from gbs_actor.testing.environment import seeded_environment
from tests.apps.echo_socketio import echo_server
from tests.freeing import freed
from tests.socketio.peer import Close, MemoryListener, Peer, no_fallback, serving
from tests.socketio.polls import WEBSOCKET, site

pytestmark = pytest.mark.skipif(not hasattr(select, "epoll"), reason="there is no plane here")


@pytest.fixture(autouse=True)
def over_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MemoryListener, "over_sockets", True)


def living_tasks() -> int:
    return trio.lowlevel.current_statistics().tasks_living


def descriptors() -> set[str]:
    return set(os.listdir("/proc/self/fd"))


async def test_a_connection_that_waits_has_no_task(clock: MockClock) -> None:
    async with serving(echo_server()) as service:
        await wait_all_tasks_blocked()
        before = living_tasks()
        peers = [await service.joined() for _ in range(10)]
        await wait_all_tasks_blocked()
        assert living_tasks() == before
        for peer in peers:
            await peer.receive_event()
            await peer.send('420["message-with-ack",1]')
            assert await peer.receive_text() == "430[1]"


async def test_the_statistics_of_a_server_include_its_plane(clock: MockClock) -> None:
    server = echo_server()
    assert server.statistics().plane is None
    async with serving(server) as service:
        peers = [await service.joined() for _ in range(3)]
        statistics = server.statistics().plane
        assert statistics is not None
        assert statistics.connections == len(peers)
        assert statistics.queued == 0
        assert statistics.longest_step > 0


async def test_a_planes_steps_are_measured_by_the_stopwatch_of_the_environment(
    clock: MockClock,
) -> None:
    readings = count(step=0.001)
    server = echo_server(environment=replace(SYSTEM, stopwatch=readings.__next__))
    async with serving(server) as service:
        await service.joined()
        statistics = server.statistics().plane
        assert statistics is not None
        assert statistics.longest_step in {0.001, 0.002}  # of two or three readings


async def test_servers_of_one_seed_give_their_sockets_the_same_ids(clock: MockClock) -> None:
    async def ids(seed: int) -> list[tuple[str, str]]:
        async with serving(echo_server(environment=seeded_environment(seed))) as service:
            peers = [service.dial() for _ in range(2)]
            return [((await peer.open())["sid"], await peer.connect()) for peer in peers]

    first = await ids(7)
    assert await ids(7) == first
    assert not set(chain(*first)) & set(chain(*await ids(8)))


async def test_a_session_that_began_with_polling_has_no_task_after_its_upgrade(
    clock: MockClock,
) -> None:
    async with site(SocketServer()) as clients:
        await wait_all_tasks_blocked()
        before = living_tasks()
        with freed(PollingTransport, Probe):
            polls = await clients.polls()
            peer = await clients.dial(f"{WEBSOCKET}&sid={polls.sid}", socket=True)
            await peer.send("2probe")
            assert await peer.receive_text() == "3probe"
            await peer.send("5")
            await wait_all_tasks_blocked()
            assert living_tasks() == before


async def test_a_handler_that_awaits_runs_in_a_task_until_its_connection_ends(
    clock: MockClock,
) -> None:
    server = SocketServer()
    ended: list[str] = []

    @server.namespace("/").on("wait")
    async def wait(socket: Socket) -> None:
        try:
            await trio.sleep_forever()
        finally:
            ended.append("cancelled")

    async with serving(server) as service:
        peer = await service.joined()
        await wait_all_tasks_blocked()
        before = living_tasks()
        await peer.send('42["wait"]')
        await wait_all_tasks_blocked()
        assert living_tasks() == before + 1
        await peer.stream.aclose()
        await wait_all_tasks_blocked()
        assert ended == ["cancelled"]
        assert living_tasks() == before


async def test_a_handler_that_has_awaited_leaves_no_task(clock: MockClock) -> None:
    server = SocketServer()

    @server.namespace("/").on("look")
    async def look(_socket: Socket) -> None:
        await trio.lowlevel.checkpoint()

    async with serving(server) as service:
        peer = await service.joined()
        await wait_all_tasks_blocked()
        before = living_tasks()
        for ack_id in "01":
            await peer.send(f'42{ack_id}["look"]')
            assert await peer.receive_text() == f"43{ack_id}[]"
        await wait_all_tasks_blocked()
        assert living_tasks() == before


async def test_the_101_and_the_open_packet_come_by_one_write(
    clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[bytes] = []
    plane_add = Plane.add

    def add(plane: Plane, socket: Any) -> PlaneConnection:
        connection = plane_add(plane, socket)
        send = connection.wire.send_nowait

        def write(data: bytes | memoryview) -> int:
            written.append(bytes(data))
            return send(data)

        connection.wire.send_nowait = write
        return connection

    monkeypatch.setattr(Plane, "add", add)
    async with serving(echo_server()) as service:
        await service.dial().open()
        assert len(written) == 1
        assert written[0].startswith(b"HTTP/1.1 101 ")
        statistics = service.server.statistics()
        assert (statistics.sent_messages, statistics.sent_bytes) == (1, len(written[0]))


async def test_a_client_that_takes_the_101_byte_by_byte_gets_all_of_it(
    clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    plane_add = Plane.add

    def add(plane: Plane, socket: Any) -> PlaneConnection:
        connection = plane_add(plane, socket)
        send = connection.wire.send_nowait
        connection.wire.send_nowait = lambda data: send(memoryview(data)[:1])
        return connection

    monkeypatch.setattr(Plane, "add", add)
    async with serving(echo_server()) as service:
        peer = service.dial()
        await peer.open()
        await peer.connect()
        assert await peer.receive_event() == ["auth", {}]


async def test_what_comes_right_behind_the_handshake_is_read(clock: MockClock) -> None:
    async with serving(echo_server()) as service:
        peer = service.dial()
        message = b"\x81\x82\0\0\0\0" + b"40"
        peer.stream = _Appending(peer.stream, message)
        await peer.upgrade()
        assert (await peer.receive_text()).startswith("0")
        assert (await peer.receive_text()).startswith("40")


class _Appending(trio.abc.HalfCloseableStream):
    """Sends something right behind the first thing that is sent."""

    def __init__(self, stream: trio.abc.HalfCloseableStream, appended: bytes) -> None:
        self._stream = stream
        self._appended = appended

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        appended, self._appended = self._appended, b""
        await self._stream.send_all(bytes(data) + appended)

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        return await self._stream.receive_some(max_bytes)

    async def send_eof(self) -> None:
        await self._stream.send_eof()

    async def aclose(self) -> None:
        await self._stream.aclose()


async def test_a_slow_reader_gets_everything_in_order(clock: MockClock) -> None:
    server = SocketServer()
    space = server.namespace("/")
    async with serving(server) as service:
        peer = await service.joined()
        await wait_all_tasks_blocked()
        (socket,) = space.sockets
        before = living_tasks()
        for number in range(100):
            socket.emit("news", number, "x" * 10_000)
        assert socket.statistics().queued
        await wait_all_tasks_blocked()
        assert living_tasks() == before
        for number in range(100):
            assert (await peer.receive_event())[1] == number
        assert not socket.statistics().queued


class _CountingPoller:
    """An epoll that counts how often it is asked."""

    def __init__(self, poller: Any) -> None:
        self._poller = poller
        self.polls = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._poller, name)

    def poll(self, timeout: float, maxevents: int, /) -> list[tuple[int, int]]:
        self.polls += 1
        found: list[tuple[int, int]] = self._poller.poll(timeout, maxevents)
        return found


async def test_the_reset_of_a_paused_connection_does_not_keep_the_plane_busy(
    clock: MockClock,
) -> None:
    server = SocketServer(max_unanswered_events=1)
    server.namespace("/").on_any(lambda socket, event: None)
    async with server.serving(), trio.open_nursery() as nursery:
        assert server._plane is not None
        poller = server._plane._poller = _CountingPoller(server._plane._poller)
        door = FrontDoor({server.path: server.serve_websocket}, no_fallback)
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        await nursery.start(door.serve, listeners)
        stream = await trio.testing.open_stream_to_socket_listener(listeners[0])
        peer = Peer(stream)
        await peer.join()
        await peer.send_many('420["a"]', '421["b"]', '422["c"]', '423["d"]')
        await wait_all_tasks_blocked()
        stream.setsockopt(stdlib.SOL_SOCKET, stdlib.SO_LINGER, struct.pack("ii", 1, 0))
        await stream.aclose()
        await wait_all_tasks_blocked()
        before = poller.polls
        await trio.sleep(10)
        assert poller.polls <= before + 1
        nursery.cancel_scope.cancel()


# Limits, counts, and the end


async def test_the_front_door_counts_a_connection_until_it_is_closed(clock: MockClock) -> None:
    server = echo_server()
    async with serving(server) as service:
        peers = [await service.joined() for _ in range(3)]
        await wait_all_tasks_blocked()
        assert service.door.statistics().connections == 3
        await peers[0].close()
        await peers[0].finish_close()
        await peers[1].stream.aclose()
        await wait_all_tasks_blocked()
        assert service.door.statistics().connections == 1


async def test_a_connection_in_the_plane_holds_its_place_at_the_front_door(
    clock: MockClock,
) -> None:
    server = SocketServer()
    server.namespace("/")
    door = FrontDoor({server.path: server.serve_websocket}, no_fallback, connections=1)
    listener = MemoryListener()
    async with server.serving(), trio.open_nursery() as nursery:
        await nursery.start(door.serve, [listener])
        first = Peer(listener.dial())
        await first.join()
        second = Peer(listener.dial())
        await second.upgrade()
        assert not second.upgraded
        await first.stream.aclose()
        await wait_all_tasks_blocked()
        await Peer(listener.dial()).join()
        nursery.cancel_scope.cancel()


async def test_the_front_door_serves_until_the_last_connection_has_ended(
    clock: MockClock,
) -> None:
    server = SocketServer()
    server.namespace("/")
    door = FrontDoor({server.path: server.serve_websocket}, no_fallback)
    listener = MemoryListener()
    ended: list[float] = []

    async def serve(task_status: trio.TaskStatus[None]) -> None:
        await door.serve([listener], task_status=task_status)
        ended.append(trio.current_time())

    async with server.serving(), trio.open_nursery() as nursery:
        await nursery.start(serve)
        peer = Peer(listener.dial())
        await peer.join()
        door.stop_accepting()
        nursery.start_soon(_leave_later, peer)
    assert ended == [7.0]


async def _leave_later(peer: Peer) -> None:
    await trio.sleep(7)
    await peer.stream.aclose()


async def test_a_cancelled_front_door_drops_the_connections_of_the_plane(
    clock: MockClock,
) -> None:
    server = SocketServer()
    reasons: list[str] = []
    server.namespace("/").on_disconnect(lambda socket, reason: reasons.append(reason))
    door = FrontDoor({server.path: server.serve_websocket}, no_fallback)
    listener = MemoryListener()
    async with server.serving():
        async with trio.open_nursery() as nursery:
            await nursery.start(door.serve, [listener])
            peer = Peer(listener.dial())
            await peer.join()
            nursery.cancel_scope.cancel()
        assert await peer.receive_close() == Close(1006)
        await wait_all_tasks_blocked()
        assert reasons == ["server shutting down"]
        assert server.statistics().connections == 0


async def test_a_shutdown_closes_all_and_drops_who_does_not_answer(clock: MockClock) -> None:
    before = descriptors()
    async with serving(echo_server(close_timeout=5)) as service:
        polite, silent = await service.joined(), await service.joined()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(service.server.shutdown)
            assert await polite.receive_close() == Close(1001, "server shutting down")
            await polite.finish_close()
        assert trio.current_time() == 5.0
        assert service.door.statistics().connections == 0
        assert await silent.receive_close() == Close(1001, "server shutting down")
        assert await silent.receive_close() == Close(1006)
        await silent.stream.aclose()
    assert descriptors() <= before


async def test_a_server_without_epoll_serves_by_tasks(
    clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as system:
        system.delattr(select, "epoll")
        assert open_plane() is None
    async with serving(echo_server(plane=lambda: None)) as service:
        before = living_tasks()
        peer = await service.joined()
        await peer.receive_event()
        await peer.send('420["message-with-ack",1]')
        assert await peer.receive_text() == "430[1]"
        assert living_tasks() > before
