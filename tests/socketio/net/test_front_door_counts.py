"""Whatever clients do, nothing stays counted once they have gone."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from functools import partial

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from gbs_actor.socketio import (
    ConnectionLimitReached,
    FrontDoor,
    HttpResponse,
    HttpStream,
    Request,
    TrustedProxies,
    UnauthenticatedLimit,
)
from gbs_actor.socketio.net.front_door import door as front_door
from gbs_actor.socketio.net.sockets import Socket
from tests.socketio.net.socket_listener import Kept, SocketListener
from tests.socketio.net.test_front_door import UPGRADE, opened
from tests.socketio.peer import Duplex, MemoryListener

HTTP = b"POST /%b HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n"
ADDRESSES = ["192.0.2.1", "192.0.2.2", "2001:db8::1", "10.0.0.1"]
"""The last one is a trusted proxy."""
SENT = [
    HTTP % b"",
    HTTP % b"" + b"body",
    HTTP % b"slow" + b"body",
    HTTP % b"fail" + b"body",
    UPGRADE,
    UPGRADE.replace(b"socket.io", b"fails"),
    UPGRADE.replace(b"socket.io", b"full"),
    UPGRADE.replace(b"Version: 13", b"Version: 8"),
    b"\x16\x03\x01",
    b"x" * 20_000,
]


class World:
    """A front door with little room, and clients of several addresses."""

    def __init__(self, seed: int, *, sockets: bool) -> None:
        self.listener: MemoryListener | SocketListener
        self.listener = SocketListener() if sockets else MemoryListener()
        self.unauthenticated = UnauthenticatedLimit(8, 4)
        handlers = {"/socket.io/": self.websocket, "/fails/": fail, "/full/": self.full}
        self.door = FrontDoor(
            handlers,
            self.http,
            sockets={"/socket.io/": self.take, "/fails/": self.fail_to_take},
            connections=12,
            connections_per_address=6,
            unauthenticated=self.unauthenticated,
            trusted_proxies=TrustedProxies(["10.0.0.1"]),
        )
        self.choose = random.Random(seed)
        self.addresses: dict[object, str] = {}
        self.clients: list[Duplex] = []
        self.kept: list[Kept] = []

    async def http(self, stream: HttpStream) -> None:
        while received := await stream.receive_some():
            with stream.answering() as arrived:
                if b"fail" in received:
                    raise LookupError
                if b"slow" in received:
                    await trio.sleep(3)
                while not received.endswith(b"body"):
                    if not (received := await stream.receive_some()):
                        return
                arrived()
                await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    async def websocket(self, stream: Duplex, _request: Request, _leftover: bytes) -> None:
        try:
            entry = self.unauthenticated.acquire("192.0.2.1", connection=True)
        except ConnectionLimitReached:
            return
        with trio.CancelScope() as scope:
            entry.on_eviction(scope.cancel)
            try:
                while await stream.receive_some():
                    entry.release()  # accepted
            finally:
                entry.release()

    async def full(self, _stream: Duplex, _request: Request, _leftover: bytes) -> None:
        await trio.sleep(1)

    def take(
        self, socket: Socket, peer: str | None, request: Request, leftover: bytes
    ) -> Kept | HttpResponse | None:
        chosen = self.choose.randrange(3)
        if chosen == 0:
            return None
        if chosen == 1:
            return HttpResponse(403, b"no")
        self.kept.append(Kept(socket))
        return self.kept[-1]

    def fail_to_take(self, socket: Socket, *_: object) -> None:
        socket.close()
        raise LookupError

    def dial(self) -> Duplex:
        if isinstance(self.listener, MemoryListener):
            return self.listener.dial()
        first = self.choose.choice([b"", b"GET /", *SENT])
        return self.listener.dial(first, self.choose.choice(ADDRESSES))

    def address(self, stream: object) -> str:
        return self.addresses.setdefault(stream, self.choose.choice(ADDRESSES))

    async def act(self) -> None:
        choose = self.choose
        client = choose.choice(self.clients) if self.clients else None
        if client is None or choose.random() < 0.2:
            self.clients += [self.dial() for _ in range(choose.choice([1, 15]))]
        else:
            sent = choose.choice(SENT)
            part = sent[: choose.randrange(len(sent))] if choose.random() < 0.2 else sent
            sending: Callable[[], Awaitable[None]] = partial(client.send_all, part)
            uses: list[Callable[[], Awaitable[None]]] = [client.send_eof, client.aclose]
            use = choose.choice(uses + [sending] * 8)
            try:
                await use()
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                self.clients.remove(client)
                await client.aclose()
        await trio.sleep(choose.choice([0, 0, 0, 0, 0.3, 2.5, 11]))


async def fail(_stream: Duplex, _request: Request, _leftover: bytes) -> None:
    raise LookupError


@pytest.mark.parametrize("ending", ["disconnects", "drain", "cancellation"])
@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("sockets", [False, True])
async def test_nothing_stays_counted(
    clock: MockClock, monkeypatch: pytest.MonkeyPatch, sockets: bool, seed: int, ending: str
) -> None:
    world = World(seed, sockets=sockets)
    door, unauthenticated = world.door, world.unauthenticated
    monkeypatch.setattr(front_door, "peer_address", world.address)
    async with opened(door, [world.listener]):
        for _ in range(150):
            await world.act()
        if ending == "disconnects":
            for client in world.clients:
                await client.aclose()
            for connection in world.kept:
                connection.drop()
            await trio.sleep(15)
            await wait_all_tasks_blocked()
            assert door.statistics().connections == 0
        elif ending == "drain":
            door.stop_accepting()
            await door.drain(5)
    statistics = door.statistics()
    assert statistics.accepted > 30
    assert statistics.refused > 0
    assert (statistics.connections, statistics.http_connections, statistics.waiting) == (0, 0, 0)
    assert unauthenticated.statistics().counted == unauthenticated.statistics().addresses == 0
    assert len(door._admission._limit) == 0
    assert not door._admission._limit._per_address
    assert door._refusals._refusing == door._requests == 0
