"""The plane: one task that reads and writes many plain sockets, and runs their state machines.

A task for each connection is what costs most: memory, and a switch for every event. Here a
connection has a task only while a handler awaits. The plane waits for an ``epoll`` of its own,
level-triggered, in which each socket is registered once; on reads it gives the connection's
:class:`~gbs_actor.socketio.channel.websocket_transport.WebSocketTransport` its turns.

    _poll         visits the sockets that are ready: reads a little, and gives one turn
    _serve_queue  gives further turns to those with bytes left, which the epoll does not report

Both go on with other tasks after a few milliseconds, and never drop the rest of a batch. A
descriptor is closed behind the batch: a number that is used again meanwhile would get the events
of the socket that had it before.
"""

from __future__ import annotations

import logging
import select
from collections.abc import Awaitable, Callable
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from socket import SHUT_WR
from typing import Final

import msgspec
import trio

from gbs_actor.environment import SYSTEM
from gbs_actor.socketio.channel.channel import Channel
from gbs_actor.socketio.channel.outbox import Outbox
from gbs_actor.socketio.channel.poller import Poller
from gbs_actor.socketio.channel.websocket_transport import READ, Next, WebSocketTransport
from gbs_actor.socketio.channel.wire import SocketWire
from gbs_actor.socketio.net.sockets import Socket

logger = logging.getLogger(__name__)

_RECEIVE: Final = 4_096  # bytes at a visit: more would give others of a flood 12 times the wait
_BATCH: Final = 256  # sockets polled at once
_STEP: Final = 0.002  # seconds until other tasks run

_IN: Final = 0x001
_OUT: Final = 0x004


class PlaneStatistics(msgspec.Struct, frozen=True, rename="camel"):
    """A plane at one moment, and since it was made."""

    connections: int
    """Open now."""
    queued: int
    """Connections that wait for another turn."""
    longest_step: float
    """Seconds between two passes of the scheduler, the longest so far.

    Of the wall clock: what the kernel gives to other processes counts, as does garbage collection.
    """


