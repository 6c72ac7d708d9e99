"""Notifies systemd of this process's state, by the protocol of ``sd_notify(3)``.

A unit with ``Type=notify`` is started once clients can connect, and with ``WatchdogSec=`` it is
restarted when the event loop no longer turns. See ``config/gbs-actor.service``.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import MutableMapping
from contextlib import suppress
from typing import Self

import trio


class ServiceManager:
    """The systemd that has started this process; without one, nothing is sent.

    Nothing waits, and no error is raised: a message that cannot be sent is dropped. The socket
    stays open, so that a process without descriptors is not taken for a frozen one.

    :param address: of a datagram socket: a path, or ``@`` and an abstract name.
    :param watchdog: seconds without a message after which the process is killed.
    """

    def __init__(self, address: str | None = None, watchdog: float | None = None) -> None:
        self._watchdog = watchdog
        self._address = ""
        self._socket: socket.socket | None = None
        if address and address[0] in "/@":
            self._address = address.replace("@", "\0", 1) if address[0] == "@" else address
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._socket.setblocking(False)

    @classmethod
    def from_environment(cls, environment: MutableMapping[str, str]) -> Self:
        """Return the one that the variables name, and remove these: children must not use them."""
        address = environment.pop("NOTIFY_SOCKET", None)
        microseconds = environment.pop("WATCHDOG_USEC", "")
        pid = environment.pop("WATCHDOG_PID", str(os.getpid()))
        watched = microseconds.isdecimal() and int(microseconds) > 0 and pid == str(os.getpid())
        return cls(address, int(microseconds) / 1e6 if watched else None)

    def __enter__(self) -> Self:
        """Return itself; the socket is closed behind the block."""
        return self

    def __exit__(self, *_: object) -> None:
        if self._socket is not None:
            self._socket.close()

    def ready(self) -> None:
        """Notify it that clients can connect, or that a reload is done."""
        self._send("READY=1", "STATUS=Serving")

    def reloading(self) -> None:
        """Notify it that settings and certificate are read again; :meth:`ready` follows."""
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1_000
        self._send("RELOADING=1", f"MONOTONIC_USEC={now}", "STATUS=Reading the settings again")

    def stopping(self) -> None:
        """Notify it that the shutdown has begun."""
        self._send("STOPPING=1", "STATUS=Finishing the commands in flight")

    async def keep_alive(self) -> None:
        """Notify the watchdog twice in its time, until cancelled; without one, return.

        This is a task of the event loop: if that no longer turns, nothing is sent.
        """
        if self._watchdog is None:
            return
        while True:
            self._send("WATCHDOG=1")
            await trio.sleep(self._watchdog / 2)

    def _send(self, *lines: str) -> None:
        if self._socket is not None:
            with suppress(OSError):
                self._socket.sendto("\n".join(lines).encode(), self._address)
