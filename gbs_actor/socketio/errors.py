"""Exceptions that the package raises to applications."""

from __future__ import annotations

from typing import Any


class SocketIOError(Exception):
    """Base of all exceptions that this package raises."""


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
    """An event's arguments cannot be decoded as JSON: nested too deeply, or a number too large."""


class AlreadyAcknowledged(SocketIOError):
    """An event was acknowledged a second time."""


class SocketClosed(SocketIOError):
    """The socket has ended, so no acknowledgement can come."""