class Plane:
    """Drives the connections that :meth:`add` takes, while :meth:`run` runs.

    :param poller: of this plane alone.
    :param wait: returns when the poller has something to report.
    """

    def __init__(self, poller: Poller, wait: Callable[[], Awaitable[None]]) -> None:
        self._poller = poller
        self._wait = wait
        self._open = 0
        self._connections: dict[int, PlaneConnection] = {}
        """Those that the poller reports, by descriptor."""
        self._queue: dict[PlaneConnection, None] = {}
        """Those that wait for another turn, the one that has waited longest first."""
        self._filled = trio.Event()
        self._in_batch = False
        self._ended: list[Socket] = []
        """To be closed behind the batch."""
        self._longest_step = 0.0

    def statistics(self) -> PlaneStatistics:
        """Return its state; never blocks."""
        return PlaneStatistics(self._open, len(self._queue), self._longest_step)

    def add(self, socket: Socket) -> PlaneConnection:
        """Return the connection over a socket, which nothing else may use from now on.

        Nothing is read before :meth:`PlaneConnection.start`.
        """
        self._open += 1
        return PlaneConnection(self, socket)

    def close(self) -> None:
        """Close the poller; there must be no connections any more."""
        self._poller.close()

    async def run(self, stopwatch: Callable[[], float] = SYSTEM.stopwatch) -> None:
        """Drive connections until cancelled; then those that are left are not driven any more.

        :param stopwatch: see :class:`~gbs_actor.environment.Environment`.
        """
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._poll, stopwatch)
            nursery.start_soon(self._serve_queue, stopwatch)

    async def _poll(self, stopwatch: Callable[[], float]) -> None:
        connections = self._connections
        connection: PlaneConnection | None
        while True:
            connection = None  # the last one is not kept alive
            await self._wait()
            self._in_batch = True
            try:
                began, now = stopwatch(), trio.current_time()
                for fd, events in self._poller.poll(0, _BATCH):
                    connection = connections.get(fd)
                    if connection is None:
                        continue  # it has ended within the batch
                    connection.context.run(connection.ready, events, now)
                    if stopwatch() - began > _STEP:
                        began, now = await self._share(began, stopwatch), trio.current_time()
                self._note_step(stopwatch() - began)
            finally:
                self._in_batch = False
                self._close_ended()

    async def _serve_queue(self, stopwatch: Callable[[], float]) -> None:
        queue = self._queue
        connection: PlaneConnection | None
        while True:
            connection = None  # the last one is not kept alive
            if not queue:
                self._filled = trio.Event()
                await self._filled.wait()
            began, now = stopwatch(), trio.current_time()
            for connection in list(queue):
                if self.unqueue(connection):
                    connection.context.run(connection.go_on, now)
                    if stopwatch() - began > _STEP:
                        began, now = await self._share(began, stopwatch), trio.current_time()
            self._note_step(stopwatch() - began)
            await trio.lowlevel.checkpoint()

    async def _share(self, began: float, stopwatch: Callable[[], float]) -> float:
        """Let other tasks run, as a step has taken long; return when the next one began."""
        self._note_step(stopwatch() - began)
        await trio.lowlevel.checkpoint()
        return stopwatch()

    def _note_step(self, seconds: float) -> None:
        self._longest_step = max(self._longest_step, seconds)

    # What its connections call.

    def watch(self, connection: PlaneConnection, before: int, events: int) -> None:
        """Report other events of a connection.

        :param before: those that were reported.
        :raises OSError: the system has no room for it.
        """
        fd = connection.fd
        if not before:
            self._poller.register(fd, events)
            self._connections[fd] = connection
        elif events:
            self._poller.modify(fd, events)
        else:  # with no event in its mask, a reset would still be reported, and again and again
            del self._connections[fd]
            with suppress(OSError):
                self._poller.unregister(fd)

    def queue(self, connection: PlaneConnection) -> None:
        """Give a connection another turn."""
        connection.queued = True
        self._queue[connection] = None
        self._filled.set()

    def unqueue(self, connection: PlaneConnection) -> bool:
        """Give a connection no further turn; return whether it would have got one."""
        connection.queued = False
        return self._queue.pop(connection, False) is None

    def close_socket(self, socket: Socket) -> None:
        """Close a socket whose events are not reported any more."""
        self._open -= 1
        self._ended.append(socket)
        if not self._in_batch:
            self._close_ended()

    def _close_ended(self) -> None:
        while self._ended:
            socket = self._ended.pop()
            trio.lowlevel.notify_closing(socket.fileno())
            with suppress(OSError):  # it is closed nevertheless
                socket.close()


def open_plane() -> Plane | None:
    """Return a new plane; ``None`` where the system has no ``epoll``."""
    if not hasattr(select, "epoll"):
        return None
    epoll = select.epoll()
    return Plane(epoll, partial(trio.lowlevel.wait_readable, epoll.fileno()))


