"""Measures the cost of the Socket.IO server: per delivery, per echoed message, per idle connection.

``python scripts/bench/fanout.py --sockets 500 --updates 200``

The server runs in this process and is measured by its own CPU time. The clients are bare
sockets in another process, which sends ready-made frames and throws away what it reads.
"""

from __future__ import annotations

import argparse
import gc
import json
import multiprocessing
import os
import selectors
import socket
import struct
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import trio

from gbs_actor.socketio import (
    Event,
    FrontDoor,
    HttpStream,
    Socket,
    SocketServer,
    encode_raw_event,
)

_REQUEST = (
    b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: bench\r\n"
    b"Upgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
_CPU = (time.CLOCK_PROCESS_CPUTIME_ID, time.CLOCK_MONOTONIC)


def masked(payload: bytes) -> bytes:
    """Return a client's text frame, masked with zeros."""
    if len(payload) < 126:
        return struct.pack("!BB4x", 0x81, 0x80 | len(payload)) + payload
    return struct.pack("!BBH4x", 0x81, 0x80 | 126, len(payload)) + payload


class Clients:
    """Bare sockets, driven by orders on a pipe; runs in a process of its own."""

    def __init__(self, port: int, orders: Connection) -> None:
        self._port = port
        self._orders = orders
        self._sockets: list[socket.socket] = []
        self._bare: list[socket.socket] = []
        self._selector = selectors.DefaultSelector()

    def run(self) -> None:
        """Carry out orders until the order to stop."""
        while True:
            order, number = self._orders.recv()
            if order == "stop":
                return
            if order == "connect":
                self._connect(number)
            elif order == "connect-bare":
                self._connect_bare(number)
            elif order == "drain":
                self._drain(number)
            elif order == "echo":
                self._echo(number)
            self._orders.send("done")

    def _connect(self, number: int) -> None:
        for _ in range(number):
            connection = socket.create_connection(("127.0.0.1", self._port))
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.sendall(_REQUEST)
            self._read_until(connection, b'"maxPayload"')
            connection.sendall(masked(b"40"))
            self._read_until(connection, b'40{"sid"')
            connection.setblocking(False)
            self._sockets.append(connection)
            self._selector.register(connection, selectors.EVENT_READ)

    def _connect_bare(self, port: int) -> None:
        """Connect as often as there are sockets already, without a WebSocket."""
        for _ in range(len(self._sockets)):
            connection = socket.create_connection(("127.0.0.1", port))
            self._bare.append(connection)
            self._selector.register(connection, selectors.EVENT_READ)

    @staticmethod
    def _read_until(connection: socket.socket, mark: bytes) -> None:
        data = b""
        while mark not in data:
            received = connection.recv(65_536)
            if not received:
                raise ConnectionError(data)
            data += received

    def _drain(self, size: int) -> None:
        """Read until ``size`` bytes have come over all connections."""
        while size > 0:
            for key, _ in self._selector.select():
                size -= len(key.fileobj.recv(1 << 20))  # type: ignore[union-attr]

    def _echo(self, rounds: int) -> None:
        """Send a message on every socket and wait for all echoes, again and again."""
        frame = masked(b'420["echo",{"lineupId":123,"gbsNumber":7}]')
        answer = len(b'430[{"lineupId":123,"gbsNumber":7}]') + 2
        for _ in range(rounds):
            for connection in self._sockets:
                connection.send(frame)
            self._drain(answer * len(self._sockets))


def start_clients(port: int, orders: Connection) -> None:
    """Run in the client process."""
    Clients(port, orders).run()


@dataclass(frozen=True)
class Spent:
    """CPU and wall time, in seconds."""

    cpu: float
    wall: float


class Stopwatch:
    """Measures this process."""

    def __init__(self) -> None:
        self._start = [time.clock_gettime(clock) for clock in _CPU]

    def stop(self) -> Spent:
        """Return what was spent since it was made."""
        now = [time.clock_gettime(clock) for clock in _CPU]
        return Spent(now[0] - self._start[0], now[1] - self._start[1])


def resident_bytes() -> int:
    """Return this process' resident memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


class Bench:
    """One server, one process of clients, and the orders between them."""

    def __init__(self, sockets: int, updates: int, rounds: int, size: int) -> None:
        self._number = sockets
        self._updates = updates
        self._rounds = rounds
        self._size = size
        self.server = SocketServer()
        space = self.server.namespace("/")

        @space.on_any
        def echo(socket: Socket, event: Event) -> None:
            event.reply_raw(event.first or b"null")

        self._space = space

    async def run(self) -> dict[str, Any]:
        """Return all figures."""
        async with self.server.serving(), trio.open_nursery() as nursery:
            listeners = await trio.open_tcp_listeners(0, host="127.0.0.1", backlog=4_096)
            door = FrontDoor({self.server.path: self.server.serve_websocket}, _nothing)
            await nursery.start(door.serve, listeners)
            port = listeners[0].socket.getsockname()[1]
            orders, theirs = multiprocessing.Pipe()
            context = multiprocessing.get_context("spawn")
            process = context.Process(target=start_clients, args=(port, theirs), daemon=True)
            process.start()
            try:
                return await self._measure(orders)
            finally:
                orders.send(("stop", 0))
                await trio.to_thread.run_sync(process.join)
                nursery.cancel_scope.cancel()

    async def _measure(self, orders: Connection) -> dict[str, Any]:
        async def order(word: str, number: int) -> Spent:
            orders.send((word, number))
            watch = Stopwatch()
            await trio.to_thread.run_sync(orders.recv)
            return watch.stop()

        await order("connect", 1)
        gc.collect()
        before = resident_bytes()
        connecting = await order("connect", self._number - 1)
        gc.collect()
        idle = (resident_bytes() - before) / (self._number - 1)

        fan_out = await self._fan_out(orders)
        echo = await order("echo", self._rounds)
        bare = await self._bare_send(orders)
        return {
            "sockets": self._number,
            "connects per second (one client)": round((self._number - 1) / connecting.wall),
            "connect, us CPU": round(connecting.cpu / (self._number - 1) * 1e6, 1),
            "memory per idle connection, KB": round(idle / 1024, 1),
            "fan-out, us CPU per delivery": round(
                fan_out.cpu / (self._updates * self._number) * 1e6, 2
            ),
            "bare send() of the same bytes, us CPU": round(
                bare.cpu / (self._updates * self._number) * 1e6, 2
            ),
            "fan-out, ms wall per update": round(fan_out.wall / self._updates * 1e3, 2),
            "echo, us CPU per message": round(echo.cpu / (self._rounds * self._number) * 1e6, 1),
            "conflated": sum(s.statistics().conflated for s in self._space.sockets),
        }

    async def _fan_out(self, orders: Connection) -> Spent:
        payload = b'{"pad":"' + b"x" * (self._size - 40) + b'"}'
        total = Spent(0.0, 0.0)
        for revision in range(self._updates):
            message = encode_raw_event("/", "lineup-updated", payload, key=revision % 80)
            orders.send(("drain", len(message.websocket) * self._number))
            sockets = self._space.sockets
            watch = Stopwatch()
            for client in sockets:
                client.deliver(message)
            spent = watch.stop()
            total = Spent(total.cpu + spent.cpu, total.wall + spent.wall)
            await trio.to_thread.run_sync(orders.recv)
        return total

    async def _bare_send(self, orders: Connection) -> Spent:
        """Measure the system call alone: a lower bound for any server."""
        with socket.create_server(("127.0.0.1", 0), backlog=4_096) as listener:
            orders.send(("connect-bare", listener.getsockname()[1]))
            accepted = [listener.accept()[0] for _ in range(self._number)]
            await trio.to_thread.run_sync(orders.recv)
        payload = encode_raw_event("/", "lineup-updated", b"x" * (self._size - 30)).websocket
        total = Spent(0.0, 0.0)
        for connection in accepted:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(self._updates):
            orders.send(("drain", len(payload) * self._number))
            watch = Stopwatch()
            for connection in accepted:
                connection.send(payload)
            spent = watch.stop()
            total = Spent(total.cpu + spent.cpu, total.wall + spent.wall)
            await trio.to_thread.run_sync(orders.recv)
        for connection in accepted:
            connection.close()
        return total


async def _nothing(stream: HttpStream) -> None:
    """Serve no HTTP."""


def main() -> None:
    """Parse the command line, measure, and report as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sockets", type=int, default=500)
    parser.add_argument("--updates", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=40, help="echoes per socket")
    parser.add_argument("--size", type=int, default=600, help="bytes of an update")
    chosen = parser.parse_args()
    bench = Bench(chosen.sockets, chosen.updates, chosen.rounds, chosen.size)
    print(json.dumps(trio.run(bench.run), indent=2))


if __name__ == "__main__":
    main()
