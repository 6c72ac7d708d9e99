"""Programs that run stock clients: one process for the clients of many tests.

Such a program prints the port that it listens on, and ends with its standard input. Each
connection to it is one client, which it makes when the connection begins and disposes of
when it ends; see :mod:`tests.e2e.stock_client` for what is sent over it.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import trio

TRANSPORTS = {
    "polling": "polling",
    "websocket": "websocket",
    "upgrade": "polling,websocket",
}
"""The ways of a stock client through the network, by name."""

_STOP = 10.0  # seconds an end may take


@dataclass(frozen=True)
class Driver:
    """Makes clients of one kind."""

    port: int
    """Where its program listens."""
    transports: tuple[str, ...]
    """What its clients may use, in this order."""
    page: str | None = None
    """The origin of the page that its clients are in; ``None`` outside of browsers."""

    @property
    def upgrades(self) -> bool:
        return len(self.transports) > 1

    @property
    def last_transport(self) -> str:
        """What a client stays on, once an upgrade is done."""
        return self.transports[-1]

    async def connect(self) -> trio.SocketStream:
        """Open the connection of a client."""
        return await trio.open_tcp_stream("127.0.0.1", self.port)


Drivers = Mapping[str, Driver]
"""The drivers of one kind of client, by the names of :data:`TRANSPORTS`."""


def over_each_transport(port: int, page: str | None = None) -> Drivers:
    """Return the drivers of a program."""
    return {
        name: Driver(port, tuple(transports.split(",")), page)
        for name, transports in TRANSPORTS.items()
    }


@contextmanager
def running_program(
    command: Sequence[str], environment: Mapping[str, str] | None = None
) -> Iterator[int]:
    """Run a program for the time of a block; yield the port that it listens on.

    :param environment: further variables.
    """
    process = subprocess.Popen(
        list(command),
        env={**os.environ, **(environment or {})},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        port = process.stdout.readline()
        assert port, f"{command} did not start"
        yield int(port)
    finally:
        process.stdin.close()
        try:
            process.wait(_STOP)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
