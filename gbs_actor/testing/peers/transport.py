"""What carries the messages of a peer: a WebSocket, or long-polling."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from gbs_actor.testing.network import SimStream

Dial = Callable[[], Awaitable[SimStream]]
"""Opens another connection to the server; raises ``OSError`` while there is none."""

HOST = "lineup.test"
"""The server's name, in ``Host``."""


class TransportClosed(Exception):
    """Nothing more comes."""

    def __init__(self, code: int | None, reason: str = "") -> None:
        super().__init__(code, reason)
        self.code = code
        """Of the WebSocket's close frame, or of the HTTP response; ``None``: the stream broke."""
        self.reason = reason


class Transport(Protocol):
    """One connection, as a peer uses it. One task receives; several may send."""

    @property
    def stream(self) -> SimStream:
        """The one that the server's messages come by."""

    async def send(self, *messages: str | bytes) -> None:
        """Send messages; a cancelled one ends the connection.

        :raises TransportClosed: the connection has ended.
        """

    async def receive(self) -> list[str | bytes]:
        """Return the next messages, one at least.

        :raises TransportClosed: the connection has ended.
        """

    async def aclose(self) -> None:
        """Begin to close; :meth:`receive` raises once the server has closed, too.

        :raises TransportClosed: the connection has ended.
        """

    def close_now(self) -> None:
        """Close all streams, without a word."""
