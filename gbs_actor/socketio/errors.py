"""What the package raises to the applications that use it."""

from __future__ import annotations

from typing import Any


class SocketIOError(Exception):
    """Base of everything this package raises on purpose."""


class ConnectError(SocketIOError):
    """Raised by an ``on_connect`` handler to refuse a client.

    The client receives ``{"message": message, "data": data}`` as a CONNECT_ERROR packet.

    :param message: what the client's ``connect_error`` sees as ``error.message``.
    :param data: a JSON value for ``error.data``; ``None`` leaves it out.
    """

    def __init__(self, message: str, data: Any = None) -> None:
        super().__init__(message)
        self.message = message
        self.data = data


class InvalidArguments(SocketIOError):
    """An event's arguments are no JSON that can be decoded: too deep, too large a number."""


class AlreadyAcknowledged(SocketIOError):
    """An event was acknowledged a second time."""


class SocketClosed(SocketIOError):
    """The socket has ended, so nobody can answer any more."""
