"""Engine.IO under an ASGI server that runs on Trio: long-polling, and its WebSockets."""

from __future__ import annotations

from typing import Final

import trio

from gbs_actor.socketio.channel.asgi import WebSocketApp
from gbs_actor.socketio.engineio.server import BodyTooLarge, ClientGone, EngineServer
from gbs_actor.socketio.net.asgi import (
    App,
    Receive,
    Scope,
    Send,
    peer_of,
    request_of,
    respond_over_asgi,
)
from gbs_actor.socketio.net.http_response import HttpResponse

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
        if scope["method"] == "GET":
            response = await self._wait(scope, receive)
        else:
            body = _Body(receive)
            try:
                response = await self._serve(scope, body)
                await body.drop()
            except ClientGone:
                return
        if response is not None:
            await respond_over_asgi(send, response)

    async def _wait(self, scope: Scope, receive: Receive) -> HttpResponse | None:
        """Serve a GET, which may wait; return ``None`` if the client has disconnected."""
        response: HttpResponse | None = None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_cancel_when_gone, receive, nursery.cancel_scope)
            response = await self._serve(scope, _Body(receive))
            nursery.cancel_scope.cancel()
        return response

    async def _serve(self, scope: Scope, body: _Body) -> HttpResponse:
        secure = scope["scheme"] == "https"
        return await self._server.serve_http(
            request_of(scope), body.read, peer_of(scope), secure=secure
        )


class _Body:
    """The body of a request, as ASGI brings it."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._over = False  # nothing more comes, or the rest is not needed

    async def read(self, limit: int) -> bytes:
        """See :data:`~gbs_actor.socketio.engineio.server.ReadBody`."""
        body = bytearray()
        try:
            while not self._over:
                body += await self._part()
                if len(body) > limit:
                    raise BodyTooLarge
        finally:
            self._over = True
        return bytes(body)

    async def drop(self) -> None:
        """Read what is left, if it is little, so that the connection may be used again.

        :raises ClientGone: the client has disconnected.
        """
        dropped = 0
        with trio.move_on_after(_DROP_TIME):
            while not self._over and dropped < _DROP_BYTES:
                dropped += len(await self._part())

    async def _part(self) -> bytes:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        self._over = not message.get("more_body", False)
        part: bytes = message.get("body", b"")
        return part


async def _cancel_when_gone(receive: Receive, scope: trio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass  # the body of a GET, which is ignored
    scope.cancel()
