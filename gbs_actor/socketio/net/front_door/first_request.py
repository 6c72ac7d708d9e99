"""The beginning of a connection: its TLS handshake, and the head of its first request."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import trio

from gbs_actor.environment import SYSTEM
from gbs_actor.socketio.net.cors import CorsPolicy
from gbs_actor.socketio.net.http_response import HttpResponse, send_response
from gbs_actor.socketio.net.request import (
    LOWEST,
    BadRequest,
    Request,
    field_values,
    head_length,
    parse_request,
    refusal_of_head,
)
from gbs_actor.socketio.net.sockets import Socket
from gbs_actor.socketio.net.tls import TlsStream

_RECEIVE: Final = 16_384
_REFUSED_HEAD_TIMEOUT: Final = 1.0  # seconds for the head of a request that is refused anyway

_TOO_SLOW: Final = HttpResponse(
    408, b'{"code":"REQUEST_TIMEOUT","message":"The head of the request came too slowly."}'
)
_NO_TLS: Final = HttpResponse(
    400, b'{"code":"BAD_REQUEST","message":"This port speaks TLS: the address is https://."}'
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FirstRequest:
    """The first request of a connection."""

    request: Request
    received: bytes
    """All bytes that were received; they begin with its head."""
    head_length: int
    """Bytes of the head."""

    @property
    def leftover(self) -> bytes:
        """The bytes behind the head."""
        return self.received[self.head_length :]


class FirstRequestReader:
    """Reads the first request of each connection, or refuses it.

    :param head_limit: bytes a request head may have.
    :param head_timeout: seconds in which it has to arrive, and a TLS handshake before it.
    :param cors: which pages may read refusals.
    :param wall: returns the Unix time in seconds.
    """

    def __init__(
        self,
        head_limit: int,
        head_timeout: float,
        cors: CorsPolicy,
        wall: Callable[[], float] = SYSTEM.wall,
    ) -> None:
        self._head_limit = head_limit
        self._head_timeout = head_timeout
        self._cors = cors
        self._wall = wall
        self.bad_heads = 0
        """Too large, too slow, incomplete, or malformed."""
        self.failed_handshakes = 0
        """TLS handshakes: too slow, incomplete, or no TLS at all."""

    def read_at_once(self, socket: Socket) -> FirstRequest | bytes:
        """Return the first request if it is there; otherwise what :meth:`read` continues with.

        :param socket: does not block; nothing was read from it.
        """
        try:
            data = socket.recv(_RECEIVE)
        except OSError:
            return b""  # nothing is there yet; or it broke, and read() will see that, too
        length = head_length(data)
        if length is None or length > self._head_limit:
            return data
        try:
            return FirstRequest(parse_request(data[:length]), data, length)
        except BadRequest:
            return data

    async def read(
        self, stream: trio.abc.HalfCloseableStream, received: bytes = b""
    ) -> FirstRequest | None:
        """Return the first request; ``None``: there is none, or it was refused.

        :param received: the bytes that were read before.
        """
        if not await self._shake_hands(stream):
            return None
        data = await self._read_head(stream, received)
        if data is None:
            self.bad_heads += 1
            return None
        length = head_length(data) or 0
        try:
            return FirstRequest(parse_request(data[:length]), data, length)
        except BadRequest as bad:
            logger.debug("a request is refused: %s", bad)
            self.bad_heads += 1
            await self._respond(stream, refusal_of_head(bad.status), data)
            return None

    async def refuse(self, stream: trio.abc.HalfCloseableStream, response: HttpResponse) -> None:
        """Send a response to the first request, whatever it is."""
        if not await self._shake_hands(stream):
            return
        head = bytearray()
        with trio.move_on_after(_REFUSED_HEAD_TIMEOUT):
            while head_length(head) is None and len(head) <= self._head_limit:
                received = await stream.receive_some(_RECEIVE)
                if not received:
                    break
                head += received
        await self._respond(stream, response, head)

    async def _respond(
        self, stream: trio.abc.HalfCloseableStream, response: HttpResponse, head: bytes | bytearray
    ) -> None:
        """Respond to a request whose head was read at least in part."""
        origins = field_values(head, b"origin")
        fields = self._cors.response_fields(origins)
        response = replace(response, headers=(*response.headers, *fields))
        await send_response(stream, response, self._wall())

    async def _shake_hands(self, stream: trio.abc.HalfCloseableStream) -> bool:
        """Do the TLS handshake, if there is one; return whether the connection can be used."""
        if not isinstance(stream, TlsStream):
            return True
        with trio.move_on_after(self._head_timeout):
            try:
                await stream.do_handshake()
            except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
                if getattr(error.__cause__, "reason", None) == "HTTP_REQUEST":
                    await _respond_without_tls(stream, self._wall())
            else:
                return True
        self.failed_handshakes += 1
        return False

    async def _read_head(
        self, stream: trio.abc.HalfCloseableStream, received: bytes | bytearray
    ) -> bytes | None:
        """Read a request head and what comes with it; ``None`` if there will be none.

        Empty lines before it are skipped (RFC 9112 §2.2). What cannot become a head, or breaks
        off, is returned as it is.
        """
        data = bytearray()
        try:
            with trio.move_on_after(self._head_timeout):
                while True:
                    received = received or await stream.receive_some(_RECEIVE)
                    if not received:
                        return bytes(data) or None
                    searched = len(data)
                    data += received if data else received.lstrip(b"\r\n")
                    if data and data[0] < LOWEST:
                        return bytes(data)
                    length = head_length(data, searched)
                    if (length or len(data)) > self._head_limit:
                        await self._respond(stream, refusal_of_head(431), data)
                        return None
                    if length is not None:
                        return bytes(data)
                    received = b""
            if data:
                await self._respond(stream, _TOO_SLOW, data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # the client has disconnected
        return None


async def _respond_without_tls(stream: TlsStream, now: float) -> None:
    """Respond to a request that came without TLS."""
    below = stream.transport_stream
    if isinstance(below, trio.abc.HalfCloseableStream):
        await send_response(below, _NO_TLS, now)