class PlaneConnection:
    """One socket in a plane; its transport's :class:`~.websocket_transport.Driver`."""

    __slots__ = (
        "_closed",
        "_events",
        "_on_close",
        "_outbox",
        "_plane",
        "_released",
        "_socket",
        "_transport",
        "context",
        "fd",
        "queued",
        "wire",
    )

    def __init__(self, plane: Plane, socket: Socket) -> None:
        self._plane = plane
        self._socket = socket
        self.fd = socket.fileno()
        self.wire = SocketWire(socket.send)
        self.context = copy_context()
        """What its handlers run in."""
        self._transport: WebSocketTransport | None = None
        self._events = 0
        """Those that the plane reports."""
        self.queued = False
        """Whether the plane will give it another turn."""
        self._outbox: Outbox | None = None
        """What is written when the socket takes more."""
        self._closed = self._released = False
        self._on_close: Callable[[PlaneConnection], None] | None = None

    def start(self, transport: WebSocketTransport, leftover: bytes = b"") -> None:
        """Begin to read for a transport.

        :param leftover: the bytes that were read before.
        """
        if self._closed:
            return  # its first message has broken it
        self._transport = transport
        if leftover:
            transport.add(leftover, trio.current_time())
            self._plane.queue(self)
        else:
            self._report(self._events | _IN)

    # What the plane calls, in the connection's context; a failure ends this connection only.

    def ready(self, events: int, now: float) -> None:
        """Write and read, as the socket is ready or has ended.

        :param now: Trio's time.
        """
        try:
            # An end is reported whether or not it was asked for: writing fails then, and what
            # has come before it is there to be read.
            if self._outbox is not None and events & ~_IN and not self._outbox.write_some():
                self._outbox = None
                self._report(self._events & ~_OUT)
            if not (events & ~_OUT and self._events & _IN) or self.queued:
                return
            transport = self._transport
            assert transport is not None
            try:
                data = self._socket.recv(_RECEIVE)
            except BlockingIOError:
                return
            except OSError:
                transport.broken()
                return
            if not data:
                transport.end_of_stream()
            elif (following := transport.receive(data, now)) is not READ:
                self._follow(following)
        except Exception:
            logger.exception("a connection failed")
            self._fail()

    def go_on(self, now: float) -> None:
        """Give the transport a turn.

        :param now: Trio's time.
        """
        if self._transport is None or self._closed:
            return
        try:
            self._follow(self._transport.turn(now))
        except Exception:
            logger.exception("a connection failed")
            self._fail()

    def _follow(self, following: Next) -> None:
        if following is Next.TURN:
            self._plane.queue(self)
        elif following is Next.READ:
            self._report(self._events | _IN)
        else:
            self._report(self._events & ~_IN)

    def _fail(self) -> None:
        try:
            if self._transport is not None and self._transport.channel is not None:
                self._transport.channel.lose("transport error")
        except Exception:
            logger.exception("a connection failed to end")
        finally:
            self.abort()

    def _report(self, events: int) -> None:
        before = self._events
        if events != before and not self._closed:
            self._plane.watch(self, before, events)
            self._events = events

    # What its transport calls.

    def resume(self) -> None:
        """See :class:`~gbs_actor.socketio.channel.websocket_transport.Driver`."""
        if not self._closed:
            self._plane.queue(self)

    def write_queued(self, channel: Channel) -> None:
        """See :class:`~gbs_actor.socketio.channel.websocket_transport.Driver`."""
        self._outbox = channel.outbox
        try:
            self._report(self._events | _OUT)
        except OSError:  # not the sender's fault
            channel.lose("transport error")

    async def send_eof(self) -> None:
        """See :class:`~gbs_actor.socketio.channel.websocket_transport.Driver`."""
        with suppress(OSError):
            self._socket.shutdown(SHUT_WR)

    def abort(self) -> None:
        """Close the socket."""
        if self._closed:
            return
        self._report(0)
        self._closed = True
        self._outbox = None
        self._plane.unqueue(self)
        self._plane.close_socket(self._socket)

    def close(self) -> None:
        """See :class:`~gbs_actor.socketio.channel.websocket_transport.Driver`."""
        self.abort()
        self._transport = None
        self._released = True
        on_close, self._on_close = self._on_close, None
        if on_close is not None:
            on_close(self)

    # What the front door calls.

    def on_close(self, callback: Callable[[PlaneConnection], None]) -> None:
        """Call ``callback`` when the connection and all that it has run have ended."""
        if self._released:
            callback(self)
        else:
            self._on_close = callback

    def drop(self) -> None:
        """End the connection at once."""
        if self._transport is not None and self._transport.channel is not None:
            self._transport.channel.lose("server shutting down")
