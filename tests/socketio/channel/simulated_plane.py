"""A plane over simulated sockets: what is ready, when, and in which order is up to the test."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import trio

from gbs_actor.socketio import Channel, ChannelTasks, Message, OutboxLimits
from gbs_actor.socketio.channel.plane import Plane, PlaneConnection
from gbs_actor.socketio.channel.timers import Timers
from gbs_actor.socketio.channel.traffic import ReadRate, Traffic
from gbs_actor.socketio.channel.websocket_transport import WebSocketTransport
from gbs_actor.socketio.websocket.close_code import CloseCode
from gbs_actor.socketio.websocket.frame_parser import FrameParser
from tests.socketio.frames import TEXT, frame

IN, OUT, ERR, HUP = 1, 4, 8, 16


class SimulatedSocket:
    """A socket whose peer is the test."""

    def __init__(self, poller: SimulatedPoller, fd: int) -> None:
        self.fd = fd
        self.incoming: deque[bytes | OSError] = deque()
        self.ended = False
        self.sent = bytearray()
        self.room = 1_000_000
        self.closed = False
        self.error_of_close: OSError | None = None
        self.received = 0
        """Calls of :meth:`recv`."""
        self._poller = poller

    def fileno(self) -> int:
        return self.fd

    def recv(self, size: int, /) -> bytes:
        assert not self.closed
        self.received += 1
        if not self.incoming:
            if self.ended:
                return b""
            raise BlockingIOError
        first = self.incoming.popleft()
        if isinstance(first, OSError):
            raise first
        if len(first) > size:
            self.incoming.appendleft(first[size:])
        return first[:size]

    def send(self, data: Any, /) -> int:
        assert not self.closed
        if error := next((each for each in self.incoming if isinstance(each, OSError)), None):
            raise error
        if not self.room:
            raise BlockingIOError
        taken = bytes(data[: self.room])
        self.room -= len(taken)
        self.sent += taken
        return len(taken)

    def shutdown(self, how: int, /) -> None:
        """Do nothing."""

    def close(self) -> None:
        assert self.fd not in self._poller.masks, "still registered"
        self.closed = True
        if self.error_of_close is not None:
            raise self.error_of_close

    def arrive(self, *what: bytes | OSError) -> None:
        """Let bytes arrive, or an error."""
        self.incoming.extend(what)
        self._poller.look()

    def say(self, *texts: str) -> None:
        """Let messages arrive."""
        self.arrive(b"".join(frame(TEXT, text.encode()) for text in texts))

    def end(self) -> None:
        """Let the peer end the stream."""
        self.ended = True
        self._poller.look()

    def take(self, room: int) -> None:
        """Let the peer take more."""
        self.room += room
        self._poller.look()

    @property
    def events(self) -> int:
        events = IN if self.incoming or self.ended else 0
        if any(isinstance(each, OSError) for each in self.incoming):
            events |= ERR | HUP
        return events | (OUT if self.room else 0)


class SimulatedPoller:
    """Level-triggered, as an epoll is: an error is reported whatever the mask."""

    def __init__(self) -> None:
        self.masks: dict[int, int] = {}
        self.sockets: dict[int, SimulatedSocket] = {}
        self.registrations = 0
        self.polls = 0
        self.error: OSError | None = None
        """Of the following changes of what is reported."""
        self._ready = trio.Event()

    def register(self, fd: int, eventmask: int, /) -> None:
        self._raise_error()
        assert fd not in self.masks
        self.masks[fd] = eventmask
        self.registrations += 1
        self.look()

    def modify(self, fd: int, eventmask: int, /) -> None:
        self._raise_error()
        assert fd in self.masks
        self.masks[fd] = eventmask
        self.look()

    def unregister(self, fd: int, /) -> None:
        del self.masks[fd]  # closing the descriptor would do as well
        self._raise_error()

    def _raise_error(self) -> None:
        if self.error is not None:
            raise self.error

    def poll(self, timeout: float, maxevents: int, /) -> list[tuple[int, int]]:
        self.polls += 1
        return self._events()[:maxevents]

    def _events(self) -> list[tuple[int, int]]:
        found = (
            (fd, self.sockets[fd].events & (mask | ERR | HUP)) for fd, mask in self.masks.items()
        )
        return [(fd, events) for fd, events in found if events]

    def close(self) -> None:
        """Do nothing."""

    def look(self) -> None:
        """Wake who waits if something is ready."""
        if self._events():
            self._ready.set()

    async def wait(self) -> None:
        await trio.lowlevel.checkpoint()
        while not self._events():
            self._ready = trio.Event()
            await self._ready.wait()


class Talk(Channel):
    """A channel whose messages go to a function of the test."""

    def __init__(
        self,
        transport: WebSocketTransport,
        tasks: ChannelTasks,
        on_message: Callable[[Talk, str], None],
    ) -> None:
        super().__init__(transport, tasks, OutboxLimits(), lambda channel, reason: None)
        self.on_message = on_message
        self.messages: list[str] = []

    def open(self) -> None:
        """Say nothing."""

    def receive_text(self, text: str) -> None:
        self.messages.append(text)
        self.on_message(self, text)

    def receive_binary(self, payload: bytes) -> None:
        raise AssertionError

    def say(self, text: str) -> None:
        self.outbox.send(Message(text.encode()))

    def ended(self, reason: str) -> None:
        """Do nothing."""

    async def run_disconnect_handlers(self) -> None:
        """Do nothing."""

    def leave(self) -> None:
        """Close."""
        self.close(CloseCode.NORMAL)


def ignore(talk: Talk, text: str) -> None:
    """Do nothing with a message."""


class Simulation:
    """A plane with simulated sockets."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.poller = SimulatedPoller()
        self.plane = Plane(self.poller, self.poller.wait)
        self.timers = Timers()
        self.traffic = Traffic()
        self._nursery = nursery

    def connect(
        self,
        on_message: Callable[[Talk, str], None] = ignore,
        *,
        leftover: bytes = b"",
        room: int = 1_000_000,
        rate: float = 1e9,
        burst: int = 1_000_000_000,
    ) -> tuple[SimulatedSocket, Talk]:
        """Return a new connection's socket and channel."""
        fd = 1_000_000 + len(self.poller.sockets)
        socket = self.poller.sockets[fd] = SimulatedSocket(self.poller, fd)
        socket.room = room
        connection: PlaneConnection = self.plane.add(socket)
        transport = WebSocketTransport(
            connection, FrameParser(1_000_000), self.traffic, ReadRate(rate, burst), self.timers
        )
        tasks = ChannelTasks(self._nursery, connection.context)
        talk = transport.channel = Talk(transport, tasks, on_message)
        connection.start(transport, leftover)
        return socket, talk


@asynccontextmanager
async def simulation() -> AsyncIterator[Simulation]:
    """Run a plane with simulated sockets within the block."""
    async with trio.open_nursery() as nursery:
        simulated = Simulation(nursery)
        nursery.start_soon(simulated.plane.run)
        nursery.start_soon(simulated.timers.run)
        yield simulated
        nursery.cancel_scope.cancel()
