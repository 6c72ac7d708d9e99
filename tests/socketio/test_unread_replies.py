"""A client that does not read what it asked for, and asks for more in the same breath."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from gbs_actor.socketio import OutboxLimits, Socket, SocketServer
from tests.socketio.peer import Peer, serving
from tests.socketio.polls import Polls, site

pytestmark = pytest.mark.usefixtures("drivers")

CALLS = 40
LARGE = "x" * 60_000
LIMITS = OutboxLimits(pause_bytes=100_000)


class Reading(SocketServer):
    """Replies to each event with a large text, after a while."""

    def __init__(self) -> None:
        super().__init__(outbox=LIMITS, max_waiting_events=8, ping_interval=25, ping_timeout=60)
        self.started = 0
        self.ended: list[tuple[str, float]] = []
        space = self.namespace("/")
        space.on("read")(self._read)
        space.on_disconnect(lambda _, why: self.ended.append((why, trio.current_time())))

    async def _read(self, socket: Socket) -> str:
        self.started += 1
        await trio.sleep(0.001)
        return LARGE


@asynccontextmanager
async def asked_by_websocket(server: Reading) -> AsyncIterator[Peer]:
    async with serving(server) as service:
        peer = service.dial(lockstep=True)
        await peer.join()
        calls = [f'42{number}["read"]' for number in range(CALLS)]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(peer.send_many, *calls)
            yield peer
            nursery.cancel_scope.cancel()


@asynccontextmanager
async def asked_by_polling(server: Reading) -> AsyncIterator[Polls]:
    async with site(server) as clients:
        polls = await clients.joined()
        polls.tell().body(b"\x1e".join(b'42%d["read"]' % n for n in range(CALLS)))
        yield polls


async def test_a_websocket_that_is_not_read_starts_no_more_events(clock: MockClock) -> None:
    server = Reading()
    async with asked_by_websocket(server) as peer:
        await trio.sleep(10)
        assert server.started <= 3
        replies = [await peer.receive_text() for _ in range(CALLS)]
        assert [text[:20] for text in replies] == [f'43{n}["{LARGE}'[:20] for n in range(CALLS)]


async def test_a_session_that_is_not_polled_starts_no_more_events(clock: MockClock) -> None:
    server = Reading()
    async with asked_by_polling(server) as polls:
        await trio.sleep(10)
        assert server.started <= 3
        replies: list[str] = []
        while len(replies) < CALLS:
            replies += (await polls.get()).packets
        assert [text[:20] for text in replies] == [f'43{n}["{LARGE}'[:20] for n in range(CALLS)]


async def test_who_holds_most_of_what_all_may_queue_is_closed_and_not_who_reads(
    clock: MockClock,
) -> None:
    server = SocketServer(outbox_bytes_in_all=500_000)

    @server.namespace("/").on("read")
    def read(socket: Socket) -> str:
        return LARGE

    async with serving(server) as service, trio.open_nursery() as nursery:
        greedy = [service.dial(lockstep=True) for _ in range(10)]
        for peer in greedy:
            await peer.join()
            nursery.start_soon(peer.send_many, *(f'42{n}["read"]' for n in range(4)))
        reader = await service.joined()
        await trio.sleep(1)
        await reader.send('420["read"]')
        assert len(await reader.receive_text()) > len(LARGE)
        assert server.memory_limit.bytes <= 500_000
        assert server.memory_limit.closed >= 2
        assert len(server.namespace("/").sockets) == 11 - server.memory_limit.closed
        nursery.cancel_scope.cancel()
    assert server.memory_limit.bytes == len(server.memory_limit) == 0


async def test_what_a_connection_that_is_being_closed_has_queued_is_dropped_as_well(
    clock: MockClock,
) -> None:
    server = SocketServer(outbox_bytes_in_all=200_000)
    space = server.namespace("/")
    async with serving(server) as service:
        slow = service.dial(lockstep=True)
        await slow.join()
        (socket,) = space.sockets
        socket.emit("large", LARGE)
        socket.emit("large", LARGE)
        socket.close_transport(1012)
        assert server.memory_limit.bytes > 100_000
        await trio.sleep(1)
        other = service.dial(lockstep=True)
        await other.join()
        (second,) = space.sockets
        second.emit("large", LARGE)
        second.emit("large", LARGE)
        assert server.memory_limit.bytes <= 150_000
        assert not second.closed


@pytest.mark.parametrize("asked", [asked_by_websocket, asked_by_polling])
async def test_one_that_never_reads_is_gone_in_time_although_its_events_wait(
    clock: MockClock, asked: Callable[[Reading], AbstractAsyncContextManager[object]]
) -> None:
    server = Reading()
    async with asked(server):
        await trio.sleep(84)
        assert server.ended == []
        await trio.sleep(2)
        assert server.ended == [("ping timeout", 85.0)]
        await wait_all_tasks_blocked()
        assert server.started <= 3
