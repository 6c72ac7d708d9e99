"""HTTP/1.1 for the requests that the front door serves without the HTTP server.

Long-polling is many small requests, and a whole HTTP server takes most of the time of each. Here
they are served one after the other on their connection, in the common form: HTTP/1.1, with a
Content-Length if there is a body. The first request that is in another form, or for somebody
else, goes to the HTTP server, and the rest of the connection with it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Final

import trio

from gbs_actor.environment import SYSTEM
from gbs_actor.socketio.net.front_door.by_path import ByPath
from gbs_actor.socketio.net.front_door.first_request import FirstRequest
from gbs_actor.socketio.net.front_door.http_stream import HttpStream
from gbs_actor.socketio.net.http_exchange import BodyTooLarge, ClientGone, RequestHandler
from gbs_actor.socketio.net.http_response import HttpResponse, serialize
from gbs_actor.socketio.net.request import (
    BadRequest,
    Request,
    head_length,
    parse_request,
    refusal_of_head,
)

Fallback = Callable[[HttpStream], Awaitable[None]]
"""Serves one HTTP connection."""

_RECEIVE: Final = 65_536
_FAILED: Final = HttpResponse(
    500, b'{"code":"INTERNAL","message":"Something went wrong on the server."}'
)
_MAX_DROPPED: Final = 65_536  # bytes of a body that was not read
_DROP_TIME: Final = 1.0  # seconds for them
_NOT_SERVED: Final = frozenset({"transfer-encoding", "expect", "upgrade"})


class RequestLoop:
    """Serves the requests of connections until one has to go to the HTTP server.

    :param handlers: by path; the longest prefix of the request's path wins.
    :param fallback: the HTTP server.
    :param head_limit: bytes a request head may have.
    :param wall: returns the Unix time in seconds.
    """

    def __init__(
        self,
        handlers: Mapping[str, RequestHandler],
        fallback: Fallback,
        head_limit: int,
        wall: Callable[[], float] = SYSTEM.wall,
    ) -> None:
        self._handlers = ByPath(handlers)
        self._fallback = fallback
        self._head_limit = head_limit
        self._wall = wall

    async def serve(self, stream: HttpStream, first: FirstRequest, peer: str | None) -> None:
        """Serve a connection until either side ends it.

        Cancelled, the request in flight gets no response.

        :param stream: replays all that was received.
        :param first: the request that this begins with.
        :param peer: IP address of the other end; ``None`` if it has none.
        :raises trio.BrokenResourceError: broken, or the peer is too slow.
        :raises trio.ClosedResourceError: the stream was closed on this side.
        """
        request: Request | None = first.request
        received, length = stream.take_replay(), first.head_length
        while request is not None and (handler := self._handler(request)) is not None:
            exchange = _Exchange(stream, request, peer, received[length:])
            if not await self._respond(stream, exchange, handler):
                await stream.linger()
                return
            stream.unread(bytes(exchange.rest))
            del exchange, received  # an idle connection holds no request
            received = await self._read_head(stream)
            if not received:
                return
            length = head_length(received) or 0
            request = self._parse(received[:length])
        stream.unread(received)
        await self._fallback(stream)

    async def _respond(
        self, stream: HttpStream, exchange: _Exchange, handler: RequestHandler
    ) -> bool:
        """Respond to a request; return whether another one may follow."""
        with stream.answering() as arrived:
            exchange.on_arrival(arrived)
            try:
                response = await handler(exchange)
                await exchange.drop_body()
            except ClientGone:
                if exchange.missing:  # it may still read
                    refusal = refusal_of_head(HTTPStatus.BAD_REQUEST)
                    await stream.send_all(serialize(refusal, self._wall()))
                return False
            except Exception:
                await stream.send_all(serialize(_FAILED, self._wall()))
                raise
            keep = not exchange.missing and not _closes(exchange.request)
            await stream.send_all(serialize(response, self._wall(), close=not keep))
        return keep

    def _handler(self, request: Request) -> RequestHandler | None:
        """Return what serves a request; ``None``: the HTTP server does."""
        handler = self._handlers.of(request.path)
        return None if handler is None or not _is_common(request) else handler

    def _parse(self, head: bytes) -> Request | None:
        """Return the request that a head is of; ``None``: the HTTP server refuses it."""
        try:
            return parse_request(head) if len(head) <= self._head_limit else None
        except BadRequest:
            return None

    async def _read_head(self, stream: HttpStream) -> bytes:
        """Return the head of the next request, and what came with it; b"" if there is none.

        What cannot become a head is returned as it is.
        """
        data = b""
        while True:
            received = await stream.receive_some(_RECEIVE)
            searched = len(data)
            data += received
            complete = head_length(data, searched) is not None
            if complete or not received or len(data) > self._head_limit:
                return data


def _is_common(request: Request) -> bool:
    """Whether a request has the form that is served here."""
    if request.version != "1.1":
        return False
    length = "0"
    for name, value in request.fields:
        if name in _NOT_SERVED:
            return False
        if name == "content-length":
            length = value
    return request.method == "POST" or (request.method in {"GET", "OPTIONS"} and not int(length))


def _closes(request: Request) -> bool:
    """Whether the client wants the connection closed after the response (RFC 9112 §9.6)."""
    options = request.header("connection")
    return options is not None and "close" in map(str.strip, options.lower().split(","))


class _Exchange:
    """Implements :class:`~gbs_actor.socketio.net.http_exchange.HttpExchange`.

    :param received: the bytes that came with the head.
    """

    def __init__(
        self, stream: HttpStream, request: Request, peer: str | None, received: bytes
    ) -> None:
        self.request = request
        self.peer = peer
        self.rest: bytes | bytearray = received
        """What was received and not read: in the end, what follows the request."""
        self.missing = int(request.header("content-length") or 0)
        """Bytes of the body that were not read."""
        self._stream = stream
        self._too_slow = False
        self._arrived: Callable[[], None] | None = None

    def on_arrival(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` when the whole body was read; at once if there is none."""
        self._arrived = callback
        if not self.missing:
            callback()

    @property
    def secure(self) -> bool:
        return self._stream.secure

    async def read_body(self, limit: int) -> bytes:
        if self.missing > limit:
            raise BodyTooLarge
        body = bytearray()
        try:
            while self.missing:
                body += await self._part()
        except trio.Cancelled:
            self._too_slow = True
            raise
        return bytes(body)

    async def drop_body(self) -> None:
        """Read what is left, if it is little, so that the connection may be used again."""
        dropped = 0
        if self.missing and not self._too_slow:
            with trio.move_on_after(_DROP_TIME):
                while self.missing and dropped < _MAX_DROPPED:
                    dropped += len(await self._part())

    async def wait_disconnected(self) -> None:
        try:
            while not self.rest:
                self.rest = await self._stream.receive_some(_RECEIVE)
                if not self.rest:
                    return
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return
        await trio.sleep_forever()  # the next request waits for this response

    async def _part(self) -> bytes | bytearray:
        """Take the next part of the body."""
        if not self.rest:
            try:
                self.rest = await self._stream.receive_some(_RECEIVE)
            except trio.BrokenResourceError:
                raise ClientGone from None
            if not self.rest:
                raise ClientGone
        part, self.rest = self.rest[: self.missing], self.rest[self.missing :]
        self.missing -= len(part)
        if not self.missing and self._arrived is not None:
            self._arrived()
        return part
