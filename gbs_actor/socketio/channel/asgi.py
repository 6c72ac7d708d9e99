"""Channels under any ASGI server that runs on Trio.

Long-polling, and WebSockets that do not come to a stream of our own: those that arrive on
a reused connection, and all of them under a stock ASGI server.
"""

from __future__ import annotations

from typing import Any, Final

import trio

from gbs_actor.socketio.channel.asgi_transport import AsgiTransport
from gbs_actor.socketio.channel.asgi_types import App, Receive, Scope, Send
from gbs_actor.socketio.channel.close_code import CloseCode
from gbs_actor.socketio.channel.handshake import join_fields
from gbs_actor.socketio.channel.refusal import RequestRefused
from gbs_actor.socketio.channel.server import ChannelServer
from gbs_actor.socketio.channel.subprotocol import offered_subprotocols, select_subprotocol
from gbs_actor.socketio.engineio.server import BodyTooLarge, ClientGone, EngineServer
from gbs_actor.socketio.net.http_response import HttpResponse
from gbs_actor.socketio.net.request import Request

_DROP_BYTES: Final = 65_536  # of a body that nobody wants
_DROP_TIME: Final = 1.0  # seconds for it
_NOT_FOUND: Final = HttpResponse(404, b'{"code":"NOT_FOUND","message":"Not found."}')


class WebSocketApp:
    """An ASGI application that serves WebSockets at a server's path.

    :param server: has to be served meanwhile; see :meth:`ChannelServer.serving`.
    :param other: gets everything else, the lifespan included. Without it that is a 404.
    """

    def __init__(self, server: ChannelServer[Any], other: App | None = None) -> None:
        self._sockets = server
        self._other = _nothing if other is None else other

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one WebSocket, or hand on whatever else it is."""
        if scope["type"] == "websocket" and scope["path"].startswith(self._sockets.path):
            await self._websocket(scope, receive, send)
        else:
            await self._other(scope, receive, send)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        server = self._sockets
        await receive()  # websocket.connect
        request, secure = _request(scope), scope["scheme"] == "wss"
        try:
            with server.admitted(request, _peer(scope), secure=secure) as admission:
                offered = offered_subprotocols(join_fields(request.fields))
                subprotocol = select_subprotocol(offered, server.subprotocols(admission))
                await send({"type": "websocket.accept", "subprotocol": subprotocol})
                if not server.accepting:  # any longer
                    await send({"type": "websocket.close", "code": CloseCode.GOING_AWAY})
                    return
                transport = AsgiTransport(
                    receive,
                    send,
                    server.received,
                    server.pace(),
                    max_payload=server.options.max_payload,
                )
                await server.carry(transport, admission)
        except RequestRefused as refusal:
            answer = server.refused_with(refusal)
            if "websocket.http.response" in scope.get("extensions", {}):
                await respond_over_asgi(send, answer, "websocket.http.response")
            else:
                await send({"type": "websocket.close", "code": CloseCode.POLICY_VIOLATION})


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
            answer = await self._wait(scope, receive)
        else:
            body = _Body(receive)
            try:
                answer = await self._serve(scope, body)
                await body.drop()
            except ClientGone:
                return
        if answer is not None:
            await respond_over_asgi(send, answer)

    async def _wait(self, scope: Scope, receive: Receive) -> HttpResponse | None:
        """Serve a GET, which may wait, as long as the client does; ``None``: it has gone."""
        answer: HttpResponse | None = None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_cancel_when_gone, receive, nursery.cancel_scope)
            answer = await self._serve(scope, _Body(receive))
            nursery.cancel_scope.cancel()
        return answer

    async def _serve(self, scope: Scope, body: _Body) -> HttpResponse:
        secure = scope["scheme"] == "https"
        return await self._server.serve_http(
            _request(scope), body.read, _peer(scope), secure=secure
        )


class _Body:
    """The body of a request, as ASGI brings it."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._over = False  # nothing more comes, or is worth to be read

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

        :raises ClientGone: the client has gone.
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
        pass  # the body of a GET, which means nothing
    scope.cancel()


async def respond_over_asgi(
    send: Send, answer: HttpResponse, prefix: str = "http.response"
) -> None:
    """Send an answer in whole.

    :param prefix: of the messages' types; another one answers a WebSocket's handshake.
    """
    headers = [(name.lower().encode(), value.encode()) for name, value in answer.headers]
    if answer.status != 204:
        headers.append((b"content-type", answer.content_type.encode()))
        headers.append((b"content-length", str(len(answer.body)).encode()))
    await send({"type": f"{prefix}.start", "status": answer.status, "headers": headers})
    await send({"type": f"{prefix}.body", "body": answer.body})


async def _nothing(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer what is not for the server: nothing is here."""
    if scope["type"] == "http":
        await respond_over_asgi(send, _NOT_FOUND)
    elif scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": CloseCode.POLICY_VIOLATION})
    elif scope["type"] == "lifespan":
        await _take_part_in_lifespan(receive, send)
    else:
        raise NotImplementedError(scope["type"])


async def _take_part_in_lifespan(receive: Receive, send: Send) -> None:
    """Let the server start and stop: there is nothing to do at either."""
    while True:
        event = (await receive())["type"]
        await send({"type": f"{event}.complete"})
        if event == "lifespan.shutdown":
            return


def _request(scope: Scope) -> Request:
    query = scope["query_string"].decode("latin-1")
    path = scope.get("raw_path", b"").decode("latin-1") or scope["path"]
    return Request(
        method=scope.get("method", "GET"),
        target=f"{path}?{query}" if query else path,
        version=scope.get("http_version", "1.1"),
        fields=tuple(
            (name.decode("latin-1").lower(), value.decode("latin-1"))
            for name, value in scope["headers"]
        ),
        head=b"",
    )


def _peer(scope: Scope) -> str | None:
    client = scope.get("client")
    return None if client is None else client[0]
