"""Who serves the WebSockets of which paths."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple

import trio

from gbs_actor.socketio.net.front_door.by_path import ByPath
from gbs_actor.socketio.net.front_door.detached import Detached
from gbs_actor.socketio.net.http_response import HttpResponse
from gbs_actor.socketio.net.request import Request
from gbs_actor.socketio.net.sockets import Socket

UpgradeHandler = Callable[
    [trio.abc.HalfCloseableStream, Request, bytes], Awaitable[Detached | None]
]
"""Serves one WebSocket: its stream, its request, and the bytes read after it.

It returns when that has ended; or with a connection that it keeps, which counts until it is
closed. The stream is a :class:`TlsStream` if the listener is a :class:`TlsListener`.
"""

SocketHandler = Callable[[Socket, str | None, Request, bytes], Detached | HttpResponse | None]
"""Takes the socket of one WebSocket, without blocking: the socket, its peer's IP address, its
request, and the bytes read after it.

It returns a connection that it keeps, which counts until it is closed. It owns the socket then,
and when it raises. Else the door sends the response that it returns, or, if that is ``None``, calls
the path's :data:`UpgradeHandler`.
"""


class Handlers(NamedTuple):
    """What serves the WebSockets of a path."""

    serve: UpgradeHandler
    take: SocketHandler | None


class Upgrades:
    """The handlers of paths; the longest prefix of the request's path wins."""

    def __init__(
        self, handlers: Mapping[str, UpgradeHandler], sockets: Mapping[str, SocketHandler]
    ) -> None:
        self._handlers = ByPath(
            {path: Handlers(serve, sockets.get(path)) for path, serve in handlers.items()}
        )

    def handlers(self, request: Request) -> Handlers | None:
        """Return what serves a request; ``None``: it asks for no WebSocket, or for no such path."""
        return self._handlers.of(request.path) if request.is_websocket_upgrade else None
