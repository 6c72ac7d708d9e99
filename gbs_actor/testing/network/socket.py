"""Simulated sockets, which behave as those of Linux do for TCP."""

from __future__ import annotations

import errno
import os
import socket as stdlib
from collections.abc import Callable
from contextlib import nullcontext
from typing import Final, Protocol

import trio

from gbs_actor.testing.network.address import Address
from gbs_actor.testing.network.conditions import PERFECT, Conditions
from gbs_actor.testing.network.flow import Flow

IN: Final = 0x001
OUT: Final = 0x004
ERR: Final = 0x008
HUP: Final = 0x010
RDHUP: Final = 0x2000


class Watcher(Protocol):
    """What polls a socket."""

    def changed(self, fd: int) -> None:
        """Note that other events may be reported, now or later."""
        ...

    def closed(self, fd: int) -> None:
        """Note that the number is free."""
        ...


class SimSocket:
    """One end of a connection: a socket that does not block.

    Made by :func:`socket_pair`. What is in flight arrives while nobody looks: no task is needed.
    """

    __slots__ = (
        "_closed",
        "_error",
        "_fd",
        "_flow_in",
        "_flow_out",
        "_on_close",
        "_other",
        "_peername",
        "_reader",
        "_reset",
        "_sockname",
        "_was_blocked",
        "_write_shut",
        "_writer",
        "watcher",
    )

    def __init__(self, sockname: Address, peername: Address, flow_in: Flow, flow_out: Flow) -> None:
        self._sockname = sockname
        self._peername = peername
        self._flow_in = flow_in
        self._flow_out = flow_out
        self._other = self
        self._fd = -1
        self._on_close: Callable[[int], None] | None = None
        self._closed = self._reset = self._write_shut = False
        self._error = 0
        """Raised once; SO_ERROR."""
        self._was_blocked = False
        """Whether the latest send was blocked by chance: the next one is not."""
        self._reader: trio.lowlevel.Task | None = None
        self._writer: trio.lowlevel.Task | None = None
        self.watcher: Watcher | None = None

    @staticmethod
    def closed() -> SimSocket:
        """Return a socket that is closed."""
        socket = socket_pair(Address("", 0), Address("", 0))[0]
        socket.close()
        return socket

    # What it is

    @property
    def family(self) -> stdlib.AddressFamily:
        """Of its addresses."""
        return self._sockname.family

    def fileno(self) -> int:
        """Return its number; -1 if it has none, or is closed."""
        return self._fd

    def getsockname(self) -> tuple[str, int] | tuple[str, int, int, int]:
        """Return its own address.

        :raises OSError: closed.
        """
        self._check_open()
        return self._sockname.name

    def getpeername(self) -> tuple[str, int] | tuple[str, int, int, int]:
        """Return the address of the other end.

        :raises OSError: closed, or not connected any more.
        """
        self._check_open()
        if self._disconnected:
            raise _os_error(errno.ENOTCONN)
        return self._peername.name

    @property
    def peer_host(self) -> str:
        """The IP address of the other end, whether or not it is still connected."""
        return self._peername.host

    def setblocking(self, flag: bool, /) -> None:
        """Do nothing: it never blocks.

        :raises ValueError: it is asked to.
        """
        if flag:
            raise ValueError("a simulated socket does not block")

    @property
    def _disconnected(self) -> bool:
        return self._reset or (self._write_shut and self._flow_in.ended)

    # Bytes

    def recv(self, size: int, /) -> bytes:
        """Receive; b"" at the end of the stream.

        :raises BlockingIOError: nothing has arrived.
        :raises OSError: reset, or closed on this side.
        """
        self._check_open()
        data = self._flow_in.receive(size)
        if data:
            self._other.note_room()
            return data
        if self._flow_in.ended:
            return b""
        self._raise_error()
        if self._reset:
            return b""
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    def send(self, data: bytes | bytearray | memoryview, /) -> int:
        """Send some of the data; return how many bytes.

        :raises BlockingIOError: there is no room now.
        :raises OSError: reset, or closed on this side.
        """
        self._check_open()
        self._raise_error()
        if self._reset or self._write_shut:
            raise _os_error(errno.EPIPE)
        if not data:
            return 0
        flow = self._flow_out
        room = min(flow.room, len(data))
        if room <= 0 or self._is_blocked(flow.conditions):
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        count = flow.conditions.sent(room)
        if self._other._closed and not flow.lost:  # it answers by a reset
            self.reset()
        else:
            flow.send(bytes(data[:count]))
            self._other.note_arrival()
        return count

    def _is_blocked(self, conditions: Conditions) -> bool:
        self._was_blocked = not self._was_blocked and conditions.blocks()
        return self._was_blocked

    def shutdown(self, how: int, /) -> None:
        """End the stream to the peer.

        :param how: ``SHUT_WR``.
        :raises OSError: not connected any more, or closed on this side.
        """
        if how != stdlib.SHUT_WR:
            raise ValueError("a simulated socket ends its sending side only")
        self._check_open()
        if self._disconnected:
            raise _os_error(errno.ENOTCONN)
        if not self._write_shut:
            self._write_shut = True
            self._flow_out.end()
            self._other.note_arrival()
            self._notify()

    def close(self) -> None:
        """Close it: the peer finds the end of the stream, or a reset if bytes were not received."""
        if self._closed:
            return
        self._closed = True
        if self._on_close is not None:
            fd, self._fd = self._fd, -1
            self._on_close(fd)
            if self.watcher is not None:
                self.watcher.closed(fd)
                self.watcher = None
        self._notify()
        if self._reset or self._flow_out.lost:
            return
        if self._flow_in.unreceived:
            self._other.reset()
        elif not self._write_shut:
            self._flow_out.end()
            self._other.note_arrival()

    def reset(self) -> None:
        """Break the connection at this end, as a reset that has arrived does (RFC 9293 §3.5.3)."""
        if self._closed or self._disconnected:
            return
        self._error = errno.EPIPE if self._flow_in.ended else errno.ECONNRESET
        self._reset = True
        self._flow_in.break_off()
        self._notify()

    def _check_open(self) -> None:
        if self._closed:
            raise _os_error(errno.EBADF)

    def _raise_error(self) -> None:
        if self._error:
            error, self._error = self._error, 0
            raise _os_error(error)

    # Readiness

    def events(self) -> int:
        """Return what a poller reports now, ``EPOLLIN`` and the like."""
        flow_in = self._flow_in
        read_shut = self._reset or flow_in.ended
        write_shut = self._reset or self._write_shut
        events = 0
        if read_shut:
            events |= IN | RDHUP
        elif flow_in.readable:
            events |= IN
        if write_shut or self._flow_out.writable:
            events |= OUT
        if read_shut and write_shut:
            events |= HUP
        if self._error:
            events |= ERR
        return events

    @property
    def next_arrival(self) -> float | None:
        """When more arrives, on Trio's clock; ``None`` if nothing is in flight."""
        return self._flow_in.next_arrival

    async def wait_readable(self) -> None:
        """Return when :meth:`recv` does not block, or it is closed; a checkpoint if it does.

        :raises trio.BusyResourceError: another task waits.
        """
        if self._reader is not None:
            raise trio.BusyResourceError("another task is receiving")
        while not (self._closed or self.events() & IN):
            self._reader = trio.lowlevel.current_task()
            arrival = self._flow_in.next_arrival
            with nullcontext() if arrival is None else trio.move_on_at(arrival):
                await trio.lowlevel.wait_task_rescheduled(self._stop_reader)

    def _stop_reader(self, _raise_cancel: object) -> trio.lowlevel.Abort:
        self._reader = None
        return trio.lowlevel.Abort.SUCCEEDED

    async def wait_writable(self) -> None:
        """Return when there is room, or :meth:`send` raises; a checkpoint if it does block.

        :raises trio.BusyResourceError: another task waits.
        """
        if self._writer is not None:
            raise trio.BusyResourceError("another task is sending")
        while not (self._closed or self.events() & OUT):
            self._writer = trio.lowlevel.current_task()
            await trio.lowlevel.wait_task_rescheduled(self._stop_writer)

    def _stop_writer(self, _raise_cancel: object) -> trio.lowlevel.Abort:
        self._writer = None
        return trio.lowlevel.Abort.SUCCEEDED

    # What changes it

    def note_arrival(self) -> None:
        """Wake what waits for bytes, which are in flight or have arrived."""
        if self._reader is not None:
            reader, self._reader = self._reader, None
            trio.lowlevel.reschedule(reader)
        if self.watcher is not None:
            self.watcher.changed(self._fd)

    def note_room(self) -> None:
        """Wake what waits for room."""
        if self._writer is not None:
            writer, self._writer = self._writer, None
            trio.lowlevel.reschedule(writer)
        if self.watcher is not None:
            self.watcher.changed(self._fd)

    def _notify(self) -> None:
        self.note_arrival()
        self.note_room()

    def open_as(self, fd: int, on_close: Callable[[int], None]) -> None:
        """Give it a number.

        :param on_close: called with the number when it is closed.
        """
        self._fd = fd
        self._on_close = on_close

    # What a test does to it

    def cut(self) -> None:
        """Reset the connection at both ends; bytes in flight are lost."""
        self.reset()
        self._other.reset()

    def lose(self) -> None:
        """Lose all that is sent from now on, in either direction: neither end notices."""
        self._flow_in.lose()
        self._flow_out.lose()

    def hold(self, held: bool) -> None:
        """Receive nothing, or receive again."""
        self._flow_in.held = held
        self.note_arrival()

    def limit(self, size: int | None) -> None:
        """Let one receive return so many bytes at most, in either direction."""
        self._flow_in.limit = self._flow_out.limit = size

    def connect(self, other: SimSocket) -> None:
        """Make another socket the other end."""
        self._other = other


def socket_pair(
    client: Address, server: Address, conditions: Conditions = PERFECT
) -> tuple[SimSocket, SimSocket]:
    """Return the ends of a new connection, that of the client first."""
    up, down = Flow(conditions), Flow(conditions)
    sockets = SimSocket(client, server, down, up), SimSocket(server, client, up, down)
    sockets[0].connect(sockets[1])
    sockets[1].connect(sockets[0])
    return sockets


def _os_error(number: int) -> OSError:
    return OSError(number, os.strerror(number))
