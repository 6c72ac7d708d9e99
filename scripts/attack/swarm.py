"""Many connections at once: raw non-blocking sockets, bytes made beforehand, one ``epoll``."""

from __future__ import annotations

import errno
import ipaddress
import math
import select
import socket
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle

_IP_BIND_ADDRESS_NO_PORT = 24
"""Linux: the port is chosen at the connect, so that each pair of addresses has all of them."""
_TICK = 0.05


@dataclass(frozen=True)
class Step:
    """What a connection sends once certain bytes have arrived."""

    after: bytes
    """Bytes to wait for; empty: send at once."""
    send: bytes


@dataclass(frozen=True)
class Script:
    """What one connection does.

    :param steps: one after the other; none: it stays silent.
    :param repeats: sent again and again when all steps are done.
    :param every: seconds from one time to the next, of all connections at once; 0: no pause.
    :param piece: bytes of ``repeats`` that are sent each time; 0: all of them.
    """

    steps: Sequence[Step]
    repeats: bytes = b""
    every: float = 0.0
    piece: int = 0


@dataclass(frozen=True)
class Plan:
    """What a swarm does.

    :param scripts: of the connections, in turns.
    :param connections: open at the same time, at most.
    :param rate: connections opened per second.
    :param addresses: where they come from, in turns.
    :param reads: whether one goes on reading when all steps are done.
    :param renews: whether a connection that has ended is replaced.
    :param burst_every: seconds between bursts of all connections; 0: opened at the rate.
    :param receive_buffer: bytes, for one that never reads.
    """

    scripts: Sequence[Script]
    connections: int
    rate: float
    addresses: Sequence[str]
    reads: bool = True
    renews: bool = True
    burst_every: float = 0.0
    receive_buffer: int | None = None


@dataclass(eq=False)
class _Connection:
    socket: socket.socket
    script: Script
    steps: deque[Step]
    next_time: float = math.inf
    """When it repeats what it sends."""
    position: int = 0
    """In what it repeats."""
    unsent: bytes = b""
    received: bytes = b""
    first_line: str = ""
    done: bool = False


class Swarm:
    """Connections that follow one plan, all to the same port of this machine.

    :ivar counts: what happened, and the first lines of responses.
    """

    def __init__(self, plan: Plan, port: int) -> None:
        self._plan = plan
        self._port = port
        self._epoll = select.epoll()
        self._open: dict[int, _Connection] = {}
        self._addresses = cycle(plan.addresses)
        self._scripts = cycle(plan.scripts)
        self._tick = min([_TICK, *(script.every for script in plan.scripts if script.every)])
        self.counts: Counter[str] = Counter()

    def run(self, seconds: float) -> None:
        """Attack for some seconds, then close everything."""
        plan = self._plan
        started = last = time.monotonic()
        allowed = float(plan.connections) if plan.burst_every else 0.0
        bursts = 1
        try:
            while (now := time.monotonic()) < started + seconds:
                if not plan.burst_every:
                    allowed = min(allowed + (now - last) * plan.rate, max(plan.rate, 1.0))
                elif now - started > bursts * plan.burst_every:
                    bursts += 1
                    allowed = float(plan.connections)
                last = now
                while allowed >= 1 and self._may_connect():
                    allowed -= 1
                    self._connect()
                for descriptor, events in self._epoll.poll(self._tick):
                    self._serve(self._open[descriptor], events)
                self._repeat()
        finally:
            for connection in tuple(self._open.values()):
                self._end(connection)
            self._epoll.close()

    def _may_connect(self) -> bool:
        plan = self._plan
        if len(self._open) >= plan.connections:
            return False
        return plan.renews or self.counts["opened"] < plan.connections

    def _connect(self) -> None:
        address = next(self._addresses)
        assert ipaddress.ip_address(address).is_loopback
        try:
            made = socket.socket()
        except OSError as error:
            self.counts[f"not opened: {_name(error)}"] += 1
            return
        made.setblocking(False)
        made.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
        if self._plan.receive_buffer is not None:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._plan.receive_buffer)
        made.bind((address, 0))
        made.connect_ex(("127.0.0.1", self._port))
        script = next(self._scripts)
        self._open[made.fileno()] = _Connection(made, script, deque(script.steps))
        self.counts["opened"] += 1
        self._epoll.register(made, select.EPOLLOUT | select.EPOLLIN)

    def _repeat(self) -> None:
        """Let those whose time has come send again."""
        now = time.monotonic()
        for connection in tuple(self._open.values()):
            if now >= connection.next_time:
                script = connection.script
                connection.next_time = now - now % script.every + script.every
                connection.unsent += self._next_piece(connection)
                self._serve(connection, 0)

    def _next_piece(self, connection: _Connection) -> bytes:
        script, begin = connection.script, connection.position
        end = begin + (script.piece or len(script.repeats))
        connection.position = end % len(script.repeats)
        self.counts["repeated"] += 1
        return script.repeats[begin:end]

    def _serve(self, connection: _Connection, events: int) -> None:
        try:
            if events & (select.EPOLLERR | select.EPOLLHUP | select.EPOLLRDHUP) and connection.done:
                self.counts["ended by the server"] += 1
                self._end(connection)
                return
            if events & select.EPOLLIN:
                received = connection.socket.recv(65_536)
                if not received:
                    self.counts["ended by the server"] += 1
                    self._end(connection)
                    return
                self._take(connection, received)
            self._advance(connection)
        except BlockingIOError:
            pass
        except OSError as error:
            self.counts[f"lost: {_name(error)}"] += 1
            self._end(connection)

    def _take(self, connection: _Connection, received: bytes) -> None:
        if not connection.first_line:
            connection.first_line = received[:64].partition(b"\r\n")[0].decode("latin-1")
            self.counts[connection.first_line] += 1
        # Only what a step may wait for is kept.
        connection.received = (connection.received + received)[-4_096:]

    def _advance(self, connection: _Connection) -> None:
        while connection.steps and connection.steps[0].after in connection.received:
            connection.unsent += connection.steps.popleft().send
            connection.received = b""
        script = connection.script
        if connection.done and script.repeats and not script.every and not connection.unsent:
            connection.unsent = self._next_piece(connection)
        if connection.unsent:
            sent = connection.socket.send(connection.unsent)
            connection.unsent = connection.unsent[sent:]
        wanted = select.EPOLLIN
        if connection.unsent:
            wanted |= select.EPOLLOUT
        elif not connection.steps:
            if not connection.done:
                connection.done = True
                self.counts["sent all"] += 1
                if script.repeats and script.every:
                    connection.next_time = 0.0
            if script.repeats and not script.every:
                wanted |= select.EPOLLOUT
            if not self._plan.reads:
                wanted = select.EPOLLRDHUP
        self._epoll.modify(connection.socket, wanted)

    def _end(self, connection: _Connection) -> None:
        del self._open[connection.socket.fileno()]
        connection.socket.close()


def _name(error: OSError) -> str:
    return errno.errorcode.get(error.errno or 0, "?")
