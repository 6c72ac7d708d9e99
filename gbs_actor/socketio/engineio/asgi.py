"""Engine.IO under an ASGI server that runs on Trio: long-polling, and its WebSockets."""

from __future__ import annotations

from typing import Final

import trio

from gbs_actor.socketio.channel.asgi import WebSocketApp
from gbs_actor.socketio.engineio.server import EngineServer
from gbs_actor.socketio.net.asgi import (
    App,
    Receive,
    Scope,
    Send,
    peer_of,
    request_of,
    respond_over_asgi,
)
from gbs_actor.socketio.net.http_exchange import BodyTooLarge, ClientGone

_DROP_BYTES: Final = 65_536  # of a body that is not read
_DROP_TIME: Final = 1.0  # seconds for it


class EngineApp(WebSocketApp):
    """An ASGI application that serves Engine.IO at the server's path.

    :param server: has to be served meanwhile; see :meth:`EngineServer.serving`.
    :param other: gets everything else, the lifespan included. Without it that is a 404.
    """

    def __init__(self, server: EngineServer, other: App | None = None) -> None:
        super().__init__(server, other)
        self._server = server

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or one WebSocket."""
        if scope["type"] == "http" and scope["path"].startswith(self._server.path):
            await self._http(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = _Exchange(scope, receive)
        try:
            response = await self._server.serve_http(exchange)
            await exchange.drop_body()
        except ClientGone:
            return
        await respond_over_asgi(send, response)


class _Exchange:
    """Implements :class:`~gbs_actor.socketio.net.http_exchange.HttpExchange`."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.request = request_of(scope)
        self.peer = peer_of(scope)
        self.secure = scope["scheme"] == "https"
        self._receive = receive
        self._over = False  # nothing more comes, or the rest is not needed

    async def read_body(self, limit: int) -> bytes:
        body = bytearray()
        try:
            while not self._over:
                body += await self._part()
                if len(body) > limit:
                    raise BodyTooLarge
        finally:
            self._over = True
        return bytes(body)

    async def drop_body(self) -> None:
        """Read what is left, if it is little, so that the connection may be used again.

        :raises ClientGone: the client has disconnected.
        """
        dropped = 0
        with trio.move_on_after(_DROP_TIME):
            while not self._over and dropped < _DROP_BYTES:
                dropped += len(await self._part())

    async def wait_disconnected(self) -> None:
        while (message := await self._receive())["type"] != "http.disconnect":
            self._over = not message.get("more_body", False)

    async def _part(self) -> bytes:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        self._over = not message.get("more_body", False)
        part: bytes = message.get("body", b"")
        return part
