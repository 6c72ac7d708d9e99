"""A simulated poller, and the plane over it."""

from __future__ import annotations

import errno
import os
from contextlib import nullcontext
from random import Random

import trio

from gbs_actor.socketio import Plane
from gbs_actor.testing.network.descriptors import Descriptors
from gbs_actor.testing.network.socket import ERR, HUP


class SimPoller:
    """Reports which sockets of a process are ready, as a level-triggered ``epoll`` does.

    :param descriptors: the sockets of the process.
    :param random: decides about the order and the size of each batch. Without it, the socket that
        has waited longest is the first, and a batch is as large as it may be.
    """

    def __init__(self, descriptors: Descriptors, random: Random | None = None) -> None:
        self._descriptors = descriptors
        self._random = random
        self._masks: dict[int, int] = {}
        self._changed: dict[int, None] = {}
        """Those that may be ready, as epoll's ready list; others need not be looked at."""
        self._arrivals: dict[int, float] = {}
        """When more arrives at those that have bytes in flight."""
        self._task: trio.lowlevel.Task | None = None

    def register(self, fd: int, eventmask: int, /) -> None:
        """Begin to report a socket.

        :raises OSError: there is none (EBADF), or it is registered already (EEXIST).
        """
        socket = self._descriptors.socket(fd)
        if fd in self._masks:
            raise OSError(errno.EEXIST, os.strerror(errno.EEXIST))
        socket.watcher = self
        self._masks[fd] = eventmask
        self.changed(fd)

    def modify(self, fd: int, eventmask: int, /) -> None:
        """Report other events.

        :raises OSError: there is no such socket (EBADF), or it is not registered (ENOENT).
        """
        self._check_registered(fd)
        self._masks[fd] = eventmask
        self.changed(fd)

    def unregister(self, fd: int, /) -> None:
        """Report a socket no more.

        :raises OSError: there is none (EBADF), or it is not registered (ENOENT).
        """
        self._check_registered(fd)
        self._descriptors.socket(fd).watcher = None
        self.closed(fd)

    def _check_registered(self, fd: int) -> None:
        self._descriptors.socket(fd)
        if fd not in self._masks:
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))

    def poll(self, timeout: float, maxevents: int, /) -> list[tuple[int, int]]:
        """Return sockets that are ready, with their events.

        :param timeout: 0; see :meth:`wait`.
        :param maxevents: how many at most.
        """
        if timeout:
            raise ValueError("a simulated poller does not block")
        ready = self._ready()
        size = min(len(ready), maxevents)
        if self._random is not None and len(ready) > 1:
            self._random.shuffle(ready)
            size = self._random.randint(1, size)
        batch = ready[:size]
        for fd, _ in batch:
            del self._changed[fd]
            self._changed[fd] = None  # behind the others
        return batch

    def _ready(self) -> list[tuple[int, int]]:
        """Return all that are ready."""
        if self._arrivals:
            now = trio.current_time()
            for fd in [fd for fd, arrival in self._arrivals.items() if arrival <= now]:
                del self._arrivals[fd]
                self._changed[fd] = None
        ready = []
        for fd in list(self._changed):
            socket = self._descriptors.socket(fd)
            if events := socket.events() & (self._masks[fd] | ERR | HUP):
                ready.append((fd, events))
                continue
            del self._changed[fd]
            arrival = socket.next_arrival
            if arrival is not None:
                self._arrivals[fd] = arrival
        return ready

    async def wait(self) -> None:
        """Return when a socket is ready. A checkpoint.

        :raises trio.BusyResourceError: another task waits.
        """
        if self._task is not None:
            raise trio.BusyResourceError("another task waits for this poller")
        await trio.lowlevel.checkpoint()
        while not self._ready():
            self._task = trio.lowlevel.current_task()
            arrival = min(self._arrivals.values(), default=None)
            with nullcontext() if arrival is None else trio.move_on_at(arrival):
                await trio.lowlevel.wait_task_rescheduled(self._stop)

    def _stop(self, _raise_cancel: object) -> trio.lowlevel.Abort:
        self._task = None
        return trio.lowlevel.Abort.SUCCEEDED

    def close(self) -> None:
        """Report nothing any more."""
        for fd in list(self._masks):
            self.unregister(fd)

    # What its sockets call

    def changed(self, fd: int) -> None:
        """Look at a socket again: other events may be reported, now or later."""
        self._changed[fd] = None
        if self._task is not None:
            task, self._task = self._task, None
            trio.lowlevel.reschedule(task)

    def closed(self, fd: int) -> None:
        """Report nothing of a number, which another socket may get."""
        del self._masks[fd]
        self._changed.pop(fd, None)
        self._arrivals.pop(fd, None)


def sim_plane(descriptors: Descriptors, random: Random | None = None) -> Plane:
    """Return a plane for simulated sockets.

    :param descriptors: of the process that it is a part of.
    :param random: see :class:`SimPoller`.
    """
    poller = SimPoller(descriptors, random)
    return Plane(poller, poller.wait)
