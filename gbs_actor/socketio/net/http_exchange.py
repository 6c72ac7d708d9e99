"""A request and its client, as a handler of requests sees them over any HTTP server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from gbs_actor.socketio.net.http_response import HttpResponse
from gbs_actor.socketio.net.request import Request


class BodyTooLarge(Exception):
    """A request's body is too large."""


class ClientGone(Exception):
    """The client has ended its connection before its request was complete, or had a response."""


class HttpExchange(Protocol):
    """One request that has no response yet; its body may still be arriving."""

    @property
    def request(self) -> Request:
        """Its head."""
        ...

    @property
    def peer(self) -> str | None:
        """IP address of the connection's other end; ``None`` if it has none."""
        ...

    @property
    def secure(self) -> bool:
        """Whether the connection is encrypted."""
        ...

    async def read_body(self, limit: int) -> bytes:
        """Read the body.

        :param limit: bytes that it may have.
        :raises BodyTooLarge: it has more.
        :raises ClientGone: the client has ended its connection before.
        """
        ...

    async def wait_disconnected(self) -> None:
        """Return when the client has ended its connection; drop the body meanwhile."""
        ...


RequestHandler = Callable[[HttpExchange], Awaitable[HttpResponse]]
"""Responds to one request.

It raises :exc:`ClientGone` if nobody is left to respond to.
"""
