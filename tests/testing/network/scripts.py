"""Clients that follow a script drawn from a seed, on one server, over any network."""

from __future__ import annotations

import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import Any

import trio
from trio.testing import MockClock

from gbs_actor.socketio import (
    FrontDoor,
    HttpStream,
    Namespace,
    Observer,
    Plane,
    Socket,
    SocketServer,
)
from gbs_actor.testing.environment import seeded_environment
from gbs_actor.testing.network import SimStream
from tests.apps.echo_socketio import echo
from tests.socketio.frames import CLOSE, CONTINUATION, PING, PONG, TEXT, frame

STEPS = ("echo", "acknowledged", "to all", "large", "many", "ping", "fragments", "pause", "rest")
ENDS = ("close", "end of stream", "leave", "garbage", "reset", "none")

REQUEST = (
    b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: server.test\r\n"
    b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


@dataclass(frozen=True)
class Network:
    """How clients and server are connected."""

    listener: trio.abc.Listener[Any]
    dial: Callable[[str], trio.abc.HalfCloseableStream]
    """Returns a client's end of a new connection from an IP address."""
    plane: Callable[[], Plane | None]


@dataclass
class Outcome:
    """What came of a script."""

    received: list[bytes] = field(default_factory=list)
    """By each client, from the first byte of the 101, without pings of Engine.IO.

    Also without WebSocket's pongs: of those that a slow reader has not received, only the latest
    one is sent.
    """
    pings: list[list[float]] = field(default_factory=list)
    """When each client got them; latency changes that, as the next one follows the pong."""
    ended: list[tuple[float, str]] = field(default_factory=list)
    """When and why each socket of the server has ended."""
    in_plane: int = 0
    """Connections of the plane, as all clients are connected."""


class Client:
    """Follows its script and keeps what it receives."""

    def __init__(self, stream: trio.abc.HalfCloseableStream, random: Random, end: str) -> None:
        self._stream = stream
        self._random = random
        self._end = end
        self._sending = trio.Lock()
        self._reading = trio.Event()
        self._reading.set()
        self._receiving = trio.CancelScope()
        self._parsed = 0
        self.received = bytearray()
        self.pings: list[float] = []

    async def run(self) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._read)
            with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                await self._follow()
            self._reading.set()

    async def _follow(self) -> None:
        choose = self._random
        await self._send(REQUEST)
        await trio.sleep(0.7)
        await self._say(b"40")
        for number in range(choose.randint(1, 12)):
            await trio.sleep(choose.choice((0.7, 1.4)))
            await self._step(choose.choice(STEPS), number)
        self._reading.set()
        await trio.sleep(7)
        match self._end:
            case "close":
                await self._send(frame(CLOSE, struct.pack("!H", 1000)))
            case "end of stream":
                await self._stream.send_eof()
            case "leave":
                await self._say(b"41")
            case "garbage":
                await self._send(frame(TEXT, b"x", rsv=7))
            case "reset":
                assert isinstance(self._stream, SimStream)
                self._stream.cut()

    async def _step(self, name: str, number: int) -> None:
        text = b'"%d %s"' % (number, b"abc" * self._random.randint(0, 80))
        match name:
            case "echo":
                await self._say(b'42["message",%s]' % text)
            case "acknowledged":
                await self._say(b'42%d["message-with-ack",%s]' % (number, text))
            case "to all":
                await self._say(b'42["all",%s]' % text)
            case "large":
                await self._say(b'42["message","%s"]' % (b"x" * self._random.randint(500, 9_000)))
            case "many":
                said = [frame(TEXT, b'42["message",%d]' % each) for each in range(40)]
                await self._send(b"".join(said))
            case "ping":
                await self._send(frame(PING, b"%d" % number))
            case "fragments":
                await self._send(frame(TEXT, b'42["mess', fin=False))
                await self._send(frame(CONTINUATION, b'age",%s]' % text))
            case "pause":
                if self._reading.is_set():
                    self._reading = trio.Event()
                    # Else it would take one piece more, and how much that is depends on chance.
                    self._receiving.cancel()
            case "rest":
                await trio.sleep(7)

    async def _say(self, packet: bytes) -> None:
        await self._send(frame(TEXT, packet))

    async def _send(self, data: bytes) -> None:
        async with self._sending:
            await self._stream.send_all(data)

    async def _read(self) -> None:
        with suppress(trio.BrokenResourceError):
            while True:
                await self._reading.wait()
                with trio.CancelScope() as self._receiving:
                    data = await self._stream.receive_some(1_000)
                if self._receiving.cancelled_caught:
                    continue
                if not data:
                    break
                self.received += data
                await self._answer_pings()
        await self._stream.aclose()

    async def _answer_pings(self) -> None:
        if not self._parsed:
            head = self.received.find(b"\r\n\r\n")
            if head < 0:
                return
            self._parsed = head + 4
        while len(self.received) >= self._parsed + 2:
            opcode, size = self.received[self._parsed] & 15, self.received[self._parsed + 1]
            begin = self._parsed + 2
            if size == 126:
                if len(self.received) < begin + 2:
                    return
                (size,) = struct.unpack_from("!H", self.received, begin)
                begin += 2
            if len(self.received) < begin + size:
                return
            is_ping = opcode == TEXT and self.received[begin : begin + size] == b"2"
            if not (is_ping or opcode == PONG):
                self._parsed = begin + size
                continue
            del self.received[self._parsed : begin + size]
            if is_ping:
                self.pings.append(trio.current_time())
                await self._say(b"3")


class Ends(Observer):
    """Notes when and why sockets end."""

    def __init__(self, outcome: Outcome) -> None:
        self._outcome = outcome

    def disconnected(self, socket: Socket, reason: str) -> None:
        self._outcome.ended.append((round(trio.current_time(), 1), reason))


async def no_fallback(stream: HttpStream) -> None:
    raise AssertionError


def to_all(space: Namespace) -> None:
    @space.on("all")
    def broadcast(_socket: Socket, text: str) -> None:
        space.emit("all", text)


async def _play(network: Network, seed: int, ends: tuple[str, ...]) -> Outcome:
    random = Random(seed)
    outcome = Outcome()
    environment = seeded_environment(seed)
    server = SocketServer(environment=environment, plane=network.plane)
    echo(server.namespace("/"))
    to_all(server.namespace("/"))
    server.observe(Ends(outcome))
    door = FrontDoor(
        {server.path: server.serve_websocket},
        no_fallback,
        sockets={server.path: server.take_websocket},
        environment=environment,
    )
    async with server.serving(), trio.open_nursery() as nursery:
        await nursery.start(door.serve, [network.listener])
        clients = []
        async with trio.open_nursery() as running:
            for number in range(3):
                stream = network.dial(f"192.0.2.{number}")
                client = Client(stream, Random(random.random()), random.choice(ends))
                clients.append(client)
                running.start_soon(client.run)
                await trio.sleep(0.1)
            statistics = server.statistics().plane
            outcome.in_plane = 0 if statistics is None else statistics.connections
            await trio.sleep(140)
            await server.shutdown()
        nursery.cancel_scope.cancel()
    assert door.statistics().failures == 0
    outcome.received = [bytes(client.received) for client in clients]
    outcome.pings = [client.pings for client in clients]
    return outcome


def play(network: Callable[[], Network], seed: int, ends: tuple[str, ...] = ENDS) -> Outcome:
    """Run a server and three clients; return what came of it."""

    async def main() -> Outcome:
        return await _play(network(), seed, ends)

    return trio.run(main, clock=MockClock(autojump_threshold=0))
