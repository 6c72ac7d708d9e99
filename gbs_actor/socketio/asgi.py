"""Engine.IO sessions under any ASGI server that runs on Trio.

Long-polling, and WebSockets that do not come to a stream of our own: those that arrive on
a reused connection or over HTTP/2, and all of them under a stock ASGI server.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from struct import Struct
from typing import Any, Final

import trio

from gbs_actor.socketio import frame as ws
from gbs_actor.socketio.channel import Channel
from gbs_actor.socketio.engine import (
    BodyTooLarge,
    ClientGone,
    EngineServer,
    Refusal,
)
from gbs_actor.socketio.errors import ProtocolViolation
from gbs_actor.socketio.http_answer import HttpAnswer
from gbs_actor.socketio.message import Message
from gbs_actor.socketio.outbox import Outbox
from gbs_actor.socketio.request import Request
from gbs_actor.socketio.wire import WEBSOCKET, Buffer, Encode

# Loose, since every framework types the dicts of ASGI in its own way.
Scope = Any
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_CLOSE_FRAME: Final = 0x88
_CODE: Final = Struct("!H")


class EngineApp:
    """An ASGI application that serves Engine.IO at the server's path.

    :param server: has to be served meanwhile; see :meth:`EngineServer.serving`.
    :param other: gets everything else, the lifespan included. Without it that is a 404.
    """

    def __init__(self, server: EngineServer, other: App | None = None) -> None:
        self._server = server
        self._other = _nothing if other is None else other

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or one WebSocket."""
        kind = scope["type"]
        if kind in {"http", "websocket"} and scope["path"].startswith(self._server.options.path):
            if kind == "http":
                await self._http(scope, receive, send)
            else:
                await self._websocket(scope, receive, send)
        else:
            await self._other(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "GET":
            answer = await self._wait(scope, receive)
        else:
            try:
                answer = await self._serve(scope, _Body(receive))
            except ClientGone:
                return
        if answer is not None:
            await _answer(send, answer)

    async def _wait(self, scope: Scope, receive: Receive) -> HttpAnswer | None:
        """Serve a GET, which may wait, as long as the client does; ``None``: it has gone."""
        answer: HttpAnswer | None = None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_cancel_when_gone, receive, nursery.cancel_scope)
            answer = await self._serve(scope, _Body(receive))
            nursery.cancel_scope.cancel()
        return answer

    async def _serve(self, scope: Scope, body: _Body) -> HttpAnswer:
        secure = scope["scheme"] == "https"
        return await self._server.serve_http(
            _request(scope), body.read, _peer(scope), secure=secure
        )

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        server = self._server
        await receive()  # websocket.connect
        secure = scope["scheme"] == "wss"
        try:
            with server.admitted(_request(scope), _peer(scope), secure=secure) as admission:
                await send({"type": "websocket.accept"})
                transport = AsgiTransport(server, receive, send)
                await server.carry(transport, admission)
        except Refusal as refusal:
            answer = server.refused_with(refusal)
            if "websocket.http.response" in scope.get("extensions", {}):
                await _answer(send, answer, "websocket.http.response")
            else:
                await send({"type": "websocket.close", "code": 1008})


class AsgiTransport:
    """Carries a channel by the messages of an ASGI WebSocket, after it was accepted."""

    upgrades: tuple[str, ...] = ()

    def __init__(self, server: EngineServer, receive: Receive, send: Send) -> None:
        self.wire = AsgiWire(send)
        self.channel: Channel | None = None
        """Whoever gets what comes in; a probe puts the session in its own place."""
        self._receive = receive
        self._received = server.received
        self._max_payload = server.options.max_payload
        self._reading = trio.CancelScope()
        self._aborted = False

    async def carry(self, channel: Channel) -> None:
        """See :class:`~gbs_actor.socketio.channel.Transport`."""
        self.channel = channel
        with self._reading:
            channel.open()
            while self._current.reason is None:
                await self._take(await self._receive())

    async def _take(self, message: Mapping[str, Any]) -> None:
        channel = self._current
        if message["type"] == "websocket.disconnect":
            channel.lose("transport close")
            return
        text, payload = message.get("text"), message.get("bytes")
        size = len(payload or b"") if text is None else len(text.encode())
        self._received.messages += 1
        self._received.bytes += size
        if size > self._max_payload:
            channel.violated(ProtocolViolation("message too large", 1009))
        elif text is None:
            channel.receive_binary(bytes(payload or b""))
        else:
            channel.receive_text(text)
        if self._current.paused:
            await self._current.wait_unpaused()

    @property
    def _current(self) -> Channel:
        assert self.channel is not None
        return self.channel

    async def finish(self, channel: Channel) -> None:
        """See :class:`~gbs_actor.socketio.channel.Transport`."""
        if not self._aborted:
            await channel.outbox.flushed.wait()

    def close(self, outbox: Outbox, code: int, reason: str, *, discard: bool) -> None:
        """See :class:`~gbs_actor.socketio.channel.Transport`."""
        frame = ws.frame(_CODE.pack(code) + reason.encode()[:123], _CLOSE_FRAME)
        outbox.finish(Message.control(frame), discard=discard)
        self._reading.cancel()

    def close_for_peer(self, outbox: Outbox) -> None:
        """See :class:`~gbs_actor.socketio.channel.Transport`."""
        self.close(outbox, 1000, "", discard=False)

    def abort(self) -> None:
        """See :class:`~gbs_actor.socketio.channel.Transport`."""
        self._aborted = True
        self._reading.cancel()


class AsgiWire:
    """Sends our frames as the messages that are in them; the server frames them anew."""

    separator = b""
    batch = 65_536
    direct = False
    immediate = False
    ready = True

    def __init__(self, send: Send) -> None:
        self.encode: Encode = WEBSOCKET
        self._send = send

    def send_nowait(self, data: Buffer) -> int:
        """Refuse: an ASGI server may make its sender wait."""
        raise BlockingIOError

    async def send_all(self, data: Buffer) -> None:
        """See :class:`~gbs_actor.socketio.wire.Wire`."""
        for head, payload in ws.split(data):
            if head == ws.TEXT:
                await self._send({"type": "websocket.send", "text": payload.decode()})
            elif head == ws.BINARY:
                await self._send({"type": "websocket.send", "bytes": payload})
            elif head == _CLOSE_FRAME:
                (code,) = _CODE.unpack(payload[:2])
                reason = payload[2:].decode(errors="ignore")
                await self._send({"type": "websocket.close", "code": code, "reason": reason})

    async def wait_writable(self) -> None:
        """See :class:`~gbs_actor.socketio.wire.Wire`."""
        await trio.lowlevel.checkpoint()


class _Body:
    """The body of a request, as ASGI brings it."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive

    async def read(self, limit: int) -> bytes:
        """See :data:`~gbs_actor.socketio.engine.ReadBody`."""
        body = bytearray()
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            body += message.get("body", b"")
            if len(body) > limit:
                raise BodyTooLarge
            if not message.get("more_body", False):
                return bytes(body)


async def _cancel_when_gone(receive: Receive, scope: trio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass  # the body of a GET, which means nothing
    scope.cancel()


async def _answer(send: Send, answer: HttpAnswer, prefix: str = "http.response") -> None:
    headers = [(name.lower().encode(), value.encode()) for name, value in answer.headers]
    if answer.status != 204:
        headers.append((b"content-type", answer.content_type.encode()))
        headers.append((b"content-length", str(len(answer.body)).encode()))
    await send({"type": f"{prefix}.start", "status": answer.status, "headers": headers})
    await send({"type": f"{prefix}.body", "body": answer.body})


async def _nothing(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer what is not for the server: nothing is here."""
    if scope["type"] == "http":
        await _answer(send, HttpAnswer(404, b'{"code":"NOT_FOUND","message":"Not found."}'))
    elif scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008})
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
